"""The audit trail: every kind of event in its form, found again, and watched as it happens."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from signalbox.commands.error import RouteNotFound
from signalbox.commands.state import State, connect
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.rebase import rebase
from signalbox.routing.registry.registry import Registry
from tests.integration import command_line
from tests.integration.conftest import object_scope, wait_until
from tests.integration.operating import SCOPE, by, give_terms, kinds, point, take


@pytest.fixture
def client(state_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.setenv("SIGNALBOX_STATE_URL", state_url)
    monkeypatch.setenv("SIGNALBOX_BROKER_URL", state_url)
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


def log(*options: str) -> list[dict[str, Any]]:
    """What `audit log --json` prints, oldest first."""
    text = command_line.here("audit", "log", *options, "--json").stdout
    events: list[dict[str, Any]] = json.loads(text)
    return events


def test_every_kind_of_event_is_a_cloudevent_that_says_who_why_and_from_what_to_what(
    registry: Registry,
) -> None:
    point(registry, "/a", "ann", reason="first")
    point(registry, "/b", "bob", reason="second")
    take(registry, "ann", reason="third")
    take(registry, "ann", seconds=90, reason="fourth")
    registry.locks.unlock(SCOPE, by("ann", reason="fifth"))
    take(registry, "bob", reason="sixth")
    registry.locks.unlock(SCOPE, by("ann", reason="seventh"), force=True)
    give_terms(registry, mode="lab", quotas={"objects": 7})
    registry.delete(SCOPE, by("ann", reason="ninth"))
    with suppress(RouteNotFound):
        registry.delete(SCOPE, by("eve", reason="tenth"))
    rebase(registry, by("ann", reason="last"))

    events = {event.revision: event for event in registry.events(0)}
    assert [kind.rpartition(".")[2] for kind in kinds(registry)] == [
        "set",
        "switched",
        "locked",
        "lock_renewed",
        "unlocked",
        "locked",
        "lock_forced",
        "policy_set",
        "deleted",
        "refused",
        "rebased",
    ]
    prev = ""
    for revision, event in events.items():
        document = json.loads(event.model_dump_json())
        assert (document["specversion"], document["datacontenttype"]) == ("1.0", "application/json")
        assert document["id"] == f"{event.epoch}/{revision}"
        assert document["source"] == f"signalbox/routes/{event.epoch}"
        assert document["type"].startswith("io.signalbox.route.")
        assert document["time"].endswith("Z")
        assert datetime.fromisoformat(document["time"]) <= datetime.now(UTC)
        assert (event.prev, event.hash) == (prev, event.digest())
        assert {event.data.actor, event.data.reason} & {"ann", "bob", "eve"}
        prev = event.hash
    assert {event.subject for event in events.values()} == {
        "object_store/t_a/dev",
        "policy/t_a",
        "registry",
    }
    changes = {n: (_place(e.data.before), _place(e.data.after)) for n, e in events.items()}
    assert (changes[1], changes[2], changes[9]) == (("", "/a"), ("/a", "/b"), ("/b", ""))
    assert _value(events[3], "after", "owner") == "ann"
    assert _value(events[4], "before", "until") < _value(events[4], "after", "until")
    assert (_value(events[5], "before", "owner"), events[5].data.after) == ("ann", None)
    assert (_value(events[7], "before", "owner"), events[7].data.actor) == ("bob", "ann")
    assert _value(events[8], "after", "quotas")["objects"] == 7
    assert events[10].data.error is not None
    assert events[10].data.error["code"] == "ROUTE_NOT_FOUND"
    assert (_value(events[11], "before", "epoch"), _value(events[11], "after", "epoch")) == (
        events[10].epoch,
        events[11].epoch,
    )
    assert events[10].epoch < events[11].epoch
    assert command_line.answer("audit", "verify")["events"] == 11


def test_the_log_is_found_by_tenant_and_time(registry: Registry, client: State) -> None:
    for tenant in ("t_a", "t_ab", "t_b"):
        point(registry, scope=object_scope(tenant))
    give_terms(registry, "t_a", mode="lab")
    point(registry, "/b", reason="the [last] one")
    events = registry.events(0)
    moments = [event.committed_at.isoformat() for event in events if event.committed_at]

    def revisions(*options: str) -> list[int]:
        return [event["revision"] for event in log(*options)]

    assert revisions() == [1, 2, 3, 4, 5]
    assert revisions("-t", "t_a") == [1, 4, 5]
    assert revisions("--since", moments[2]) == [3, 4, 5]
    assert revisions("--until", moments[2]) == [1, 2]
    assert revisions("--since", moments[1], "--until", moments[4], "-t", "t_a") == [4]
    assert revisions("--since", "1h") == [1, 2, 3, 4, 5]
    assert revisions("--until", "1h") == []
    assert revisions("--limit", "2") == [4, 5]
    assert log()[-1]["data"]["reason"] == "the [last] one"
    table = command_line.done("audit", "log").decode()
    assert "the [last] one" in table
    assert "policy/t_a" in table


def test_what_happens_is_watched_as_it_happens(registry: Registry) -> None:
    point(registry)
    with subprocess.Popen(
        [*command_line.COMMAND, "routes", "watch", "--json"], stdout=subprocess.PIPE, text=True
    ) as watching:
        try:
            assert watching.stdout is not None
            info = registry.client.server().client_list
            blocked = lambda: any(each["cmd"] == "xread" for each in info())  # noqa: E731
            wait_until(blocked, "it watches")
            point(registry, "/b", "bob", reason="while you look")
            seen = json.loads(watching.stdout.readline())
            assert (seen["revision"], seen["data"]["actor"]) == (2, "bob")
            take(registry)
            assert json.loads(watching.stdout.readline())["type"].endswith("locked")
        finally:
            watching.kill()


def _place(state: dict[str, Any] | None) -> str:
    return str((state or {}).get("config", {}).get("base_dir", ""))


def _value(event: StreamEvent, side: str, name: str) -> Any:
    state = event.data.before if side == "before" else event.data.after
    assert state is not None
    return state[name]

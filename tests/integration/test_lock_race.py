"""Locks that come in between, are asked for twice, or come through the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.error import LockLost, RouteLocked
from signalbox.commands.routing import LockRoute, SetRoute, SwitchRoute, UnlockRoute
from signalbox.commands.scope import ResourceKind
from signalbox.commands.state import State, connect
from signalbox.routing import route_commands as control
from signalbox.routing.registry.event_log import ChangeRequest, EventLog, Seen
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.strategy_lock import StrategyLock
from tests.hash_chain import first_broken
from tests.integration.conftest import RunningStack, object_scope, start_stack
from tests.integration.operating import SCOPE, by, kinds, point, take


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


@pytest.fixture
def registry(client: State) -> Registry:
    return Registry(client)


def test_a_lock_that_comes_in_between_read_and_change_stops_the_change(
    registry: Registry, client: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    point(registry)
    see, told = EventLog.see, list[StrategyLock | None]()

    def overtaken(self: EventLog, request: ChangeRequest) -> Seen:
        seen = see(self, request)
        if request.change.actor == "ann" and not told:
            told.append(seen.lock)
            take(registry, "bob")
        return seen

    monkeypatch.setattr(EventLog, "see", overtaken)
    with pytest.raises(RouteLocked):
        point(registry, "/b")
    assert told == [None], "the change did see a free route"
    assert kinds(registry) == ["set", "locked", "refused"]


@pytest.mark.parametrize("act", ["switch", "delete", "lock", "unlock"])
def test_the_script_itself_refuses_what_a_lock_forbids_though_the_head_did_not_move(
    registry: Registry, client: State, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """A lock that the read did not show, as if its event had not moved the head."""
    point(registry)
    take(registry, "bob")
    see, hidden = EventLog.see, list[StrategyLock | None]()

    def without_lock(self: EventLog, request: ChangeRequest) -> Seen:
        seen = see(self, request)
        if hidden:
            return seen
        hidden.append(seen.lock)
        # To unlock, a lock must be seen: one of ann's own.
        mine = seen.lock.model_copy(update={"owner": "ann"}) if seen.lock else None
        shown = mine if act == "unlock" else None
        return Seen(seen.head, seen.route, seen.policy, shown, seen.now_ms, seen.applied)

    monkeypatch.setattr(EventLog, "see", without_lock)
    tries: dict[str, Callable[[], Any]] = {
        "switch": lambda: point(registry, "/b"),
        "delete": lambda: registry.delete(SCOPE, by()),
        "lock": lambda: take(registry),
        "unlock": lambda: registry.locks.unlock(SCOPE, by()),
    }
    with pytest.raises(RouteLocked):
        tries[act]()
    assert len(hidden) == 1
    assert kinds(registry) == ["set", "locked", "refused"]


def test_a_repeat_of_an_applied_lock_or_unlock_changes_nothing(registry: Registry) -> None:
    lock = take(registry, change_id="one")
    assert take(registry, change_id="one") == lock
    registry.locks.unlock(SCOPE, by(change_id="two"))
    registry.locks.unlock(SCOPE, by(change_id="two"))
    with pytest.raises(LockLost):
        take(registry, change_id="one")  # its lock is given back: it must not be taken for held
    other = take(registry, "bob")
    registry.locks.unlock(SCOPE, by(change_id="two"))
    assert registry.locks.held([SCOPE]) == [other]
    assert kinds(registry) == ["locked", "unlocked", "locked"]
    assert first_broken(registry.events(0)) is None


COMMON = {"env": "dev", "resource_kind": ResourceKind.OBJECT_STORE, "reason": "r"}


def test_lock_commands_run_and_their_repeats_change_nothing(registry: Registry) -> None:
    common = COMMON | {"tenant_id": "t_a", "actor": "ann"}
    lock = LockRoute.model_validate(common | {"ttl": timedelta(seconds=60)})
    taken = control.apply(lock, registry)
    assert control.apply(lock, registry) == taken
    unlock = UnlockRoute.model_validate(common | {"lock_token": taken["token"]})
    control.apply(unlock, registry)
    control.apply(unlock, registry)
    assert kinds(registry) == ["locked", "unlocked"]


@pytest.fixture
def taking_workers(tmp_path: Path) -> Iterator[RunningStack]:
    """Workers for route changes from the queue, and for nothing else (docs/security.md)."""
    options = ("-Q", "routing.0,routing.1,routing.2,routing.3")
    with start_stack(
        tmp_path / "stack", workers=2, options=options, SIGNALBOX_CONTROL_COMMANDS="take"
    ) as running:
        yield running


def test_locks_taken_through_the_queue_bind_changes_through_the_queue(
    taking_workers: RunningStack,
) -> None:
    tenant = "t_queue_lock"
    ann = COMMON | {"tenant_id": tenant, "actor": "ann"}
    bob = ann | {"actor": "bob"}
    left = {"backend_type": "filesystem", "config": {"base_dir": str(taking_workers.data / "left")}}
    right = left | {"config": {"base_dir": str(taking_workers.data / "right")}}
    with taking_workers.client() as client:
        client.run(SetRoute.model_validate(ann | left))
        command = LockRoute.model_validate(ann | {"ttl": timedelta(minutes=5)})
        taken = client.run_outcome(command).unwrap()
        assert client.run_outcome(command).unwrap() == taken, (
            "the recorded outcome of the same command"
        )
        refused = client.run_outcome(SwitchRoute.model_validate(bob | right))
        assert refused.error is not None
        assert refused.error.code == "ROUTE_LOCKED"
        assert "ann" in refused.error.message
        lost = client.run_outcome(SwitchRoute.model_validate(ann | right | {"lock_token": 10**9}))
        assert lost.error is not None
        assert lost.error.code == "LOCK_LOST"
        moved = SwitchRoute.model_validate(ann | right | {"lock_token": taken["token"]})
        client.run(moved)
        client.run(UnlockRoute.model_validate(bob | {"force": True}))
        client.run(SwitchRoute.model_validate(bob | left))
    registry = taking_workers.registry()
    history = registry.history(object_scope(tenant))
    names = [event.type.rpartition(".")[2] for event in history]
    assert names == ["set", "locked", "refused", "refused", "switched", "lock_forced", "switched"]

"""The archive of StreamEvents: all of them, once, in order, through kills and switches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.commands.state import State
from signalbox.producers.archive import ARCHIVE_SCOPE, archived_events
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.routing.audit.archive_mark import ArchiveMark
from signalbox.routing.registry.records import text_of
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from tests.integration import command_line
from tests.integration.conftest import RunningStack, start_stack, wait_until
from tests.integration.operating import SCOPE, by, point

KEEP = 10


@pytest.fixture
def archive_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStack]:
    monkeypatch.setenv("SIGNALBOX_ROUTE_LOG_KEEP", str(KEEP))
    with start_stack(tmp_path / "stack", workers=2, kills_workers=True) as running:
        yield running


def to_archive(running: RunningStack, name: str) -> None:
    registry = running.registry()
    act = registry.set if registry.get(ARCHIVE_SCOPE) is None else registry.switch
    config: RouteConfig = {"base_dir": str(running.data / name)}
    act(ARCHIVE_SCOPE, RouteTarget("filesystem", config, Mode.LAB), by())


def wait_until_archived(registry: Registry) -> None:
    mark = ArchiveMark(registry.client)
    wait_until(lambda: mark.read().revision == registry.head().revision, "all is archived")


def wait_until_trimmed(registry: Registry) -> None:
    upto = registry.head().revision - KEEP
    wait_until(lambda: registry.log.base().revision == upto, "what is archived is trimmed")


def answer(*arguments: str) -> Any:
    result = command_line.here(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _no_foreign(version: int) -> None:
    raise AssertionError(f"version {version} is foreign")


def archived(client: Client) -> list[int]:
    return [event.revision for event in archived_events(client, _no_foreign)]


def leader(running: RunningStack, state: State) -> ManagedProcess | None:
    """The worker that leads the archiving, if it runs."""
    name = text_of(state.server().get("signalbox:archiver") or b"").partition("@")[0]
    alive = [worker for worker in running.stack.workers if worker.running]
    return next((worker for worker in alive if worker.name == name), None)


def test_every_event_is_archived_once_and_in_order_though_the_leader_is_killed_again_and_again(
    archive_stack: RunningStack,
) -> None:
    registry = archive_stack.registry()
    to_archive(archive_stack, "archive")
    for number in range(300):
        point(registry, f"/{number}")
        if number % 150 == 75:
            victim: list[ManagedProcess] = []
            wait_until(
                lambda victim=victim: (
                    victim.append(leader(archive_stack, registry.client))  # type: ignore[misc]
                    or victim[-1] is not None
                ),
                "a worker leads",
            )
            victim[-1].kill()
            archive_stack.stack.start_worker()
    wait_until_archived(registry)
    with archive_stack.client() as client:
        assert archived(client) == list(range(1, registry.head().revision + 1))
    wait_until_trimmed(registry)
    found = answer("audit", "verify", "--archive")
    assert (found["whole"], found["first"], found["archived"]) == (True, 1, 301)
    found = answer("audit", "verify")
    assert (found["events"], found["first"]) == (KEEP, 301 - KEEP + 1)


def test_without_a_route_it_waits_and_says_so_and_trims_nothing(
    archive_stack: RunningStack,
) -> None:
    registry = archive_stack.registry()
    for number in range(2 * KEEP):
        point(registry, f"/{number}")
    mark = ArchiveMark(registry.client)
    wait_until(lambda: "event_stream" in mark.read().waits_for, "it says what it waits for")
    status = answer("status")["archive"]
    assert (status["revision"], status["of"]) == (0, 2 * KEEP)
    assert "signalbox routes set event_stream" in status["waits_for"]
    assert "waits: no route for event_stream" in command_line.here("status").stdout
    assert registry.client.server().xlen("{rt}:log") == 2 * KEEP

    to_archive(archive_stack, "first")
    wait_until_archived(registry)
    wait_until_trimmed(registry)
    assert answer("status")["archive"]["waits_for"] == ""
    assert registry.client.server().xlen("{rt}:log") == KEEP
    assert len(registry.history(SCOPE)) == registry.client.server().llen(
        f"{{rt}}:history:{SCOPE.field}"
    )
    assert [event.revision for event in registry.history(SCOPE)] == list(range(12, 21))
    for options in ([], ["--archive"]):
        assert answer("audit", "verify", *options)["last"] == 2 * KEEP + 1

    # Another archive: it goes on there with what comes, and no event ends as a dead letter.
    to_archive(archive_stack, "second")
    for number in range(2 * KEEP):
        point(registry, f"/again/{number}")
    wait_until_archived(registry)
    wait_until_trimmed(registry)
    with archive_stack.client() as client:
        assert archived(client) == list(range(2 * KEEP + 2, 4 * KEEP + 3))
        assert answer("audit", "verify", "--archive")["first"] == 2 * KEEP + 2
        to_archive(archive_stack, "first")
        wait_until_archived(registry)
        assert archived(client) == [*range(1, 2 * KEEP + 2), 4 * KEEP + 3]
        assert client.ledger.totals()["dead_letters"] == 0

"""Archivers run by run: two that lead at once, one that dies before it notes what it did."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.producers.archive import ARCHIVE_SCOPE, archived_events
from signalbox.producers.client.client import Client
from signalbox.routing.audit.archive_mark import ArchiveMark
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.maintenance.archiver import Archiver
from tests.integration.conftest import RunningStack, start_stack
from tests.integration.operating import by, point

KEEP = 5


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStack]:
    """A stack whose own archivers never lead."""
    with start_stack(tmp_path / "stack", workers=1) as running:
        running.registry().client.server().set("signalbox:archiver", "nobody")
        running.registry().client.server().persist("signalbox:archiver")
        config: RouteConfig = {"base_dir": str(running.data / "archive")}
        running.registry().set(ARCHIVE_SCOPE, RouteTarget("filesystem", config, Mode.LAB), by())
        yield running


def make_archiver(running: RunningStack, name: str, keep: int = 10**6) -> Archiver:
    """One that takes itself for the leader, whoever is."""
    client = running.client()
    archiver = Archiver(client, Registry(client.state), name, keep)
    archiver._leader.leads = lambda: True  # type: ignore[method-assign]
    return archiver


def archive_all(archiver: Archiver) -> int:
    """Turn until nothing is left; how many were archived."""
    total = 0
    while done := archiver.run_once():
        total += done
    return total


def _no_foreign(version: int) -> None:
    raise AssertionError(f"version {version} is foreign")


def archived(client: Client) -> list[int]:
    return [event.revision for event in archived_events(client, _no_foreign)]


def test_one_that_died_between_the_append_and_the_mark_is_followed_without_a_gap_or_a_double(
    running: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = running.registry()
    for number in range(20):
        point(registry, f"/{number}")
    moved = []
    move = ArchiveMark.move

    def dying(self: ArchiveMark, event: object, version: int) -> None:
        moved.append(version)
        if version > 7:
            raise StateUnavailable("dies here")
        move(self, event, version)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ArchiveMark, "move", dying)
        with pytest.raises(StateUnavailable):
            archive_all(make_archiver(running, "first"))
    assert ArchiveMark(registry.client).read().revision == 7
    for number in range(5):
        point(registry, f"/more/{number}")
    assert archive_all(make_archiver(running, "second")) == 19
    with running.client() as client:
        assert archived(client) == list(range(1, 27))
        assert client.ledger.totals()["dead_letters"] == 0


def test_two_that_lead_at_once_do_no_harm(running: RunningStack) -> None:
    registry = running.registry()
    ended = threading.Event()

    def archive(name: str) -> None:
        archiver = make_archiver(running, name, KEEP)
        while not ended.is_set() or archiver._mark.read().revision < registry.head().revision:
            archiver.run_once()

    archivers = [threading.Thread(target=archive, args=(name,)) for name in ("a", "b")]
    for each in archivers:
        each.start()
    for number in range(150):
        point(registry, f"/{number}")
    ended.set()
    for each in archivers:
        each.join()
    with running.client() as client:
        assert archived(client) == list(range(1, 152))
    assert registry.client.server().xlen("{rt}:log") >= KEEP


def test_a_registry_that_began_anew_goes_on_at_the_end_of_the_archive_that_is_there(
    running: RunningStack,
) -> None:
    registry = running.registry()
    for number in range(9):
        point(registry, f"/{number}")
    assert archive_all(make_archiver(running, "a")) == 10
    config = registry.get(ARCHIVE_SCOPE)
    assert config is not None
    for key in registry.client.server().scan_iter("{rt}:*"):
        registry.client.server().delete(key)
    # The worker that runs has seen the registry of before, and refuses the new one.
    running.stack.workers[0].kill()
    running.stack.start_worker()
    registry.set(ARCHIVE_SCOPE, RouteTarget("filesystem", config.config, Mode.LAB), by())
    point(registry, "/new")
    assert archive_all(make_archiver(running, "b")) == 2
    with running.client() as client:
        assert archived(client) == [*range(1, 11), 1, 2]
        assert client.ledger.totals()["dead_letters"] == 0


def test_after_a_restore_new_events_are_archived_in_order_behind_the_ones_that_were_lost(
    running: RunningStack,
) -> None:
    registry = running.registry()
    state = registry.client
    archiver = make_archiver(running, "a")
    point(registry, "/1")
    archive_all(archiver)
    backup = {key: state.server().dump(key) or b"" for key in state.server().scan_iter("{rt}:*")}
    point(registry, "/lost")
    archive_all(archiver)
    for key in list(state.server().scan_iter("{rt}:*")):
        state.server().delete(key)
    for key, value in backup.items():
        state.server().restore(key, 0, value)
    # The worker that runs has seen more, and would wait for a rebase.
    running.stack.workers[0].kill()
    running.stack.start_worker()
    point(registry, "/3")
    point(registry, "/4")
    for _ in range(3):  # the first may be refused: it counts the archive then
        archive_all(archiver)
    with running.client() as client:
        assert archived(client) == [1, 2, 3, 3, 4]
        new = [event.hash for event in archived_events(client, _no_foreign)][3:]
    assert new == [event.hash for event in registry.events(2)]

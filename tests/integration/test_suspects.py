"""Commands with which workers died twice run apart from all others, whoever asks for them."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.ledger.dead import Which
from signalbox.commands.ledger.entry import Action, Apart, Finish, Intent, Ticket, Wake
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.shard import USUAL, Shards
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import ticket_document
from signalbox.producers.broker.publisher import Publisher, make_app
from signalbox.workers.suspects import suspect_runner
from signalbox.workers.suspects.suspect_runner import SuspectRunner
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until
from tests.integration.test_ledger import done, put

TENANTS = ["t_ant", "t_bee", "t_eel", "t_fox", "t_hh", "t_ccc"]
PROCESS = b"signalbox.workers.suspects.suspect_process"
POISON = "command.before=kill~poison"
SLOW = "command.before=sleep:600@1~slow"
"""Longer than any test waits."""


def tickets_of(*commands: Command) -> list[Ticket]:
    return [Ticket(command.ref, command.op) for command in commands]


def die_twice(settings: Settings, commands: Sequence[Command]) -> None:
    """Two workers took them and were never heard of again."""
    brief = settings.model_copy(update={"lease": timedelta(milliseconds=50)})
    gone = Ledger(connect(settings.state_url), brief)
    gone.submit([Intent(command, f"{command.kind}.0") for command in commands])
    for death in range(2):
        held: set[str] = set()

        def taken(death: int = death, held: set[str] = held) -> bool:
            # One by one on a key: those behind the first are given once it is held here.
            claims = gone.claim(tickets_of(*commands), token=f"d{death}", worker="gone")
            held.update(item.command.ref for item in claims.claimed)
            return len(held) == len(commands)

        wait_until(taken, f"worker {death} has taken them")
    time.sleep(0.1)  # the last lease


@pytest.fixture
def ledger(state_url: str) -> Iterator[Ledger]:
    client = connect(state_url)
    client.server().flushall()
    yield Ledger(client, Settings(lease=timedelta(milliseconds=300)))
    client.close()


@pytest.fixture
def suspects(ledger: Ledger, state_url: str) -> list[PutObject]:
    """Four of as many shards."""
    commands = [put("k", tenant=tenant) for tenant in TENANTS[:4]]
    assert len({Shards(USUAL).of(command.ref) for command in commands}) == len(commands)
    die_twice(Settings(state_url=state_url, lease=timedelta(milliseconds=50)), commands)
    return commands


def test_a_suspect_is_never_given_to_a_process_that_runs_others(
    ledger: Ledger,
    suspects: list[PutObject],
) -> None:
    innocent = put("innocent")
    ledger.submit([Intent(innocent, "q")])
    tickets = tickets_of(innocent, *suspects)
    claims = ledger.claim(tickets, token="t", worker="w")
    assert [item.command for item in claims.claimed] == [innocent]
    assert claims.suspects == tickets_of(*suspects)
    assert claims.skipped == {"suspect": len(suspects)}
    # A command that waits for its next attempt is a suspect still.
    [item] = ledger.claim(tickets[1:2], token="t2", worker="w", apart=Apart.WATCHED).claimed
    assert item.attempt == 3
    ledger.finish("t2", [Finish(item.command.ref, "t2", Action.RETRY)])
    assert ledger.claim(tickets[1:2], token="t3", worker="w").suspects == tickets[1:2]


def test_suspects_on_one_key_are_named_and_given_one_at_a_time(
    ledger: Ledger,
    state_url: str,
) -> None:
    line = [put("k", b"1"), put("k", b"2"), put("k", b"3")]
    die_twice(Settings(state_url=state_url), line)
    first, second, third = tickets_of(*line)
    assert ledger.claim([first, second, third], token="t", worker="w").suspects == [first]
    [item] = ledger.claim([first], token="t1", worker="w", apart=Apart.WATCHED).claimed
    # They were turned away; the first of them that may run is handed over, and no other with it.
    finished = ledger.finish("t1", [done(item)])
    assert [wake.ticket for wake in finished.wakes] == [second]


def test_only_the_process_that_dies_with_a_suspect_makes_it_a_dead_letter(
    ledger: Ledger,
    suspects: list[PutObject],
) -> None:
    [ticket, other] = tickets_of(*suspects[:2])
    brief = Ledger(ledger._client, Settings(lease=timedelta(milliseconds=50)))

    def taken_over() -> bool:
        return bool(
            brief.claim([ticket], token=uuid.uuid4().hex, worker="w", apart=Apart.WATCHED).claimed
        )

    for _ in range(2):  # each time the whole worker dies, by something else
        wait_until(taken_over, "it is given once more")
    assert len(ledger.claim([other], token="t", worker="w", apart=Apart.WATCHED).claimed) == 1
    died = Finish(other.ref, "t", Action.DIED)
    assert ledger.finish("t", [died]).refused == []
    claims = ledger.claim([other], token="t2", worker="w")
    assert [item.ref for item in claims.unrunnable] == [other.ref]


def test_a_suspect_that_nobody_watches_dies_with_its_lease(
    ledger: Ledger, suspects: list[PutObject]
) -> None:
    [ticket] = tickets_of(*suspects[:1])
    brief = Ledger(ledger._client, Settings(lease=timedelta(milliseconds=50)))
    [item] = brief.claim([ticket], token="t", worker="w", apart=Apart.UNWATCHED).claimed
    assert item.attempt == 3

    def is_dead_letter() -> bool:
        claims = ledger.claim([ticket], token="t2", worker="w")
        assert (claims.claimed, claims.suspects) == ([], [])
        return len(claims.unrunnable) == 1

    wait_until(is_dead_letter, "its lease has run out")


def test_what_a_dead_worker_held_is_woken_in_groups_of_one_scope(
    ledger: Ledger,
    state_url: str,
) -> None:
    commands = [put(f"k{number}", tenant=tenant) for tenant in TENANTS for number in range(25)]
    ledger.submit([Intent(command, "q") for command in commands])
    [*_] = ledger.claim(tickets_of(*commands), token="t", worker="gone").claimed
    woken: list[Wake] = []

    def all_woken() -> bool:
        woken.extend(ledger.due().wakes)
        return len(woken) == len(commands)

    wait_until(all_woken, "all are woken")
    groups: dict[str, list[Wake]] = {}
    for wake in woken:
        groups.setdefault(wake.group, []).append(wake)
    assert {len(group) for group in groups.values()} == {10, 5}
    for group in groups.values():
        assert len({wake.ticket.ref.split("/")[0] for wake in group}) == 1


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_innocent_suspects_of_all_shards_are_done_beside_poison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", POISON)
    with (
        start_stack(
            tmp_path / "stack", workers=0, options=["--pool", pool], SIGNALBOX_LEASE="6"
        ) as running,
        running.client() as client,
    ):
        for tenant in TENANTS:
            running.route_to_folder(tenant)
        innocent = [put(f"k{n}", tenant=tenant) for n in range(10) for tenant in TENANTS]
        poison = [put(f"poison{n}", tenant=tenant) for n, tenant in enumerate(TENANTS[:3])]
        mixed = [*innocent[:20], *poison[:2], *innocent[20:], *poison[2:]]
        die_twice(running.settings, mixed)
        worker = running.stack.start_worker()
        wait_until(lambda: client.ledger.totals()["open"] == 0, "all have ended")
        assert worker.running
        letters = list(client.dead.find(Which()))
        assert {letter.ref for letter in letters} == {command.ref for command in poison}
        assert {letter.code for letter in letters} == {"ATTEMPTS_EXHAUSTED"}


def hold_up(running: RunningStack, key: str) -> None:
    """A command that takes minutes is in hand."""
    with running.client() as client:
        slow = client.submit(put(key, tenant="t_slow"))

        def begun() -> bool:
            record = client.ledger.records([slow.receipt.ref])[0]
            return record is not None and record.state == "running"

        wait_until(begun, f"{key} has begun")


def assert_not_held_up(running: RunningStack) -> None:
    """Another tenant's command is done while the slow one is in hand still."""
    with running.client() as client:
        quick = client.submit(put("quick", tenant="t_ant"))
        [outcome] = client.wait([quick], TIMEOUT)
        assert outcome is not None
        assert outcome.error is None
        assert client.ledger.totals()["running"] >= 1


def end_at_once(running: RunningStack) -> None:
    """Do not wait for what is slow."""
    for worker in running.stack.workers:
        worker.kill()


def test_a_suspect_waits_for_no_message_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", SLOW)
    with start_stack(tmp_path / "stack", workers=0, SIGNALBOX_LEASE="1200") as running:
        for tenant in ("t_slow", "t_bee"):
            running.route_to_folder(tenant)
        suspect = put("suspect", tenant="t_bee")
        die_twice(running.settings, [suspect])
        with running.client() as client:
            # Its wake-up is on the queue, and that of the suspect only when the reconciler looks.
            slow = client.submit(put("slow", tenant="t_slow"))
            running.stack.start_worker()
            [outcome] = client.wait([client.submit(suspect)], TIMEOUT)
            assert outcome is not None
            assert outcome.error is None
            record = client.ledger.records([slow.receipt.ref])[0]
            assert record is not None
            assert record.state == "running"
        end_at_once(running)


def test_nothing_waits_for_a_suspect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", SLOW)
    with (
        start_stack(tmp_path / "stack", workers=0, SIGNALBOX_LEASE="1200") as running,
        running.client() as client,
    ):
        for tenant in ("t_ant", "t_bee"):
            running.route_to_folder(tenant)
        suspect = put("slow", tenant="t_bee")
        die_twice(running.settings, [suspect])
        running.stack.start_worker()
        wait_until(lambda: runs_at(client.ledger, suspect) != "gone", "it runs")
        assert_not_held_up(running)
        end_at_once(running)


def test_a_forged_ticket_that_asks_for_solitude_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", SLOW)
    with start_stack(tmp_path / "stack", workers=1, SIGNALBOX_LEASE="1200") as running:
        for tenant in ("t_slow", "t_ant"):
            running.route_to_folder(tenant)
        hold_up(running, "slow")
        app = make_app(running.settings)
        innocent = put("innocent", tenant="t_ant")
        Ledger(connect(running.settings.state_url), running.settings).submit(
            [Intent(innocent, "object_store.0")]
        )
        unknown = [Ticket(f"t_ant/dev/unknown{n}", "object_store.put") for n in range(3)]
        for ticket in [*unknown, *tickets_of(innocent)]:
            forged = ticket_document(ticket) | {"alone": True}
            app.send_task(ticket.op, kwargs={"command": forged}, queue="object_store.0")
        assert_not_held_up(running)
        end_at_once(running)


def test_kill_of_a_worker_ends_its_suspect_which_is_no_death_of_the_suspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", "command.before=sleep:120~suspect")
    with (
        start_stack(tmp_path / "stack", workers=0, SIGNALBOX_LEASE="6") as running,
        running.client() as client,
    ):
        running.route_to_folder("t_bee")
        suspect = put("suspect", tenant="t_bee")
        die_twice(running.settings, [suspect])
        worker = running.stack.start_worker()
        wait_until(lambda: len(children_of(worker.pid)) == 1, "it has a process of its own")
        wait_until(lambda: client.ledger.totals()["running"] == 1, "it runs")
        [child] = children_of(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{child}").exists(), "its process has ended")
        os.environ["SIGNALBOX_FAULTS"] = ""
        running.stack.start_worker()
        [outcome] = client.wait([client.submit(suspect)], TIMEOUT)
        assert outcome is not None
        assert outcome.error is None


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_that_is_told_to_stop_makes_no_dead_letter_of_its_suspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", "command.before=sleep:1~suspect")
    with (
        start_stack(
            tmp_path / "stack", workers=0, options=["--pool", pool], SIGNALBOX_LEASE="6"
        ) as running,
        running.client() as client,
    ):
        running.route_to_folder("t_bee")
        suspect = put("suspect", tenant="t_bee")
        die_twice(running.settings, [suspect])
        worker = running.stack.start_worker()
        # Its lease is of this worker, no more of those that are gone.
        wait_until(lambda: runs_at(client.ledger, suspect) != "gone", "it runs")
        os.killpg(worker.pid, signal.SIGTERM)  # as a supervisor does: to all of its processes
        wait_until(lambda: not worker.running, "the worker has ended")
        running.stack.start_worker()
        [outcome] = client.wait([client.submit(suspect)], TIMEOUT)
        assert outcome is not None
        assert outcome.error is None


def test_a_suspect_that_hangs_is_ended_with_its_process_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_FAULTS", "command.before=sleep:600~hangs")
    monkeypatch.setattr(suspect_runner, "HANGS_AFTER", timedelta(seconds=1))
    with (
        start_stack(tmp_path / "stack", workers=0, SIGNALBOX_LEASE="5") as running,
        running.client() as client,
    ):
        running.route_to_folder("t_bee")
        suspects = [put("hangs", tenant="t_bee"), put("innocent", tenant="t_bee")]
        die_twice(running.settings, suspects)
        ledger = Ledger(connect(running.settings.state_url), running.settings)
        apart = SuspectRunner(ledger, "w", running.settings.lease)
        apart.take(tickets_of(*suspects))
        [innocent] = client.wait([client.submit(suspects[1])], TIMEOUT)
        assert innocent is not None
        assert innocent.error is None

        def is_dead_letter() -> bool:
            # As the reconciler does, which wakes what is due.
            apart.take(tickets_of(suspects[0]))
            return client.ledger.totals()["dead_letters"] == 1

        wait_until(is_dead_letter, "it is a dead letter, as any other whose worker died")
        apart.close()


def runs_at(ledger: Ledger, command: Command) -> str | None:
    record = ledger.records([command.ref])[0]
    return record.worker if record else None


def children_of(pid: int) -> list[int]:
    """Processes of suspects that this one started."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if not folder.name.isdigit():
                continue
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and PROCESS in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it has just ended
    return found


def test_a_broker_that_publishes_for_others_merges_no_two_groups(state_url: str) -> None:
    app = make_app(Settings(state_url=state_url, broker_url="memory://"))
    sent: list[object] = []
    app.send_task = lambda name, **more: sent.append(more["kwargs"])
    wakes = [Wake(ticket, "q", ticket.ref) for ticket in tickets_of(put("a"), put("b"))]
    Publisher(app).publish(wakes)
    assert len(sent) == 2

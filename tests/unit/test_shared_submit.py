"""Threads that submit singly share round trips, and nothing else: neither errors nor interrupts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from signalbox.commands.error import InvalidCommand, StateUnavailable
from signalbox.commands.ledger.entry import Acceptance, Receipt
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject
from signalbox.producers.client import shared_submit
from signalbox.producers.client.shared_submit import SharedSubmit
from signalbox.producers.client.submission import Submission

WITHIN = 60


def delete(key: str, tenant: str = "t_a") -> DeleteObject:
    return DeleteObject(tenant_id=tenant, env="dev", key=key)


class Ledger:
    """A `submit` whose first round trip lasts until `go`."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self.under_way, self.go = threading.Event(), threading.Event()
        self.answer: Callable[[Sequence[Command]], None] = lambda commands: None

    def submit(self, commands: Sequence[Command]) -> list[Submission]:
        self.rounds.append([command.subject for command in commands])
        if commands[0].subject == "first":
            self.under_way.set()
            assert self.go.wait(WITHIN)
        self.answer(commands)
        return [Submission(c, Receipt(c.ref, Acceptance.NEW, 1)) for c in commands]


class Threads:
    """Threads that submit: one is under way, others wait behind it, in their order."""

    def __init__(self, limit: int = 500) -> None:
        self.ledger = Ledger()
        self.shared = SharedSubmit(self.ledger.submit, lambda c: c.tenant_id, limit)
        self.pool = ThreadPoolExecutor(16)
        self.first = self.pool.submit(self.shared.submit, delete("first"))
        assert self.ledger.under_way.wait(WITHIN)

    def behind(self, *keys: str) -> list[Future[Submission]]:
        found = []
        for key in keys:
            before = len(self.shared._queues["t_a"].waiting)
            found.append(self.pool.submit(self.shared.submit, delete(key)))
            while len(self.shared._queues["t_a"].waiting) == before:
                pass
        return found


def test_a_thread_that_is_alone_submits_at_once() -> None:
    ledger = Ledger()
    shared = SharedSubmit(ledger.submit, lambda c: c.tenant_id, 500)
    assert shared.submit(delete("a")).command.subject == "a"
    assert shared.submit(delete("b")).command.subject == "b"
    assert ledger.rounds == [["a"], ["b"]]


def test_what_comes_during_a_round_trip_shares_the_next_one() -> None:
    its = Threads()
    others = its.behind("a", "b", "c")
    its.ledger.go.set()
    assert [each.result(WITHIN).command.subject for each in others] == ["a", "b", "c"]
    assert its.first.result(WITHIN).command.subject == "first"
    assert its.ledger.rounds == [["first"], ["a", "b", "c"]]


def test_a_round_trip_has_at_most_the_limit() -> None:
    its = Threads(limit=2)
    others = its.behind("a", "b", "c")
    its.ledger.go.set()
    for each in others:
        each.result(WITHIN)
    assert its.ledger.rounds == [["first"], ["a", "b"], ["c"]]


def test_another_shard_does_not_wait() -> None:
    its = Threads()
    assert its.shared.submit(delete("b", tenant="t_b")).command.subject == "b"
    assert not its.first.done()
    its.ledger.go.set()
    its.first.result(WITHIN)


def test_a_state_that_is_away_is_found_out_once_by_all_that_wait() -> None:
    its = Threads()
    others = its.behind("a", "b")
    lost = StateUnavailable("it is away")

    def fail(_: Sequence[Command]) -> None:
        raise lost

    its.ledger.answer = fail
    its.ledger.go.set()
    errors = [each.exception(WITHIN) for each in (its.first, *others)]
    assert all(isinstance(error, StateUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert its.ledger.rounds == [["first"]]
    its.ledger.answer = lambda _: None
    assert its.shared.submit(delete("c")).command.subject == "c"


def test_an_error_of_one_command_is_raised_to_its_thread_alone() -> None:
    its = Threads()
    good, bad, other = its.behind("good", "bad", "other")

    def refuse(commands: Sequence[Command]) -> None:
        if any(command.subject == "bad" for command in commands):
            raise InvalidCommand("it cannot be sealed")

    its.ledger.answer = refuse
    its.ledger.go.set()
    assert good.result(WITHIN).command.subject == "good"
    assert other.result(WITHIN).command.subject == "other"
    assert isinstance(bad.exception(WITHIN), InvalidCommand)
    assert sorted(its.ledger.rounds[2:]) == [["bad"], ["good"], ["other"]]


def test_an_interrupted_thread_leaves_the_others_to_themselves() -> None:
    its = Threads()
    a, b, c = its.behind("a", "b", "c")

    def interrupt(commands: Sequence[Command]) -> None:
        if commands[0].subject == "a" and len(commands) > 1:
            raise KeyboardInterrupt

    its.ledger.answer = interrupt
    its.ledger.go.set()
    assert isinstance(a.exception(WITHIN), KeyboardInterrupt)
    assert b.result(WITHIN).command.subject == "b"
    assert c.result(WITHIN).command.subject == "c"
    assert its.shared.submit(delete("d")).command.subject == "d"


class _Interrupted:
    """A lock whose waiter is interrupted, at once or when it is its turn."""

    def __init__(self, *, at_once: bool) -> None:
        self._turn = threading.Event()
        if at_once:
            self._turn.set()

    def acquire(self) -> None:
        assert self._turn.wait(WITHIN)
        raise KeyboardInterrupt

    def release(self) -> None:
        self._turn.set()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_thread_interrupted_while_it_waits_is_waited_for_by_nobody(
    monkeypatch: pytest.MonkeyPatch, *, at_once: bool
) -> None:
    its = Threads()
    with monkeypatch.context() as patched:
        patched.setattr(shared_submit, "_taken", lambda: _Interrupted(at_once=at_once))
        gone = its.pool.submit(its.shared.submit, delete("gone"))
        if at_once:
            assert isinstance(gone.exception(WITHIN), KeyboardInterrupt)
        else:
            while not its.shared._queues["t_a"].waiting:
                pass
    [other] = its.behind("other")
    its.ledger.go.set()
    assert isinstance(gone.exception(WITHIN), KeyboardInterrupt)
    assert other.result(WITHIN).command.subject == "other"
    assert its.ledger.rounds == [["first"], ["other"]]


def test_a_leader_interrupted_before_its_round_trip_is_waited_for_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    its = Threads()
    others = its.behind("a", "b")
    monkeypatch.setattr(shared_submit, "CROWDED_SECONDS", WITHIN)
    its.ledger.go.set()
    for each in others:
        each.result(WITHIN)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            its.shared.submit(delete("gone"))
    assert its.shared.submit(delete("c")).command.subject == "c"
    assert ["gone"] not in its.ledger.rounds


def test_a_forked_child_does_not_wait_for_its_parents_threads() -> None:
    its = Threads()
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            ended = int(its.shared.submit(delete("child")).command.subject != "child")
        finally:
            os._exit(ended)
    its.ledger.go.set()
    its.first.result(WITHIN)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

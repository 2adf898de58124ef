"""The buffer in front of a client: order, bounds, refusals, and what happens at its end."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.commands.error import (
    DeliveryError,
    InvalidSetting,
    OpIdReused,
    OutcomePending,
    RateLimited,
    StateUnavailable,
)
from signalbox.commands.ledger.entry import Acceptance, Receipt
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client import flush_queue
from signalbox.producers.client.buffer import Buffer, BufferLimits
from signalbox.producers.client.buffered_command import Pending
from signalbox.producers.client.submission import Submission
from tests.integration.conftest import wait_until

SOON = timedelta(minutes=5)
AT_ONCE = timedelta(0)
LONG = timedelta(hours=1)


def put(number: int, tenant: str = "t_a") -> PutObject:
    payload = InlinePayload(data=b"x" * 100)
    return PutObject(tenant_id=tenant, env="dev", key=f"k{number}", payload=payload)


class Ledger:
    """Stands for the client: keeps what it was given, and answers as it is told."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.accepted: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.failures: list[Exception] = []
        self.full: dict[str, int] = {}
        """Calls in which a tenant is full."""
        self.spoilt: set[str] = set()

    def submit_many(self, commands: list[Command]) -> list[Submission]:
        self.entered.set()
        assert self.open.wait(300)
        self.calls.append([command.subject for command in commands])
        if self.failures:
            raise self.failures.pop(0)
        if any(command.subject in self.spoilt for command in commands):
            raise ValueError("no JSON")
        busy = {tenant for tenant, left in self.full.items() if left > 0}
        for tenant in {command.tenant_id for command in commands} & busy:
            self.full[tenant] -= 1
        return [self._answer(command, command.tenant_id in busy) for command in commands]

    def outcome(self, submission: Submission, timeout: timedelta) -> Outcome:
        raise NotImplementedError

    def _answer(self, command: Command, busy: bool) -> Submission:
        acceptance = Acceptance.FULL if busy else Acceptance.NEW
        if command.op_id == "taken":
            acceptance = Acceptance.CONFLICT
        if acceptance is Acceptance.NEW:
            self.accepted.append(command.subject)
        return Submission(command, Receipt(command.ref, acceptance, len(self.accepted)))


@contextmanager
def buffer(ledger: Ledger, **limits: Any) -> Iterator[Buffer]:
    its = Buffer(ledger, BufferLimits(**limits), inline_limit=1000)
    try:
        yield its
    finally:
        ledger.open.set()
        its._close_at_exit()


def subjects(numbers: range) -> list[str]:
    return [put(number).subject for number in numbers]


def test_count_hands_over_without_lingering() -> None:
    ledger = Ledger()
    with buffer(ledger, count=10, linger=LONG) as its:
        pending = [its.add(put(number)) for number in range(10)]
        assert all(each.submission(SOON).accepted for each in pending)
    assert ledger.calls == [subjects(range(10))]


def test_bytes_hand_over_without_lingering() -> None:
    ledger = Ledger()
    with buffer(ledger, size=2000, linger=LONG) as its:
        pending = [its.add(put(number)) for number in range(4)]
        assert pending[-2].submission(SOON).accepted
    assert ledger.accepted == subjects(range(4))


def test_lingering_ends() -> None:
    with buffer(Ledger(), linger=timedelta(milliseconds=20)) as its:
        assert its.add(put(1)).submission(SOON).accepted


def test_flush_hands_over_at_once_and_waits() -> None:
    ledger = Ledger()
    with buffer(ledger, linger=LONG) as its:
        pending = [its.add(put(number)) for number in range(3)]
        with pytest.raises(OutcomePending):
            pending[0].submission(AT_ONCE + timedelta(microseconds=1))
        its.flush(SOON)
        assert ledger.accepted == subjects(range(3))


def test_flush_tells_when_it_takes_too_long() -> None:
    ledger = Ledger()
    with buffer(ledger) as its:
        ledger.open.clear()
        its.add(put(1))
        with pytest.raises(OutcomePending, match="1 commands are in the buffer"):
            its.flush(timedelta(milliseconds=10))


def test_what_comes_meanwhile_goes_together() -> None:
    ledger = Ledger()
    with buffer(ledger, count=1) as its:
        ledger.open.clear()
        its.add(put(0))
        assert ledger.entered.wait(300)
        for number in range(1, 21):
            its.add(put(number))
        ledger.open.set()
        its.flush(SOON)
    assert ledger.calls == [subjects(range(1)), subjects(range(1, 21))]


def test_close_hands_over_all_and_again_is_harmless() -> None:
    ledger = Ledger()
    with buffer(ledger, linger=LONG) as its:
        for number in range(1200):
            its.add(put(number))
        its.close()
        its.close()
        assert ledger.accepted == subjects(range(1200))
        with pytest.raises(DeliveryError, match="closed"):
            its.add(put(1))


def test_block_that_fails_hands_over_and_shows_its_own_error() -> None:
    ledger = Ledger()
    its = Buffer(ledger, BufferLimits(linger=LONG), inline_limit=1000)
    with pytest.raises(KeyError, match="mine"):
        _fail_inside(its)
    assert ledger.accepted == subjects(range(1, 2))


@pytest.mark.parametrize("limits", [{"capacity": 3}, {"capacity_bytes": 3 * 612}])
def test_full_buffer_refuses_with_a_typed_error_and_takes_again(limits: dict[str, int]) -> None:
    ledger = Ledger()
    with buffer(ledger, **limits) as its:
        ledger.open.clear()
        for number in range(3):
            its.add(put(number))
        with pytest.raises(RateLimited) as refusal:
            its.add(put(3), timeout=timedelta(milliseconds=10))
        error = refusal.value
        assert (error.tenant_id, error.env, error.kind) == ("t_a", "dev", "object_store")
        assert error.next_step
        threading.Timer(0.01, ledger.open.set).start()
        assert its.add(put(4), timeout=SOON).submission(SOON).accepted
    assert ledger.accepted == [*subjects(range(3)), put(4).subject]


def test_one_that_is_larger_than_the_buffer_is_taken_alone() -> None:
    with buffer(Ledger(), capacity_bytes=1) as its:
        assert its.add(put(1), timeout=SOON).submission(SOON).accepted


def test_closing_frees_who_waits_for_room() -> None:
    ledger = Ledger()
    with buffer(ledger, capacity=1) as its:
        ledger.open.clear()
        its.add(put(0))
        closer = threading.Timer(0.05, its._close_at_exit)
        closer.start()
        with pytest.raises(DeliveryError, match="closed"):
            its.add(put(1), timeout=SOON)
        ledger.open.set()
        closer.join()


def test_ledger_that_is_away_is_asked_again_and_nothing_passes_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    ledger = Ledger()
    ledger.failures = [StateUnavailable("away")] * 3
    with buffer(ledger, count=1) as its:
        for number in range(5):
            its.add(put(number))
        its.flush(SOON)
    assert ledger.accepted == subjects(range(5))
    assert ledger.calls[:3] == [ledger.calls[0]] * 3


def test_given_up_after_patience_and_told_once() -> None:
    ledger = Ledger()
    ledger.failures = [StateUnavailable("away", next_step="start it")] * 3
    with buffer(ledger, count=2, linger=LONG, give_up_after=AT_ONCE) as its:
        told, untold = its.add(put(1)), its.add(put(2))
        with pytest.raises(StateUnavailable) as raised:
            told.submission(SOON)
        assert raised.value.tenant_id == "t_a"
        with pytest.raises(StateUnavailable) as at_close:
            its.close()
        assert untold.command.subject == "k2"
        assert at_close.value.__notes__ == ["1 commands of the buffer were not accepted"]
        its.close()


def test_one_that_cannot_be_handed_over_does_not_spoil_its_neighbours() -> None:
    ledger = Ledger()
    ledger.spoilt = {"k1"}
    with buffer(ledger, linger=LONG) as its:
        pending = [its.add(put(number)) for number in range(3)]
        its.flush(SOON)
        with pytest.raises(DeliveryError, match="ValueError") as raised:
            pending[1].submission()
        assert isinstance(raised.value.__cause__, ValueError)
        assert pending[0].submission().accepted
        assert pending[2].submission().accepted


def test_reused_op_id_reaches_who_asks_or_close() -> None:
    with buffer(Ledger(), linger=LONG) as its:
        pending = its.add(put(1).model_copy(update={"op_id": "taken"}))
        its.flush(SOON)
        with pytest.raises(OpIdReused):
            pending.submission()
        its.add(put(2).model_copy(update={"op_id": "taken"}))
        with pytest.raises(OpIdReused):
            its.close()


def test_nothing_of_a_refused_command_is_kept_once_its_caller_was_told() -> None:
    ledger = Ledger()
    with buffer(ledger, linger=AT_ONCE) as its:
        gone: list[weakref.ref[Command]] = []
        for number in range(20):
            command = put(number).model_copy(update={"op_id": "taken"})
            pending = its.add(command)
            with pytest.raises(OpIdReused):
                pending.submission(SOON)
            gone.append(weakref.ref(command))
        # Nobody asks for this one; its error is kept for `close`, and not its content.
        unasked = put(20).model_copy(update={"op_id": "taken"})
        gone.append(weakref.ref(unasked))
        its.add(unasked)
        its.flush(SOON)
        del command, pending, unasked

        def all_gone() -> bool:
            # The buffer's thread still has them for a moment after their callers were told.
            gc.collect()
            return [each() for each in gone] == [None] * 21

        wait_until(all_gone, "nothing is kept")
        with pytest.raises(OpIdReused) as raised:
            its.close()
        assert raised.value.__notes__ == ["1 commands of the buffer were not accepted"]


def test_full_tenant_waits_in_order_while_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush_queue, "AGAIN_SECONDS", 0.01)
    ledger = Ledger()
    ledger.full = {"t_a": 4}
    with buffer(ledger, count=4) as its:
        pending = [its.add(put(n, "t_a" if n % 2 else "t_b")) for n in range(40)]
        its.flush(SOON)
        assert all(each.submission().accepted for each in pending)
    odd = [name for name in ledger.accepted if int(name[1:]) % 2]
    assert odd == [put(n).subject for n in range(1, 40, 2)]
    assert ledger.accepted[0] == "k0"


def test_full_tenant_is_refused_in_the_end() -> None:
    ledger = Ledger()
    ledger.full = {"t_a": 10**9}
    with buffer(ledger, give_up_after=timedelta(milliseconds=100)) as its:
        pending = its.add(put(1))
        with pytest.raises(RateLimited, match="t_a"):
            pending.submission(SOON)


def test_order_is_kept_behind_one_that_is_handed_over_singly() -> None:
    ledger = Ledger()
    ledger.spoilt = {"k0"}
    with buffer(ledger, linger=LONG, give_up_after=SOON) as its:
        pending = [its.add(put(number)) for number in range(4)]
        ledger.full = {"t_a": 1}
        its.flush(SOON)
        pending[0].reported = True
    assert ledger.accepted == subjects(range(1, 4))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=60),
    st.integers(1, 20),
    st.integers(1, 30),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)),
    st.integers(0, 2),
)
def test_whatever_comes_all_is_accepted_once_in_the_order_of_its_tenant(
    adds: list[tuple[str, int]], count: int, capacity: int, full: dict[str, int], failures: int
) -> None:
    ledger = Ledger()
    ledger.full = {f"t_{name}": calls for name, calls in full.items()}
    ledger.failures = [StateUnavailable("away")] * failures
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush_queue, "AGAIN_SECONDS", 0.0)
        patch.setattr("tenacity.nap.time.sleep", lambda _: None)
        with buffer(ledger, count=count, capacity=capacity, linger=AT_ONCE) as its:
            names = [(tenant, put(n, f"t_{tenant}")) for n, (tenant, _) in enumerate(adds)]
            for _, command in names:
                its.add(command, timeout=SOON)
            its.close()
    assert sorted(ledger.accepted) == sorted(command.subject for _, command in names)
    for tenant in "abc":
        mine = [command.subject for its_tenant, command in names if its_tenant == tenant]
        assert [subject for subject in ledger.accepted if subject in mine] == mine


def test_many_threads_add() -> None:
    ledger = Ledger()
    with buffer(ledger, capacity=50) as its:
        pending: list[Pending] = []

        def add(first: int) -> None:
            pending.extend(its.add(put(n), timeout=SOON) for n in range(first, first + 200))

        threads = [threading.Thread(target=add, args=(1000 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        its.flush(SOON)
    assert len(set(ledger.accepted)) == len(ledger.accepted) == 1600
    for first in range(0, 8000, 1000):
        its_own = [n for n in map(_number, ledger.accepted) if first <= n < first + 1000]
        assert its_own == list(range(first, first + 200))


def test_forked_process_is_told_to_make_its_own() -> None:
    with buffer(Ledger(), linger=LONG) as its:
        its.add(put(1))

        def child() -> bool:
            try:
                its.add(put(2))
            except DeliveryError as error:
                its.close()  # does not wait for a thread that is not here
                return "parent process" in error.message
            return False

        assert _in_a_fork(child)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"capacity": 0}, {"linger": timedelta(seconds=-1)}]
)
def test_impossible_limits_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting):
        BufferLimits(**wrong)


def _fail_inside(its: Buffer) -> None:
    with its:
        its.add(put(1))
        raise KeyError("mine")


def _number(subject: str) -> int:
    return int(subject[1:])


def _in_a_fork(check: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_whoever_gives_up_waiting_ends_nothing() -> None:
    async def give_up(pending: Pending) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(pending.settled), 0.01)

    ledger = Ledger()
    with buffer(ledger, count=1) as its:
        ledger.open.clear()
        first = its.add(put(0))
        asyncio.run(give_up(first))
        assert not first.settled.cancel()
        ledger.open.set()
        assert first.submission(SOON).accepted
        assert its.add(put(1)).submission(SOON).accepted
    assert ledger.accepted == subjects(range(2))


class Broken(BaseException):
    """What no part of the buffer expects."""


def test_what_ends_the_thread_is_told_to_everyone() -> None:
    ledger = Ledger()
    with buffer(ledger, count=1) as its:
        ledger.open.clear()
        ledger.failures = [Broken()]  # type: ignore[list-item]
        pending = [its.add(put(number)) for number in range(5)]
        ledger.open.set()
        for each in pending:
            with pytest.raises(DeliveryError, match=r"broke \(Broken\)") as told:
                each.submission(SOON)
            assert isinstance(told.value.__cause__, Broken)
            assert told.value.tenant_id == "t_a"
        with pytest.raises(DeliveryError, match="broke"):
            its.add(put(9), timeout=SOON)
        with pytest.raises(DeliveryError, match="broke"):
            its.close()
        its.close()


def test_adds_that_wait_for_room_are_told_when_the_thread_ends() -> None:
    ledger = Ledger()
    with buffer(ledger, count=1, capacity=1) as its:
        ledger.open.clear()
        ledger.failures = [Broken()]  # type: ignore[list-item]
        its.add(put(0))
        threading.Timer(0.05, ledger.open.set).start()
        with pytest.raises(DeliveryError, match="broke"):
            its.add(put(1), timeout=SOON)
        with pytest.raises(DeliveryError, match="broke"):
            its.close()


class Clock:
    """Time for the queues of full scopes, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(f"{flush_queue.__name__}.time.monotonic", lambda: self.now)


@pytest.mark.parametrize("under_way", [0, 1, 2])
def test_what_few_others_are_under_way_beside_lingers_as_ever(
    monkeypatch: pytest.MonkeyPatch, under_way: int
) -> None:
    clock = Clock(monkeypatch)
    its = flush_queue.FlushQueue[int](
        100, 1000, linger=2, longest=20, in_flight=lambda: 1 + under_way
    )
    assert its.add("p", 1, 1)
    clock.now += 1.9
    assert its.take(10) == []
    clock.now += 0.2
    assert its.seconds() == pytest.approx(17.9)
    assert its.take(10) == [1]


def test_beside_many_under_way_more_are_gathered_until_a_half_or_the_longest_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, under_way = Clock(monkeypatch), 4
    its = flush_queue.FlushQueue[int](
        100, 1000, linger=2, longest=20, in_flight=lambda: here + under_way
    )
    here = 1
    its.add("p", 1, 1)
    clock.now += 3
    assert its.take(10) == []
    assert its.seconds() == pytest.approx(17)
    here = 2
    assert its.add("p", 2, 1), "a half of what is under way: whoever takes is to look"
    assert its.take(10) == [1, 2]
    here = 1
    its.add("p", 3, 1)
    clock.now += 20
    assert its.take(10) == [3]

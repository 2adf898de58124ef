"""Breakers, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import fakeredis
import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import (
    BackendResting,
    LeaseExpired,
    NotFound,
    SignalboxError,
    Unavailable,
)
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.scope import Mode
from signalbox.commands.state import state_over
from signalbox.routing.policy.policy import FREE
from signalbox.routing.route import Route
from signalbox.workers.execution import breakers as breakers_module
from signalbox.workers.execution.breaker import FAILURES, HANGING_SECONDS, LONGEST_REST
from signalbox.workers.execution.breakers import Breakers
from signalbox.workers.execution.pipeline_types import Admitted, Early, Ended, Watch

GIB = 2**30


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(breakers_module, "time", clock)
    return clock


@pytest.fixture
def breakers() -> Breakers:
    return Breakers(state_over(fakeredis.FakeRedis()), "w")


def item(
    key: str = "k",
    size: int | None = None,
    tenant: str = "t_a",
    backend_type: str = "filesystem",
) -> Admitted:
    payload = InlinePayload(data=b"x")
    staged = StagedPayload(ref="0" * 32, size=size, sha256="0" * 64) if size else payload
    command = PutObject(tenant_id=tenant, env="dev", key=key, payload=staged)
    route = Route(
        scope=command.scope,
        backend_type=backend_type,
        config={"base_dir": "/somewhere"},
        mode=Mode.LAB,
        revision=1,
        hash="0" * 64,
        updated_at=datetime.now(UTC),
        updated_by="a",
        reason="r",
    )
    claimed = Claimed(command, "t", 1, 1, 1, 1, lease_clock() + 30, datetime.now(UTC), "1-0")
    backend = find_backend(command.scope.kind, backend_type)
    return Admitted(claimed, route, backend, Mode.LAB, FREE.quotas)


def end(of: Admitted, error: SignalboxError | None = None) -> Ended:
    return Ended(of.claimed, of.route, result=None if error else {}, error=error)


def all_end_by(error: SignalboxError | None) -> object:
    def run(items: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
        ends = []
        for each in items:
            refused = watch.begin([each])
            ends += refused or [end(each, error)]
            if not refused:
                watch.ended(ends[-1:])
        return ends

    return run


def resting(ends: Sequence[Ended]) -> list[bool]:
    return [isinstance(each.error, BackendResting) for each in ends]


def no_early(_: Sequence[Ended]) -> None:
    raise AssertionError("nothing takes long here")


def down() -> Unavailable:
    return Unavailable("no answer", next_step="wait")


def run(breakers: Breakers, count: int, error: SignalboxError | None) -> list[Ended]:
    return breakers.run([item(f"k{n}") for n in range(count)], all_end_by(error), no_early)  # type: ignore[arg-type]


def test_after_some_failures_the_rest_of_the_same_message_is_not_begun(
    breakers: Breakers, clock: Clock
) -> None:
    ends = run(breakers, 10, down())
    assert all(resting(ends))
    assert [each.tried for each in ends] == [True] * FAILURES + [False] * (10 - FAILURES)


def test_one_probe_a_rest_and_each_failed_one_doubles_it(breakers: Breakers, clock: Clock) -> None:
    run(breakers, FAILURES, down())
    rests = []
    for _ in range(8):
        assert [each.tried for each in run(breakers, 1, down())] == [False]
        began = clock.now
        while not any(each.tried for each in run(breakers, 3, down())):
            clock.now += 0.25
        rests.append(clock.now - began)
    assert rests == [1, 2, 4, 8, 16, LONGEST_REST, LONGEST_REST, LONGEST_REST]
    clock.now += LONGEST_REST
    assert resting(run(breakers, 1, None)) == [False]
    assert resting(run(breakers, 5, None)) == [False] * 5


@pytest.mark.parametrize("error", [None, NotFound("no", next_step="n")])
def test_any_answer_is_an_answer(
    breakers: Breakers, clock: Clock, error: SignalboxError | None
) -> None:
    for _ in range(3):
        run(breakers, FAILURES - 1, down())
        assert not any(resting(run(breakers, 1, error)))


def test_a_lease_that_ran_out_says_nothing(breakers: Breakers, clock: Clock) -> None:
    run(breakers, FAILURES - 1, down())
    run(breakers, 1, LeaseExpired("late"))
    assert all(resting(run(breakers, 1, down())))


def test_what_has_not_begun_when_the_backend_hangs_is_parked(
    breakers: Breakers, clock: Clock
) -> None:
    items = [item("a"), item("b")]

    def hang(given: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
        assert watch.begin(given[:1]) == []
        clock.now += HANGING_SECONDS + 1
        return [end(given[0]), *watch.begin(given[1:])]

    assert resting(breakers.run(items, hang, no_early)) == [False, True]


def test_large_content_takes_its_time(breakers: Breakers, clock: Clock) -> None:
    items = [item("a", GIB), item("b", GIB)]

    def slow(given: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
        assert watch.begin(given[:1]) == []
        clock.now += 60
        assert watch.begin(given[1:]) == []
        return [end(each) for each in given]

    assert resting(breakers.run(items, slow, no_early)) == [False, False]


def test_two_messages_that_hang_park_a_third(breakers: Breakers, clock: Clock) -> None:
    def third(given: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
        clock.now += HANGING_SECONDS + 1
        assert all(resting(run(breakers, 3, None)))
        return [end(each) for each in given]

    def second(given: Sequence[Admitted], watch: Watch, _: Early) -> list[Ended]:
        return breakers.run([item("second")], third, no_early) and [end(each) for each in given]

    assert resting(breakers.run([item("first")], second, no_early)) == [False]


@pytest.mark.parametrize(("backend_type", "together"), [("filesystem", False), ("s3", True)])
def test_a_tenant_whose_files_are_locked_parks_no_other_tenant_of_its_base_dir(
    breakers: Breakers, clock: Clock, backend_type: str, together: bool
) -> None:
    locked = [item(f"k{n}", backend_type=backend_type) for n in range(FAILURES)]
    breakers.run(locked, all_end_by(down()), no_early)  # type: ignore[arg-type]
    other = item(tenant="t_b", backend_type=backend_type)
    assert resting(breakers.screen([other])[1]) == [True] * together
    [(_, found, _, scope)] = breakers._report.read()
    assert (found, scope) == (backend_type, "" if together else "object_store/t_a/dev")


def test_the_screen_lets_one_probe_pass_and_begins_nothing(
    breakers: Breakers, clock: Clock
) -> None:
    run(breakers, FAILURES, down())
    items = [item(f"k{n}") for n in range(3)]
    assert breakers.screen(items)[0] == []
    clock.now += 1.5
    for _ in range(2):
        ready, parked = breakers.screen(items)
        assert (ready, len(parked)) == (items[:1], 2)
    assert sorted(resting(run(breakers, 3, None))) == [False, True, True]
    assert breakers.screen(items) == (items, [])

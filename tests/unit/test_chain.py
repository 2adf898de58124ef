"""The chain of events over archive and log, and over a registry that lost some."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from routing.chain import Chain
from routing.event import EventData, Kind, StreamEvent, make_event
from routing.row import Head

START = Head("e1", 0, "")


def line(
    after: StreamEvent | None, reasons: str, kind: Kind = "switched", epoch: str = "e1"
) -> list[StreamEvent]:
    """One event a letter, each behind the one before."""
    events: list[StreamEvent] = []
    for reason in reasons:
        before = events[-1] if events else after
        data = EventData(actor="ann", reason=reason, before=None, after=None, change_id=reason)
        revision, prev = (before.revision + 1, before.hash) if before else (1, "")
        events.append(make_event(kind, "s", data, epoch=epoch, revision=revision, prev=prev))
    return events


def judged(archived: Sequence[StreamEvent], logged: Sequence[StreamEvent], base: Head) -> Chain:
    chain = Chain()
    chain.begin_archive(base)
    for event in archived:
        chain.add(event)
    chain.begin_log(base)
    for event in logged:
        chain.add(event)
    last = logged[-1]
    chain.end(Head(last.epoch, last.revision, last.hash))
    return chain


def head_of(event: StreamEvent) -> Head:
    return Head(event.epoch, event.revision, event.hash)


def test_what_is_archived_and_still_in_the_log_counts_once() -> None:
    events = line(None, "abcdef")
    chain = judged(events[:5], events[2:], head_of(events[1]))
    assert (chain.fault, chain.count, chain.last_revision) == (None, 6, 6)


def test_an_archived_event_that_is_missing_from_the_log_is_named() -> None:
    events = line(None, "abcdef")
    chain = judged(events, [*events[2:4], events[5]], head_of(events[1]))
    assert chain.fault is not None
    assert chain.fault.revision == 5


def test_an_archive_with_a_hole_is_named_at_the_hole() -> None:
    events = line(None, "abcdef")
    chain = judged([*events[:2], events[3]], events[4:], head_of(events[3]))
    assert chain.fault is not None
    assert chain.fault.revision == 4


@pytest.mark.parametrize("archived_since", [0, 2, 4])
@pytest.mark.parametrize("rebased", [True, False])
def test_a_branch_is_a_fault_until_an_operator_has_declared_it_right(
    rebased: bool, archived_since: int
) -> None:
    first = line(None, "abcdef")
    # Restored at the third; then changed, declared right, and changed again.
    branch = line(first[2], "xy")
    branch += line(branch[-1], "r", "rebased" if rebased else "switched", "e2")
    branch += line(branch[-1], "z", epoch="e2")
    chain = judged([*first, *branch[:archived_since]], [*first[:3], *branch], START)
    if rebased:
        assert (chain.fault, chain.lost, chain.last_revision) == (None, 3, 7)
    else:
        assert chain.fault is not None
        assert chain.fault.revision == 4
        assert "two different events" in chain.fault.reason


def test_behind_a_rebase_the_chain_is_watched_as_before() -> None:
    first = line(None, "abcd")
    branch = line(first[1], "r", "rebased", "e2")
    branch += line(branch[-1], "xyz", epoch="e2")
    chain = judged(first, [*first[:2], branch[0], *branch[2:]], START)
    assert chain.fault is not None
    assert chain.fault.revision == 5

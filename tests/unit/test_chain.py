"""The chain of events: taken whole, broken at its first bad link, and branched at a rebase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from signalbox.routing.audit.chain import Chain
from signalbox.routing.registry.event import EventData, Kind, StreamEvent, make_event
from signalbox.routing.registry.records import Head

NOTHING = Head("", 0, "")


def event_behind(before: StreamEvent | None, what: str = "", kind: Kind = "set") -> StreamEvent:
    """The next event; another one for another `what`."""
    data = EventData(actor="ann", reason=what, before=None, after=None, change_id="c")
    revision, prev = (before.revision + 1, before.hash) if before else (1, "")
    subject = "object_store/t_a/dev"
    return make_event(kind, subject, data, epoch="e", revision=revision, prev=prev)


def events_of(length: int, behind: StreamEvent | None = None, what: str = "") -> list[StreamEvent]:
    found: list[StreamEvent] = []
    for _ in range(length):
        found.append(event_behind(found[-1] if found else behind, what))
    return found


def head_of(events: Sequence[StreamEvent]) -> Head:
    return Head("e", events[-1].revision, events[-1].hash)


def chain_of(events: Iterable[StreamEvent], base: Head = NOTHING) -> Chain:
    """A log that begins behind `base`."""
    chain = Chain()
    chain.begin_log(base)
    for event in events:
        chain.add(event)
    return chain


def with_archive(
    archived: Iterable[StreamEvent], logged: Iterable[StreamEvent], base: Head = NOTHING
) -> Chain:
    """An archive, and the log that goes on from it."""
    chain = Chain()
    chain.begin_archive(base)
    for event in archived:
        chain.add(event)
    chain.begin_log(base)
    for event in logged:
        chain.add(event)
    return chain


def fault_of(chain: Chain, head: Head) -> tuple[int, str]:
    chain.end(head)
    assert chain.fault is not None
    return chain.fault.revision, chain.fault.reason


def test_a_whole_log_is_counted_to_its_end() -> None:
    events = events_of(5)
    chain = chain_of(events)
    chain.end(head_of(events))
    assert (chain.fault, chain.count, chain.lost) == (None, 5, 0)
    assert (chain.first_revision, chain.last_revision) == (1, 5)
    assert chain.last_hash == events[-1].hash


def test_no_events_at_all_are_whole() -> None:
    chain = chain_of([])
    chain.end(NOTHING)
    assert (chain.fault, chain.count) == (None, 0)


def test_what_stands_behind_what_was_trimmed_is_whole() -> None:
    events = events_of(6)
    chain = chain_of(events[3:], head_of(events[:3]))
    chain.end(head_of(events))
    assert (chain.fault, chain.count, chain.first_revision) == (None, 3, 4)


def test_trimmed_down_to_nothing_it_must_still_end_where_the_registry_is() -> None:
    events = events_of(3)
    chain = chain_of([], head_of(events))
    chain.end(head_of(events))
    assert chain.fault is None
    assert fault_of(chain_of([], head_of(events[:2])), head_of(events))[0] == 3


def test_only_the_first_bad_link_is_told() -> None:
    events = events_of(6)
    chain = chain_of([events[0], *events[2:4], *events[5:]])
    assert fault_of(chain, head_of(events)) == (3, "it follows revision 1")
    assert chain.count == 1


def test_an_event_under_a_hash_that_is_not_its_own_is_told_before_its_place() -> None:
    events = events_of(3)
    edited = events[2].model_copy(update={"subject": "object_store/t_b/dev"})
    revision, reason = fault_of(chain_of([events[0], edited]), head_of(events))
    assert (revision, reason) == (3, "its content is not what its hash says")


def test_an_event_that_names_another_before_it_is_told() -> None:
    events, others = events_of(3), events_of(3, what="other")
    chain = chain_of([*events[:2], others[2]])
    revision, reason = fault_of(chain, head_of(events))
    assert revision == 3
    assert "another event as the one before it" in reason


def test_an_event_that_cannot_be_read_is_told_as_the_next_one() -> None:
    events = events_of(4)
    chain = chain_of(events[:2])
    chain.add_unreadable()
    assert fault_of(chain, head_of(events)) == (3, "it cannot be read")


@pytest.mark.parametrize(("logged", "at", "broken"), [(2, 4, 3), (4, 2, 3)])
def test_a_head_elsewhere_than_the_last_event_is_told(logged: int, at: int, broken: int) -> None:
    events = events_of(4)
    assert fault_of(chain_of(events[:logged]), head_of(events[:at]))[0] == broken


def test_two_histories_of_one_revision_are_a_fault_until_a_rebase() -> None:
    events = events_of(5)
    again = events_of(2, events[2], what="after the loss")
    log = [*events[:3], *again]
    chain = with_archive(events, log)
    revision, reason = fault_of(chain, head_of(log))
    assert (revision, reason) == (4, "there are two different events of this revision")

    log.append(event_behind(log[-1], kind="rebased"))
    chain = with_archive(events, log)
    chain.end(head_of(log))
    assert (chain.fault, chain.lost) == (None, 2)
    assert chain.last_revision == 6


def test_a_second_loss_behind_a_rebase_is_a_fault_again() -> None:
    events = events_of(3)
    rebased = event_behind(events[1], kind="rebased")
    more = events_of(1, rebased)
    other = events_of(1, rebased, what="other")
    chain = with_archive([*events, rebased, *more], [*events[:2], rebased, *other])
    assert fault_of(chain, head_of(other))[0] == 4


def test_an_archive_and_a_log_that_has_the_same_events_count_once() -> None:
    events = events_of(6)
    chain = with_archive(events[:4], events)
    chain.end(head_of(events))
    assert (chain.fault, chain.count) == (None, 6)


def test_an_archive_and_the_rest_of_a_trimmed_log_are_one_chain() -> None:
    events = events_of(6)
    chain = with_archive(events[:5], events[3:], head_of(events[:3]))
    chain.end(head_of(events))
    assert (chain.fault, chain.count, chain.first_revision) == (None, 6, 1)


def test_an_archive_that_begins_later_than_the_log_did_is_taken_as_it_is() -> None:
    events = events_of(6)
    chain = with_archive(events[2:5], events[2:])
    chain.end(head_of(events))
    assert (chain.fault, chain.count, chain.first_revision) == (None, 4, 3)


def test_events_between_the_archives_end_and_what_was_trimmed_are_missed() -> None:
    events = events_of(6)
    chain = with_archive(events[:2], events[4:], head_of(events[:4]))
    assert fault_of(chain, head_of(events)) == (5, "it follows revision 2")


def test_an_archived_event_that_the_log_lacks_is_told() -> None:
    events = events_of(5)
    chain = with_archive(events, events[:3])
    revision, reason = fault_of(chain, head_of(events[:3]))
    assert (revision, reason) == (4, "it is archived, and missing from the log")


def test_an_archived_event_twice_is_a_fault() -> None:
    events = events_of(3)
    assert fault_of(with_archive([*events, events[1]], events), head_of(events))[0] == 2

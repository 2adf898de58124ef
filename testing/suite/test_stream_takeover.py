"""Repeated appends: an event is stored once, and the retry gets the same answer."""

from __future__ import annotations

import pytest

from signalbox.commands.error import LeaseExpired, PreconditionFailed
from signalbox.commands.scope import ResourceKind
from signalbox.testing.store_caller import Acceptance
from signalbox.testing.stream_caller import StreamCaller

KIND = ResourceKind.EVENT_STREAM

repeated = pytest.mark.parametrize("takeover", [False, True], ids=["woken", "takeover"])
named = pytest.mark.parametrize("event_id", [None, "e-1"], ids=["of the command", "given"])


@repeated
@named
def test_an_append_that_was_done_is_answered_again(
    stream: StreamCaller, takeover: bool, event_id: str | None
) -> None:
    acceptance = Acceptance()
    stream.append({"n": 0})
    first = stream.append({"n": 1}, call=stream.call(acceptance), id=event_id)
    stream.append({"n": 2})
    again = stream.append({"n": 1}, call=stream.call(acceptance, takeover=takeover), id=event_id)
    assert again == first
    assert (again.version, again.duplicate) == (2, False)
    assert stream.history() == [(1, {"n": 0}), (2, {"n": 1}), (3, {"n": 2})]


@repeated
def test_an_append_at_a_version_that_was_done_is_not_refused(
    stream: StreamCaller, takeover: bool
) -> None:
    acceptance = Acceptance()
    first = stream.append(call=stream.call(acceptance), expected_version=0)
    stream.append()
    call = stream.call(acceptance, takeover=takeover)
    assert stream.append(call=call, expected_version=0) == first
    assert len(stream.events()) == 2


def test_an_append_that_was_not_done_is_done_now(stream: StreamCaller) -> None:
    stream.append({"n": 1})
    result = stream.append({"n": 2}, call=stream.call(takeover=True), expected_version=1)
    assert (result.version, result.duplicate) == (2, False)
    assert stream.history() == [(1, {"n": 1}), (2, {"n": 2})]


def test_a_takeover_still_honours_its_condition(stream: StreamCaller) -> None:
    stream.append()
    with pytest.raises(PreconditionFailed):
        stream.append(call=stream.call(takeover=True), expected_version=0)
    assert len(stream.events()) == 1


def test_an_id_of_another_command_is_a_duplicate_in_a_takeover_too(stream: StreamCaller) -> None:
    stream.append({"n": 1}, id="e")
    acceptance = Acceptance()
    results = [
        stream.append({"n": 2}, id="e", call=stream.call(acceptance, takeover=takeover))
        for takeover in (False, True)
    ]
    assert [(result.version, result.duplicate) for result in results] == [(1, True)] * 2
    assert stream.history() == [(1, {"n": 1})]


@named
def test_a_replayed_append_knows_its_event(stream: StreamCaller, event_id: str | None) -> None:
    acceptance = Acceptance()
    item = stream.item({"n": 1}, call=stream.call(acceptance), id=event_id, expected_version=0)
    first = stream.store.append(*item)
    stream.append({"n": 2})
    again = stream.store.append(item[0], stream.call(acceptance.replayed(), takeover=True))
    assert again == first
    assert not again.duplicate
    assert stream.history() == [(1, {"n": 1}), (2, {"n": 2})]


@repeated
def test_an_op_id_used_anew_names_the_event_that_was_there(
    stream: StreamCaller, takeover: bool
) -> None:
    """The id of an event is used once in its stream, for ever; an op_id is one by default."""
    nightly = {"op_id": "nightly"}
    command, call = stream.item({"day": 1}, call=stream.call(Acceptance.numbered()))
    assert not stream.store.append(command.model_copy(update=nightly), call).duplicate
    command, call = stream.item(
        {"day": 2}, call=stream.call(Acceptance.numbered(), takeover=takeover)
    )
    answer = stream.store.append(command.model_copy(update=nightly), call)
    assert (answer.version, answer.duplicate) == (1, True)
    command, call = stream.item({"day": 2}, id="day-2", call=stream.call(Acceptance.numbered()))
    answer = stream.store.append(command.model_copy(update=nightly), call)
    assert (answer.version, answer.duplicate) == (2, False)
    assert stream.history() == [(1, {"day": 1}), (2, {"day": 2})]


@repeated
def test_a_bulk_append_that_was_done_is_answered_again(
    stream: StreamCaller, takeover: bool
) -> None:
    acceptances = [Acceptance() for _ in range(6)]

    def append(count: int, takeover: bool) -> list[object]:
        calls = [stream.call(acceptance, takeover=takeover) for acceptance in acceptances[:count]]
        items = [stream.item({"n": n}, call=call) for n, call in enumerate(calls)]
        return list(stream.store.append_many(items))

    half = append(3, takeover=False)
    answers = append(6, takeover=takeover)
    assert answers[:3] == half
    assert [(getattr(a, "version", a), getattr(a, "duplicate", a)) for a in answers] == [
        (version, False) for version in range(1, 7)
    ]
    assert stream.history() == [(n + 1, {"n": n}) for n in range(6)]


def test_a_lease_that_ran_out_has_no_effect(stream: StreamCaller) -> None:
    stream.append({"n": 1})
    for expected in (None, 1):
        with pytest.raises(LeaseExpired) as refused:
            stream.append({"n": 2}, call=stream.late(), expected_version=expected)
        assert refused.value.temporary
    with pytest.raises(LeaseExpired):
        stream.append(stream="new", call=stream.late(), expected_version=0)
    assert stream.history() == [(1, {"n": 1})]
    assert stream.history("new") == []

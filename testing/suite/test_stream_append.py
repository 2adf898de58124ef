"""Appends to streams: versions without gaps, unique ids, and expected versions."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from signalbox.adapters.port import Call
from signalbox.commands.error import Contended, PreconditionFailed, TooLarge, Unavailable
from signalbox.commands.event_stream import AppendResult
from signalbox.commands.scope import ResourceKind
from signalbox.commands.value import MAX_DATA_BYTES
from signalbox.testing.stream_caller import StreamCaller

KIND = ResourceKind.EVENT_STREAM

ODD_NAMES = [
    *(".", "..", "a/b", "__name__", "a.b", " a ", "a%2Fb", "a#b", "`a`", "'a'", '"a"', "*"),
    *("CaSe", "case", "é", "e\u0301", "🚂", "\uffff", "\U0010ffff", "x" * 256, "é" * 128),
]


def test_versions_are_one_two_three(stream: StreamCaller) -> None:
    results = [stream.append({"n": n}) for n in range(5)]
    assert [result.version for result in results] == [1, 2, 3, 4, 5]
    assert not any(result.duplicate for result in results)
    assert {result.stream for result in results} == {"orders"}
    assert stream.history() == [(n + 1, {"n": n}) for n in range(5)]


def test_each_stream_counts_for_itself(stream: StreamCaller) -> None:
    for n in range(3):
        assert stream.append({"n": n}, stream="a").version == n + 1
        assert stream.append({"n": -n}, stream="b").version == n + 1
    assert stream.history("a") == [(n + 1, {"n": n}) for n in range(3)]
    assert stream.history("b") == [(n + 1, {"n": -n}) for n in range(3)]


def test_an_event_without_an_id_takes_that_of_its_command(stream: StreamCaller) -> None:
    call = stream.call()
    assert stream.append(call=call).event_id == call.mark
    assert [event.id for event in stream.events()] == [call.mark]


def test_an_id_that_is_there_is_a_duplicate_and_has_no_effect(stream: StreamCaller) -> None:
    first = stream.append({"n": 1}, id="e")
    stream.append({"n": 2})
    again = stream.append({"n": 3}, id="e", type="other")
    assert (first.version, first.duplicate) == (1, False)
    assert (again.event_id, again.version, again.duplicate) == ("e", 1, True)
    assert stream.history() == [(1, {"n": 1}), (2, {"n": 2})]


def test_an_id_counts_once_in_each_stream(stream: StreamCaller) -> None:
    stream.append(id="e", stream="a")
    assert not stream.append(id="e", stream="b").duplicate


def test_an_id_may_be_the_op_id_of_another_command(stream: StreamCaller) -> None:
    call = stream.call()
    stream.append({"n": 1}, call=call)
    assert stream.append({"n": 2}, id=call.mark).duplicate


def test_versions_go_on_behind_a_duplicate(stream: StreamCaller) -> None:
    stream.append(id="e")
    stream.append(id="e")
    assert stream.append().version == 2


def test_odd_ids_stay_apart(stream: StreamCaller) -> None:
    items = [stream.item({"id": name}, id=name) for name in ODD_NAMES]
    versions = [getattr(a, "version", a) for a in stream.store.append_many(items)]
    assert versions == list(range(1, len(ODD_NAMES) + 1))
    assert [(event.id, event.data["id"]) for event in stream.events()] == [
        (name, name) for name in ODD_NAMES
    ]


def test_odd_streams_stay_apart(stream: StreamCaller) -> None:
    items = [stream.item({"stream": name}, stream=name) for name in ODD_NAMES]
    assert {getattr(a, "version", a) for a in stream.store.append_many(items)} == {1}
    for name in ODD_NAMES:
        assert stream.history(name) == [(1, {"stream": name})]


def test_expected_version_zero_begins_a_stream(stream: StreamCaller) -> None:
    assert stream.append(expected_version=0).version == 1
    with pytest.raises(PreconditionFailed):
        stream.append(expected_version=0)
    assert len(stream.events()) == 1


def test_expected_version_is_that_of_the_last_event(stream: StreamCaller) -> None:
    for version in range(4):
        assert stream.append(expected_version=version).version == version + 1


@pytest.mark.parametrize("wrong", [0, 1, 3, 2**31, 2**63 - 1, 2**63, 10**30])
def test_another_expected_version_is_refused(stream: StreamCaller, wrong: int) -> None:
    stream.append()
    stream.append()
    with pytest.raises(PreconditionFailed) as refused:
        stream.append(expected_version=wrong)
    detail = refused.value.detail()
    assert (detail.kind, detail.tenant_id, detail.env) == (KIND, stream.tenant, "dev")
    assert detail.backend_type
    assert detail.next_step
    assert not detail.temporary
    assert len(stream.events()) == 2


def test_a_missing_stream_ends_at_zero(stream: StreamCaller) -> None:
    with pytest.raises(PreconditionFailed):
        stream.append(expected_version=1)
    assert stream.events() == []


def test_a_duplicate_is_known_before_its_condition_is_asked(stream: StreamCaller) -> None:
    stream.append(id="e")
    assert stream.append(id="e", expected_version=0).duplicate


def test_a_large_event_is_kept_whole_or_refused(stream: StreamCaller) -> None:
    data = {"x": "x" * (MAX_DATA_BYTES - 16)}
    try:
        stream.append(data)
    except TooLarge:
        data = {}
        assert stream.append().version == 1
    assert stream.history() == [(1, data)]


def append_patiently(stream: StreamCaller, data: dict[str, Any]) -> AppendResult:
    """As a worker does: what is temporary is tried again, as the same command."""
    call: Call = stream.call()
    for _ in range(50):
        try:
            return stream.append(data, call=call)
        except (Contended, Unavailable):
            continue
    raise AssertionError("the stream stayed unavailable")


def test_appends_side_by_side_leave_no_gap_and_keep_each_writers_order(
    stream: StreamCaller,
) -> None:
    writers, each = 5, 20
    begin = threading.Barrier(writers)

    def write(writer: int) -> list[int]:
        begin.wait()
        return [append_patiently(stream, {"w": writer, "n": n}).version for n in range(each)]

    with ThreadPoolExecutor(writers) as threads:
        versions = list(threads.map(write, range(writers)))
    history = stream.history()
    assert [version for version, _ in history] == list(range(1, writers * each + 1))
    for writer, written in enumerate(versions):
        assert [data["n"] for _, data in history if data["w"] == writer] == list(range(each))
        assert [v for v, data in history if data["w"] == writer] == written


def test_of_many_writers_of_one_id_one_adds_it(stream: StreamCaller) -> None:
    def write(number: int) -> AppendResult:
        return stream.append({"n": number}, id="once")

    with ThreadPoolExecutor(5) as threads:
        results = list(threads.map(write, range(5)))
    assert sorted(result.duplicate for result in results) == [False, True, True, True, True]
    (added,) = [n for n, result in enumerate(results) if not result.duplicate]
    assert stream.history() == [(1, {"n": added})]


def test_of_many_writers_at_one_version_one_wins(stream: StreamCaller) -> None:
    def write(number: int) -> int | None:
        try:
            stream.append({"n": number}, expected_version=0)
        except (PreconditionFailed, Contended, Unavailable):
            return None
        return number

    with ThreadPoolExecutor(5) as threads:
        winners = [n for n in threads.map(write, range(5)) if n is not None]
    assert stream.history() == [(1, {"n": winner}) for winner in winners]
    assert len(winners) == 1

"""Reads of streams: from any version, in order, without gaps, each event as it was appended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from signalbox.commands.scope import ResourceKind
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.typed_edges import EDGES
from signalbox.testing.typed_values import exact

KIND = ResourceKind.EVENT_STREAM


def fill(stream: StreamCaller, count: int) -> None:
    items = [stream.item({"n": n}) for n in range(1, count + 1)]
    stream.store.append_many(items)


def test_a_stream_that_is_not_there_is_empty(stream: StreamCaller) -> None:
    page = stream.read()
    assert (page.stream, page.events, page.next_after) == ("orders", [], 0)


def test_an_event_comes_back_as_it_was_given(stream: StreamCaller) -> None:
    happened = datetime(2026, 1, 31, 12, 0, 0, 123456, timezone(timedelta(hours=-5)))
    before = datetime.now(UTC)
    stream.append({"total": 9.5}, id="e-1", type="order/placed v1", time=happened)
    (event,) = stream.events()
    assert (event.version, event.id, event.type) == (1, "e-1", "order/placed v1")
    assert event.time == happened
    assert event.data == {"total": 9.5}
    assert abs(event.recorded_at - before) < timedelta(minutes=1)


def test_an_event_may_say_no_time_and_hold_no_data(stream: StreamCaller) -> None:
    stream.append()
    (event,) = stream.events()
    assert (event.time, event.data) == (None, {})


@pytest.mark.parametrize(
    "happened",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
    ids=str,
)
def test_an_event_may_be_of_any_time(stream: StreamCaller, happened: datetime) -> None:
    stream.append(time=happened)
    assert [event.time for event in stream.events()] == [happened]


def test_data_comes_back_in_its_types(stream: StreamCaller) -> None:
    items = [stream.item({"a": value, "b": [value, {"c": value}]}) for value in EDGES.values()]
    stream.store.append_many(items)
    assert [exact(event.data) for event in stream.events()] == [
        exact(command.event.data) for command, _ in items
    ]


@pytest.mark.parametrize("after", [0, 1, 4, 6, 7, 8, 1000, 2**63 - 1, 2**63, 10**30])
def test_a_reader_begins_anywhere(stream: StreamCaller, after: int) -> None:
    fill(stream, 7)
    page = stream.read(after=after)
    assert [event.version for event in page.events] == list(range(after + 1, 8))
    assert page.next_after == max(7, after)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_pages_of_any_size_hold_every_event_once(stream: StreamCaller, limit: int) -> None:
    fill(stream, 7)
    assert len(stream.read(limit=limit).events) == min(limit, 7)
    assert [event.data["n"] for event in stream.events(limit=limit)] == list(range(1, 8))


def test_a_long_stream_is_read_whole(stream: StreamCaller) -> None:
    fill(stream, 450)
    assert [event.version for event in stream.read(limit=1000).events] == list(range(1, 451))
    assert [e.version for e in stream.read(after=440, limit=1000).events] == list(range(441, 451))


def test_large_events_make_a_page_shorter(stream: StreamCaller) -> None:
    for n in range(8):
        stream.append({"n": n, "x": "x" * 300_000})
    page = stream.read()
    assert 1 <= len(page.events) <= 5
    assert [event.data["n"] for event in stream.events()] == list(range(8))


def test_readers_do_not_move_each_other(stream: StreamCaller) -> None:
    fill(stream, 3)
    assert stream.read(limit=2).next_after == 2
    assert [event.version for event in stream.read().events] == [1, 2, 3]


def test_a_reader_at_the_end_goes_on_when_more_comes(stream: StreamCaller) -> None:
    fill(stream, 2)
    end = stream.read().next_after
    assert stream.read(after=end).events == []
    stream.append({"n": 3})
    assert [event.data["n"] for event in stream.read(after=end).events] == [3]


def test_a_reader_beside_writers_never_sees_a_gap(stream: StreamCaller) -> None:
    def write(writer: int) -> None:
        for _ in range(4):
            stream.store.append_many([stream.item({"w": writer}) for _ in range(5)])

    def follow() -> list[int]:
        seen: list[int] = []
        while not (writing.done() and seen and stream.read(after=seen[-1]).events == []):
            seen += [event.version for event in stream.events(after=seen[-1] if seen else 0)]
        return seen

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(write, 1)
        assert threads.submit(follow).result(timeout=300) == list(range(1, 21))
        writing.result()

"""Bulk appends: in order on each stream, with an answer for each command."""

from __future__ import annotations

from signalbox.commands.event_stream import AppendResult
from signalbox.commands.scope import ResourceKind
from signalbox.testing.store_caller import codes
from signalbox.testing.stream_caller import StreamCaller

KIND = ResourceKind.EVENT_STREAM


def test_nothing_is_answered_with_nothing(stream: StreamCaller) -> None:
    assert stream.store.append_many([]) == []


def test_events_are_added_in_the_order_given(stream: StreamCaller) -> None:
    items = [stream.item({"n": n}, id=f"e{n}") for n in range(130)]
    answers = stream.store.append_many(items)
    assert answers == [
        AppendResult(stream="orders", event_id=f"e{n}", version=n + 1, duplicate=False)
        for n in range(130)
    ]
    assert stream.history() == [(n + 1, {"n": n}) for n in range(130)]


def test_many_streams_count_each_for_itself(stream: StreamCaller) -> None:
    stream.append({"n": -1}, stream="s1")
    items = [stream.item({"n": n}, stream=f"s{n % 3}") for n in range(12)]
    answers = stream.store.append_many(items)
    assert [getattr(answer, "version", answer) for answer in answers] == [
        n // 3 + 1 + (n % 3 == 1) for n in range(12)
    ]
    for number in range(3):
        expected = [n for n in range(12) if n % 3 == number]
        assert [e.data["n"] for e in stream.events(f"s{number}")][-4:] == expected


def test_an_id_twice_in_one_call_counts_once(stream: StreamCaller) -> None:
    answers = stream.store.append_many(
        [
            stream.item({"n": 1}, id="e"),
            stream.item({"n": 2}, id="e"),
            stream.item({"n": 3}, id="e", stream="other"),
            stream.item({"n": 4}),
        ]
    )
    assert [(getattr(a, "version", a), getattr(a, "duplicate", a)) for a in answers] == [
        *((1, False), (1, True), (1, False), (2, False))
    ]
    assert stream.history() == [(1, {"n": 1}), (2, {"n": 4})]


def test_the_same_command_twice_in_one_call_is_answered_alike(stream: StreamCaller) -> None:
    item = stream.item({"n": 1})
    one, two = stream.store.append_many([item, item])
    assert one == two
    assert stream.history() == [(1, {"n": 1})]


def test_a_wrong_version_spoils_only_its_own(stream: StreamCaller) -> None:
    answers = stream.store.append_many(
        [
            stream.item({"n": 0}, expected_version=0),
            stream.item({"n": 1}, expected_version=0),
            stream.item({"n": 2}, expected_version=1),
            stream.item({"n": 3}),
            stream.item({"n": 4}, expected_version=7),
            stream.item({"n": 5}, stream="other", expected_version=0),
        ]
    )
    refused = "PRECONDITION_FAILED"
    assert codes(answers) == ["OK", refused, "OK", "OK", refused, "OK"]
    assert getattr(answers[1], "next_step", None)
    assert getattr(answers[1], "tenant_id", None) == stream.tenant
    assert stream.history() == [(1, {"n": 0}), (2, {"n": 2}), (3, {"n": 3})]
    assert stream.history("other") == [(1, {"n": 5})]


def test_a_lease_that_ran_out_holds_up_what_is_behind_it_on_its_stream(
    stream: StreamCaller,
) -> None:
    answers = stream.store.append_many(
        [
            stream.item({"n": 0}),
            stream.item({"n": 1}, call=stream.late()),
            stream.item({"n": 2}),
            stream.item({"n": 3}, stream="other"),
        ]
    )
    found = codes(answers)
    assert (found[1], found[3]) == ("LEASE_EXPIRED", "OK")
    assert found[0] in ("OK", "LEASE_EXPIRED")
    assert found[2] != "OK"
    assert [data["n"] for _, data in stream.history()] == ([0] if found[0] == "OK" else [])
    assert stream.history("other") == [(1, {"n": 3})]


def test_large_events_go_together_or_are_refused_alone(stream: StreamCaller) -> None:
    sizes = [10, 1_040_000, 300_000, 10, 1_040_000, 300_000, 300_000, 10]
    items = [stream.item({"n": n, "x": "x" * size}) for n, size in enumerate(sizes)]
    found = codes(stream.store.append_many(items))
    assert {code for code, size in zip(found, sizes, strict=True) if size < 350_000} == {"OK"}
    assert set(found) <= {"OK", "TOO_LARGE"}
    events = stream.events()
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    assert [(e.data["n"], len(e.data["x"])) for e in events] == [
        (n, size) for n, size in enumerate(sizes) if found[n] == "OK"
    ]

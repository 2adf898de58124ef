"""Lines from a pipe: numbered, checked, and a pause is noticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from signalbox.commands.error import InvalidCommand, TooLarge
from signalbox.producers.bulk import line_input
from signalbox.producers.bulk.line_input import Line, read_lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, BinaryIO]]:
    source, sink = os.pipe()
    # An object, which is closed once: its number may be another thread's file afterwards.
    with open(sink, "wb", buffering=0) as writer:
        yield source, writer
    os.close(source)


def test_lines_are_numbered_and_blank_ones_left_out(pipe: tuple[int, BinaryIO]) -> None:
    source, sink = pipe
    sink.write(b'{"a": 1}\n\n  \r\n{"a": 2}\r\nlast')
    sink.close()
    found = [line for line in read_lines(source) if line is not None]
    assert [line.number for line in found] == [1, 4, 5]
    assert found[1].document(["a"]) == {"a": 2}


def test_a_pause_is_told_once_and_the_rest_follows(pipe: tuple[int, BinaryIO]) -> None:
    source, sink = pipe
    lines = read_lines(source)
    sink.write(b"one\ntw")
    first = next(lines)
    assert first is not None
    assert first.text == b"one"
    assert next(lines) is None
    sink.write(b"o\n")
    second = next(lines)
    assert second == Line(2, b"two")
    sink.close()
    assert [line for line in lines if line is not None] == []


def test_a_line_without_end_is_refused_before_it_is_held(
    pipe: tuple[int, BinaryIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_input, "MAX_LINE_BYTES", 1000)
    source, sink = pipe
    sink.write(b"short\n" + b"x" * 2000)
    lines = read_lines(source)
    assert next(lines) == Line(1, b"short")
    with pytest.raises(TooLarge, match="line 2"):
        list(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"null", "no JSON object"),
        (b"\xff", "UTF-8"),
        (b"{}", "no 'key'"),
        (b'{"key": 1, "kee": 2}', "unknown field 'kee'"),
        (b'{"key": ' + b"[" * 100_000, "cannot be read"),
        (b'{"key": ' + b"9" * 5000 + b"}", "cannot be read"),
    ],
)
def test_a_malformed_line_says_what_is_wrong(text: bytes, reason: str) -> None:
    with pytest.raises(InvalidCommand, match=reason) as caught:
        Line(7, text).document(["key"], ["data"])
    assert caught.value.next_step
    assert "line 7" in str(Line(7, text).fault(caught.value))


def test_a_byte_order_mark_is_no_content() -> None:
    assert Line(1, b'\xef\xbb\xbf{"key": 1}').document(["key"]) == {"key": 1}

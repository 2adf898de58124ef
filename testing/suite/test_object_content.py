"""Content, metadata and ranges of objects: what is read is what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from signalbox.commands.error import (
    IntegrityMismatch,
    InvalidCommand,
    LeaseExpired,
    NotFound,
    PayloadMissing,
)
from signalbox.commands.payload import StagedPayload
from signalbox.commands.scope import ResourceKind
from signalbox.testing.desk import Desk

KIND = ResourceKind.OBJECT_STORE

DIGITS = b"0123456789"


@pytest.mark.parametrize("content", [b"", b"\0", b"content", bytes(range(256)) * 300], ids=len)
def test_a_content_is_read_as_it_was_put(desk: Desk, content: bytes) -> None:
    result = desk.put("docs/a.bin", content)
    assert result.size == len(content)
    assert result.sha256 == hashlib.sha256(content).hexdigest()
    assert desk.read("docs/a.bin") == content


def _blocks(count: int) -> Iterator[bytes]:
    return (bytes([number % 251]) * 256 * 1024 for number in range(count))


@pytest.mark.parametrize("blocks", [20, 23, 41], ids=lambda n: f"{n * 256}KiB")
def test_a_large_staged_payload_is_stored_whole(desk: Desk, blocks: int) -> None:
    payload = desk.payloads.stage(_blocks(blocks))
    assert desk.put("large", payload).sha256 == payload.sha256
    assert desk.head("large").size == payload.size == blocks * 256 * 1024
    assert hashlib.sha256(desk.read("large")).hexdigest() == payload.sha256


def test_a_put_and_a_head_agree(desk: Desk) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    result = desk.put("a", b"four")
    info = desk.head("a")
    assert (info.key, info.size, info.etag) == ("a", 4, result.etag)
    assert before <= info.modified <= datetime.now(UTC) + timedelta(seconds=2)
    assert info.sha256 == result.sha256


def test_content_type_and_metadata_come_back(desk: Desk) -> None:
    metadata = {"colour": "green", "note": "a b=c;d", "x-1": ""}
    desk.put("a", content_type="text/plain; charset=utf-8", metadata=metadata)
    info = desk.head("a")
    assert info.content_type == "text/plain; charset=utf-8"
    assert {name: info.metadata.get(name) for name in ("colour", "note")} == {
        "colour": "green",
        "note": "a b=c;d",
    }
    assert desk.stream("a").info == info


def test_metadata_holds_nothing_that_was_not_given(desk: Desk) -> None:
    desk.put("a", metadata={"colour": "green"})
    assert desk.head("a").metadata == {"colour": "green"}


def test_an_overwrite_changes_content_etag_and_metadata(desk: Desk) -> None:
    first = desk.put("a", b"one", content_type="text/plain", metadata={"n": "1"})
    second = desk.put("a", b"two, longer")
    assert first.etag != second.etag
    info = desk.head("a")
    assert (info.etag, info.size, info.metadata) == (second.etag, 11, {})
    assert info.content_type == "application/octet-stream"
    assert desk.read("a") == b"two, longer"


def test_an_etag_has_no_quotes(desk: Desk) -> None:
    assert '"' not in desk.put("a").etag


def test_a_deleted_object_is_not_found(desk: Desk) -> None:
    desk.put("a")
    desk.delete("a")
    with pytest.raises(NotFound):
        desk.head("a")
    with pytest.raises(NotFound):
        desk.stream("a")
    assert desk.keys() == []


def test_a_delete_of_nothing_succeeds(desk: Desk) -> None:
    desk.delete("never")
    desk.put("a")
    desk.delete("a")
    desk.delete("a")
    assert desk.keys() == []


def test_a_key_can_be_put_again_after_its_delete(desk: Desk) -> None:
    desk.put("a", b"one")
    desk.delete("a")
    desk.put("a", b"two", if_absent=True)
    assert desk.read("a") == b"two"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(0, 3, b"0123", id="beginning"),
        pytest.param(None, 3, b"0123", id="beginning unsaid"),
        pytest.param(3, 6, b"3456", id="middle"),
        pytest.param(7, None, b"789", id="to the end"),
        pytest.param(0, 0, b"0", id="first byte"),
        pytest.param(9, 9, b"9", id="last byte"),
        pytest.param(9, None, b"9", id="last byte by end"),
        pytest.param(0, 9, DIGITS, id="all"),
        pytest.param(0, None, DIGITS, id="all by end"),
        pytest.param(8, 500, b"89", id="over the end"),
    ],
)
def test_a_range_holds_exactly_its_bytes(
    desk: Desk, first: int | None, last: int | None, expected: bytes
) -> None:
    desk.put("digits", DIGITS)
    stream = desk.stream("digits", first, last)
    assert (stream.first, stream.size) == (first or 0, len(expected))
    assert stream.info.size == 10
    assert stream.body.read() == expected
    assert stream.body.read() == b""
    stream.body.close()


@pytest.mark.parametrize("first", [10, 11, 5000])
def test_a_range_that_begins_past_the_end_is_refused(desk: Desk, first: int) -> None:
    desk.put("digits", DIGITS)
    with pytest.raises(InvalidCommand):
        desk.stream("digits", first)


@pytest.mark.parametrize(
    ("first", "last"), [(None, None), (0, None), (0, 0), (None, 0), (0, 500), (None, 500)]
)
def test_a_range_from_the_beginning_of_an_empty_object_is_empty(
    desk: Desk, first: int | None, last: int | None
) -> None:
    """Who reads an object in pieces need not know first whether there is anything in it."""
    desk.put("empty", b"", content_type="text/plain", metadata={"n": "1"})
    stream = desk.stream("empty", first, last)
    assert (stream.first, stream.size, stream.info.size) == (0, 0, 0)
    assert (stream.info.content_type, stream.info.metadata) == ("text/plain", {"n": "1"})
    assert stream.body.read() == b""
    stream.body.close()


@pytest.mark.parametrize(("first", "last"), [(1, None), (1, 1), (5000, 6000)])
def test_a_range_further_on_in_an_empty_object_is_refused(
    desk: Desk, first: int, last: int | None
) -> None:
    desk.put("empty", b"")
    with pytest.raises(InvalidCommand):
        desk.stream("empty", first, last)


@pytest.mark.parametrize(("first", "last"), [(0, None), (0, 0), (None, 500)])
def test_a_range_of_no_object_is_not_found(desk: Desk, first: int | None, last: int | None) -> None:
    with pytest.raises(NotFound):
        desk.stream("never", first, last)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("text/plain; charset=utf-8   ", "text/plain; charset=utf-8"),
        ("text/plain; ", "text/plain;"),
        ("text/plain;  a=b ;c=d", "text/plain;  a=b ;c=d"),
    ],
)
def test_a_content_type_comes_back_without_spaces_at_its_end(
    desk: Desk, given: str, kept: str
) -> None:
    desk.put("a", content_type=given)
    assert desk.head("a").content_type == kept
    assert desk.stream("a").info.content_type == kept


def test_a_body_is_read_in_small_steps(desk: Desk) -> None:
    desk.put("digits", DIGITS)
    body = desk.stream("digits", 2, 8).body
    assert [body.read(3), body.read(3), body.read(3), body.read(3)] == [b"234", b"567", b"8", b""]
    body.close()


def test_a_wrong_digest_stores_nothing(desk: Desk) -> None:
    payload = desk.payloads.stage([b"right"])
    wrong = StagedPayload(ref=payload.ref, size=5, sha256=hashlib.sha256(b"wrong").hexdigest())
    with pytest.raises(IntegrityMismatch):
        desk.put("a", wrong)
    assert desk.keys() == []


@pytest.mark.parametrize("size", [4, 6, 0])
def test_a_wrong_size_leaves_what_was_there(desk: Desk, size: int) -> None:
    desk.put("a", b"before")
    payload = desk.payloads.stage([b"right"])
    with pytest.raises(IntegrityMismatch):
        desk.put("a", StagedPayload(ref=payload.ref, size=size, sha256=payload.sha256))
    assert desk.read("a") == b"before"


def test_a_missing_payload_is_told_apart(desk: Desk) -> None:
    payload = desk.payloads.stage([b"x"])
    desk.payloads.remove(payload)
    with pytest.raises(PayloadMissing):
        desk.put("a", payload)
    assert desk.keys() == []


def test_an_expired_lease_puts_nothing(desk: Desk) -> None:
    with pytest.raises(LeaseExpired):
        desk.put("a", call=desk.call(seconds=-1))
    assert desk.keys() == []


def test_an_expired_lease_replaces_nothing(desk: Desk) -> None:
    desk.put("a", b"before")
    with pytest.raises(LeaseExpired):
        desk.put("a", b"after", call=desk.call(seconds=-1))
    assert desk.read("a") == b"before"


def test_an_expired_lease_deletes_nothing(desk: Desk) -> None:
    desk.put("a", b"before")
    with pytest.raises(LeaseExpired):
        desk.delete("a", call=desk.call(seconds=-1))
    assert desk.read("a") == b"before"

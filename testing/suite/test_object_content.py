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
from signalbox.testing.object_caller import ObjectCaller

KIND = ResourceKind.OBJECT_STORE

DIGITS = b"0123456789"


@pytest.mark.parametrize("content", [b"", b"\0", b"content", bytes(range(256)) * 300], ids=len)
def test_a_content_is_read_as_it_was_put(objects: ObjectCaller, content: bytes) -> None:
    result = objects.put("docs/a.bin", content)
    assert result.size == len(content)
    assert result.sha256 == hashlib.sha256(content).hexdigest()
    assert objects.read("docs/a.bin") == content


def _blocks(count: int) -> Iterator[bytes]:
    return (bytes([number % 251]) * 256 * 1024 for number in range(count))


@pytest.mark.parametrize("blocks", [20, 23, 41], ids=lambda n: f"{n * 256}KiB")
def test_a_large_staged_payload_is_stored_whole(objects: ObjectCaller, blocks: int) -> None:
    payload = objects.payloads.stage(_blocks(blocks))
    assert objects.put("large", payload).sha256 == payload.sha256
    assert objects.head("large").size == payload.size == blocks * 256 * 1024
    assert hashlib.sha256(objects.read("large")).hexdigest() == payload.sha256


def test_a_put_and_a_head_agree(objects: ObjectCaller) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    result = objects.put("a", b"four")
    info = objects.head("a")
    assert (info.key, info.size, info.etag) == ("a", 4, result.etag)
    assert before <= info.modified <= datetime.now(UTC) + timedelta(seconds=2)
    assert info.sha256 == result.sha256


def test_content_type_and_metadata_come_back(objects: ObjectCaller) -> None:
    metadata = {"colour": "green", "note": "a b=c;d", "x-1": ""}
    objects.put("a", content_type="text/plain; charset=utf-8", metadata=metadata)
    info = objects.head("a")
    assert info.content_type == "text/plain; charset=utf-8"
    assert {name: info.metadata.get(name) for name in ("colour", "note")} == {
        "colour": "green",
        "note": "a b=c;d",
    }
    assert objects.stream("a").info == info


def test_metadata_holds_nothing_that_was_not_given(objects: ObjectCaller) -> None:
    objects.put("a", metadata={"colour": "green"})
    assert objects.head("a").metadata == {"colour": "green"}


def test_an_overwrite_changes_content_etag_and_metadata(objects: ObjectCaller) -> None:
    first = objects.put("a", b"one", content_type="text/plain", metadata={"n": "1"})
    second = objects.put("a", b"two, longer")
    assert first.etag != second.etag
    info = objects.head("a")
    assert (info.etag, info.size, info.metadata) == (second.etag, 11, {})
    assert info.content_type == "application/octet-stream"
    assert objects.read("a") == b"two, longer"


def test_an_etag_has_no_quotes(objects: ObjectCaller) -> None:
    assert '"' not in objects.put("a").etag


def test_a_deleted_object_is_not_found(objects: ObjectCaller) -> None:
    objects.put("a")
    objects.delete("a")
    with pytest.raises(NotFound):
        objects.head("a")
    with pytest.raises(NotFound):
        objects.stream("a")
    assert objects.keys() == []


def test_a_delete_of_nothing_succeeds(objects: ObjectCaller) -> None:
    objects.delete("never")
    objects.put("a")
    objects.delete("a")
    objects.delete("a")
    assert objects.keys() == []


def test_a_key_can_be_put_again_after_its_delete(objects: ObjectCaller) -> None:
    objects.put("a", b"one")
    objects.delete("a")
    objects.put("a", b"two", if_absent=True)
    assert objects.read("a") == b"two"


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
    objects: ObjectCaller, first: int | None, last: int | None, expected: bytes
) -> None:
    objects.put("digits", DIGITS)
    stream = objects.stream("digits", first, last)
    assert (stream.first, stream.size) == (first or 0, len(expected))
    assert stream.info.size == 10
    assert stream.body.read() == expected
    assert stream.body.read() == b""
    stream.body.close()


@pytest.mark.parametrize("first", [10, 11, 5000])
def test_a_range_that_begins_past_the_end_is_refused(objects: ObjectCaller, first: int) -> None:
    objects.put("digits", DIGITS)
    with pytest.raises(InvalidCommand):
        objects.stream("digits", first)


@pytest.mark.parametrize(
    ("first", "last"), [(None, None), (0, None), (0, 0), (None, 0), (0, 500), (None, 500)]
)
def test_a_range_from_the_beginning_of_an_empty_object_is_empty(
    objects: ObjectCaller, first: int | None, last: int | None
) -> None:
    """Who reads an object in pieces need not know first whether there is anything in it."""
    objects.put("empty", b"", content_type="text/plain", metadata={"n": "1"})
    stream = objects.stream("empty", first, last)
    assert (stream.first, stream.size, stream.info.size) == (0, 0, 0)
    assert (stream.info.content_type, stream.info.metadata) == ("text/plain", {"n": "1"})
    assert stream.body.read() == b""
    stream.body.close()


@pytest.mark.parametrize(("first", "last"), [(1, None), (1, 1), (5000, 6000)])
def test_a_range_further_on_in_an_empty_object_is_refused(
    objects: ObjectCaller, first: int, last: int | None
) -> None:
    objects.put("empty", b"")
    with pytest.raises(InvalidCommand):
        objects.stream("empty", first, last)


@pytest.mark.parametrize(("first", "last"), [(0, None), (0, 0), (None, 500)])
def test_a_range_of_no_object_is_not_found(
    objects: ObjectCaller, first: int | None, last: int | None
) -> None:
    with pytest.raises(NotFound):
        objects.stream("never", first, last)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("text/plain; charset=utf-8   ", "text/plain; charset=utf-8"),
        ("text/plain; ", "text/plain;"),
        ("text/plain;  a=b ;c=d", "text/plain;  a=b ;c=d"),
    ],
)
def test_a_content_type_comes_back_without_spaces_at_its_end(
    objects: ObjectCaller, given: str, kept: str
) -> None:
    objects.put("a", content_type=given)
    assert objects.head("a").content_type == kept
    assert objects.stream("a").info.content_type == kept


def test_a_body_is_read_in_small_steps(objects: ObjectCaller) -> None:
    objects.put("digits", DIGITS)
    body = objects.stream("digits", 2, 8).body
    assert [body.read(3), body.read(3), body.read(3), body.read(3)] == [b"234", b"567", b"8", b""]
    body.close()


def test_a_wrong_digest_stores_nothing(objects: ObjectCaller) -> None:
    payload = objects.payloads.stage([b"right"])
    wrong = StagedPayload(ref=payload.ref, size=5, sha256=hashlib.sha256(b"wrong").hexdigest())
    with pytest.raises(IntegrityMismatch):
        objects.put("a", wrong)
    assert objects.keys() == []


@pytest.mark.parametrize("size", [4, 6, 0])
def test_a_wrong_size_leaves_what_was_there(objects: ObjectCaller, size: int) -> None:
    objects.put("a", b"before")
    payload = objects.payloads.stage([b"right"])
    with pytest.raises(IntegrityMismatch):
        objects.put("a", StagedPayload(ref=payload.ref, size=size, sha256=payload.sha256))
    assert objects.read("a") == b"before"


def test_a_missing_payload_is_told_apart(objects: ObjectCaller) -> None:
    payload = objects.payloads.stage([b"x"])
    objects.payloads.remove(payload)
    with pytest.raises(PayloadMissing):
        objects.put("a", payload)
    assert objects.keys() == []


def test_an_expired_lease_puts_nothing(objects: ObjectCaller) -> None:
    with pytest.raises(LeaseExpired):
        objects.put("a", call=objects.call(seconds=-1))
    assert objects.keys() == []


def test_an_expired_lease_replaces_nothing(objects: ObjectCaller) -> None:
    objects.put("a", b"before")
    with pytest.raises(LeaseExpired):
        objects.put("a", b"after", call=objects.call(seconds=-1))
    assert objects.read("a") == b"before"


def test_an_expired_lease_deletes_nothing(objects: ObjectCaller) -> None:
    objects.put("a", b"before")
    with pytest.raises(LeaseExpired):
        objects.delete("a", call=objects.call(seconds=-1))
    assert objects.read("a") == b"before"

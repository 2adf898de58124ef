"""Conditional writes of objects, and races that conditions decide."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from signalbox.commands.error import (
    AlreadyExists,
    Contended,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import ObjectCaller

KIND = ResourceKind.OBJECT_STORE

LARGE = 9 * 1024**2

T = TypeVar("T")


def insist(step: Callable[[], T]) -> T:
    """What a worker does with a step that others got between."""
    while True:
        try:
            return step()
        except Contended:
            continue


def test_if_absent_creates_once(objects: ObjectCaller) -> None:
    objects.put("a", b"one", if_absent=True)
    with pytest.raises(AlreadyExists):
        objects.put("a", b"two", if_absent=True)
    assert objects.read("a") == b"one"


def test_if_absent_holds_for_a_large_content(objects: ObjectCaller) -> None:
    payload = objects.payloads.stage([bytes(LARGE)])
    objects.put("a", payload, if_absent=True)
    with pytest.raises(AlreadyExists):
        objects.put("a", objects.payloads.stage([b"\1" * LARGE]), if_absent=True)
    assert objects.head("a").sha256 == payload.sha256


def test_if_match_replaces_the_version_that_was_seen(objects: ObjectCaller) -> None:
    seen = objects.put("a", b"one").etag
    assert objects.put("a", b"two", if_match=seen).etag != seen
    assert objects.read("a") == b"two"


def test_if_match_refuses_another_version(objects: ObjectCaller) -> None:
    seen = objects.put("a", b"one").etag
    objects.put("a", b"two")
    with pytest.raises(PreconditionFailed):
        objects.put("a", b"three", if_match=seen)
    assert objects.read("a") == b"two"


def test_if_match_refuses_a_missing_object(objects: ObjectCaller) -> None:
    seen = objects.put("a").etag
    objects.delete("a")
    with pytest.raises(PreconditionFailed):
        objects.put("a", b"two", if_match=seen)
    with pytest.raises(NotFound):
        objects.head("a")


@pytest.mark.parametrize("etag", ["", "*", "no-such-etag", '"', "a, b", "ü"])
def test_if_match_takes_nothing_but_an_etag(objects: ObjectCaller, etag: str) -> None:
    objects.put("a", b"one")
    with pytest.raises(PreconditionFailed):
        objects.put("a", b"two", if_match=etag)
    with pytest.raises(PreconditionFailed):
        objects.delete("a", if_match=etag)
    assert objects.read("a") == b"one"


def test_a_conditional_delete_removes_the_version_that_was_seen(objects: ObjectCaller) -> None:
    objects.delete("a", if_match=objects.put("a").etag)
    assert objects.keys() == []


def test_a_conditional_delete_refuses_another_version(objects: ObjectCaller) -> None:
    seen = objects.put("a", b"one").etag
    objects.put("a", b"two")
    with pytest.raises(PreconditionFailed):
        objects.delete("a", if_match=seen)
    assert objects.read("a") == b"two"


def test_a_conditional_delete_refuses_a_missing_object(objects: ObjectCaller) -> None:
    with pytest.raises(PreconditionFailed):
        objects.delete("a", if_match=hashlib.md5(b"x", usedforsecurity=False).hexdigest())


def test_a_refusal_names_its_place_and_the_next_step(objects: ObjectCaller) -> None:
    objects.put("a")
    with pytest.raises(AlreadyExists) as refused:
        objects.put("a", if_absent=True)
    detail = refused.value.detail()
    assert (detail.kind, detail.tenant_id, detail.env) == ("object_store", objects.tenant, "dev")
    assert detail.backend_type
    assert detail.next_step
    assert not detail.temporary


def test_of_many_creators_one_wins(objects: ObjectCaller) -> None:
    def create(number: int) -> str | None:
        try:
            return objects.put("a", f"{number}".encode(), if_absent=True).sha256
        except (AlreadyExists, Contended, Unavailable):
            return None

    with ThreadPoolExecutor(6) as threads:
        winners = [won for won in threads.map(create, range(12)) if won]
    assert winners == [hashlib.sha256(objects.read("a")).hexdigest()]


def test_a_counter_kept_by_compare_and_swap_loses_no_step(objects: ObjectCaller) -> None:
    objects.put("counter", b"0")

    def count(_: int) -> None:
        for _ in range(6):
            while True:
                stream = objects.stream("counter")
                value = int(stream.body.read())
                stream.body.close()
                try:
                    objects.put("counter", f"{value + 1}".encode(), if_match=stream.info.etag)
                except (PreconditionFailed, Contended, Unavailable):
                    continue
                break

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(count, range(5)))
    assert objects.read("counter") == b"30"


def test_readers_see_one_content_or_the_other_while_writers_write(objects: ObjectCaller) -> None:
    contents = [bytes([letter]) * 40_000 for letter in b"abcd"]
    objects.put("a", contents[0])
    seen: list[bytes] = []

    def write(content: bytes) -> None:
        for _ in range(8):
            insist(lambda: objects.put("a", content))

    def look() -> bytes:
        return insist(lambda: objects.read("a"))

    def read(_: int) -> None:
        seen.extend(look() for _ in range(16))

    with ThreadPoolExecutor(6) as threads:
        reads = threads.map(read, range(2))
        writes = threads.map(write, contents)
        list(reads), list(writes)
    assert len(seen) == 32
    assert set(seen) <= set(contents)

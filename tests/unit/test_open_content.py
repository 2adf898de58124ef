"""Contents on their way: what is read when, and what is closed."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime

import pytest

from signalbox.adapters.object_store import ObjectStream
from signalbox.commands.error import Unavailable
from signalbox.commands.object_store import ObjectInfo
from signalbox.gateway.open_content import PART_BYTES, Opened

INFO = ObjectInfo(key="k", size=0, etag="e", modified=datetime(2026, 1, 1, tzinfo=UTC))


class Body(io.BytesIO):
    """Says whether it was closed while it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.reading = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.reading = True
        self.begun.set()
        assert self.go_on.wait(60)
        self.reading = False
        return super().read(size)

    def close(self) -> None:
        assert not self.reading
        super().close()


def opened(body: Body, size: int) -> Opened:
    return Opened(ObjectStream(INFO, 0, size, body))


def test_what_fits_a_part_is_read_whole_and_closed_at_once() -> None:
    for data in (b"", b"abc", b"x" * PART_BYTES):
        body = Body(data)
        content = opened(body, len(data))
        assert (content.first_part, content.is_whole, body.closed) == (data, True, True)


def test_a_content_that_breaks_off_is_an_error_and_closed() -> None:
    body = Body(b"")
    with pytest.raises(Unavailable):
        opened(body, 3)
    assert body.closed
    long = Body(b"x" * (PART_BYTES + 1))
    content = opened(long, PART_BYTES + 2)
    content.read()
    with pytest.raises(Unavailable):
        content.read()
    content.close()
    assert long.closed


def test_a_close_waits_for_no_read_and_ends_behind_it() -> None:
    body = Body(b"x" * 3 * PART_BYTES)
    content = opened(body, 3 * PART_BYTES)
    body.begun.clear()
    body.go_on.clear()
    reader = threading.Thread(target=content.read)
    reader.start()
    assert body.begun.wait(60)
    content.close()
    assert not body.closed
    body.go_on.set()
    reader.join()
    assert body.closed
    content.close()

"""Ctrl-C while a loop runs, also where a library drops the exception."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

Item = TypeVar("Item")


def interruptible(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items. Raises KeyboardInterrupt after Ctrl-C, at the next item at the latest.

    Python raises it wherever the program is just then. Within a finalizer, or a library in another
    language, it may be printed and dropped. Must be used on the main thread.
    """
    seen = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        signal.default_int_handler(number, frame)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield from items
        return
    signal.signal(signal.SIGINT, note)
    try:
        for item in items:
            if seen:
                raise KeyboardInterrupt
            yield item
    finally:
        signal.signal(signal.SIGINT, before)

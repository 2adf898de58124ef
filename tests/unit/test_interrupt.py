"""Ctrl-C ends a loop, also where its exception is dropped."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from signalbox.producers.cli.interrupt import interruptible


class Interrupted:
    """Python drops what a finalizer raises."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_was_dropped_ends_the_loop_at_the_next_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        Interrupted()
        yield 2

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    its = interruptible(items())
    assert next(its) == 1
    with pytest.raises(KeyboardInterrupt):
        next(its)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_ignores_interrupts_goes_on_ignoring_them() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in interruptible([1]):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)

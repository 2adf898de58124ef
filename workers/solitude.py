"""Lets messages run side by side in a process, and a suspect one alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Solitude:
    """Many may be in company at once, or one alone. Whoever waits to be alone goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._company = 0
        self._alone = False
        self._waiting = 0

    @contextmanager
    def entered(self, *, alone: bool) -> Iterator[None]:
        with self._changed:
            if alone:
                self._waiting += 1
                self._changed.wait_for(lambda: not (self._company or self._alone))
                self._waiting -= 1
                self._alone = True
            else:
                self._changed.wait_for(lambda: not (self._alone or self._waiting))
                self._company += 1
        try:
            yield
        finally:
            with self._changed:
                if alone:
                    self._alone = False
                else:
                    self._company -= 1
                self._changed.notify_all()

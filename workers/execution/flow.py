"""The commands of one message on the adapters' threads, in lanes of steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], None], Sequence[T]]
"""What to call, and the items that have ended when it returns."""


@dataclass
class _Lane(Generic[T]):
    steps: deque[Sequence[T]]
    running: int = 0
    """Items of its step that have not ended."""


class Flow(Generic[T]):
    """Runs the steps of each lane in order, lanes side by side.

    Steps that can begin together become jobs together. No thread waits for another one's job.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[], None], Sequence[T]], None],
        lanes: Iterable[Sequence[Sequence[T]]],
        jobs_of: Callable[[Sequence[T]], Sequence[Job[T]]],
    ) -> None:
        """No step is empty; `jobs_of` makes jobs of items, each in exactly one, and `submit` has
        such a job run on a thread."""
        self._submit = submit
        self._jobs_of = jobs_of
        self._lanes = [_Lane(deque(steps)) for steps in lanes]
        self._lane_of = {
            id(item): lane for lane in self._lanes for step in lane.steps for item in step
        }
        self._open = len(self._lanes)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def start(self) -> None:
        self._advance(self._lanes)

    def ended(self, seconds: float) -> bool:
        """Wait so long; whether all has ended. Raises what a job raised, once all has."""
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def _advance(self, lanes: Sequence[_Lane[T]]) -> None:
        """Begin the next step of these lanes, whose last one has ended."""
        items: list[T] = []
        closed = 0
        for lane in lanes:
            if lane.steps and self._error is None:
                step = lane.steps.popleft()
                lane.running = len(step)
                items += step
            else:
                closed += 1
        try:
            if items:
                for call, its in self._jobs_of(items):
                    self._submit(partial(self._run, call, its), its)
        except BaseException as error:  # noqa: BLE001 - raised where the flow is waited for
            self._error, closed = error, len(lanes)
        with self._lock:
            self._open -= closed
            if self._open <= 0:
                self._ended.set()

    def _run(self, call: Callable[[], None], items: Sequence[T]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - see above
            self._error = error
        ready = []
        with self._lock:
            for item in items:
                lane = self._lane_of[id(item)]
                lane.running -= 1
                if not lane.running:
                    ready.append(lane)
        if ready:
            self._advance(ready)

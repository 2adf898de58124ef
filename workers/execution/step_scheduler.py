"""Runs the commands of one message on threads, in sequences of steps that run in parallel."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], None], Sequence[T]]
"""A function to call, and the items that have ended when it returns."""


@dataclass
class _Sequence(Generic[T]):
    steps: deque[Sequence[T]]
    running: int = 0
    """Number of items of the current step that have not ended."""


class StepScheduler(Generic[T]):
    """Runs the steps of each sequence in order, and sequences in parallel.

    Steps that can begin together become jobs together. No thread waits for the job of another.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[], None], Sequence[T]], None],
        sequences: Iterable[Sequence[Sequence[T]]],
        jobs_of: Callable[[Sequence[T]], Sequence[Job[T]]],
    ) -> None:
        """Prepare the sequences; a step must not be empty.

        `jobs_of` makes jobs of items, each item in exactly one job. `submit` runs a job on a
        thread.
        """
        self._submit = submit
        self._jobs_of = jobs_of
        self._sequences = [_Sequence(deque(steps)) for steps in sequences]
        self._sequence_of = {
            id(item): sequence
            for sequence in self._sequences
            for step in sequence.steps
            for item in step
        }
        self._open = len(self._sequences)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def start(self) -> None:
        """Submit the first step of each sequence."""
        self._advance(self._sequences)

    def ended(self, seconds: float) -> bool:
        """Wait up to `seconds`; return whether everything has ended.

        Raises the error of a job after everything has ended.
        """
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def _advance(self, sequences: Sequence[_Sequence[T]]) -> None:
        """Begin the next step of these sequences, whose current step has ended."""
        items: list[T] = []
        closed = 0
        for sequence in sequences:
            if sequence.steps and self._error is None:
                step = sequence.steps.popleft()
                sequence.running = len(step)
                items += step
            else:
                closed += 1
        try:
            if items:
                for call, job_items in self._jobs_of(items):
                    self._submit(partial(self._run, call, job_items), job_items)
        except BaseException as error:  # noqa: BLE001 - raised by `ended`
            self._error, closed = error, len(sequences)
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
                sequence = self._sequence_of[id(item)]
                sequence.running -= 1
                if not sequence.running:
                    ready.append(sequence)
        if ready:
            self._advance(ready)

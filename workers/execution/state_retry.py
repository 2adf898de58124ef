"""Retries for an unavailable state Redis: a worker keeps the commands that it has, and waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from signalbox.commands.error import StateUnavailable

T = TypeVar("T")
log = structlog.get_logger("signalbox.worker")


def wait_for_state(step: Callable[[], T]) -> T:
    """Run `step`, and again while it raises StateUnavailable, with pauses of at most 2 s.

    A worker that is told to stop meanwhile ends soon after its soft shutdown (see
    `workers/celery/pool.py`); its commands run again when their leases expire.
    """
    try:
        # The plain call nearly always succeeds, and `Retrying` costs five times as much.
        return step()
    except StateUnavailable:
        return Retrying(
            retry=retry_if_exception_type(StateUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            before_sleep=_say,
            reraise=True,
        )(step)


def _say(state: RetryCallState) -> None:
    if state.attempt_number in (1, 10) or state.attempt_number % 60 == 0:
        error = state.outcome.exception() if state.outcome else None
        log.warning("waiting for the state Redis", tries=state.attempt_number, error=str(error))

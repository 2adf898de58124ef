"""A worker does not give up while the state Redis is away: it holds what it has and waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from signalbox.commands.error import StateUnavailable

T = TypeVar("T")
log = structlog.get_logger("signalbox.worker")


def wait_for_state(step: Callable[[], T]) -> T:
    """Run `step`, again and again while it raises StateUnavailable, at most 2 s apart.

    A worker that is told to stop meanwhile is ended soon after its soft shutdown (see
    `workers/celery/pool.py`); the leases bring its commands back.
    """
    try:
        # Nearly always at once: the machinery of waiting is five times as dear as a call of it.
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

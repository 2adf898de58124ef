"""Reads from replicas in other regions, in the order of the route, while the bucket is down.

A replica is asked only if the bucket does not respond, never for a missing object. The result names
the replica, since it may lag behind the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from signalbox.adapters.deadline import Deadline, Expired, current
from signalbox.adapters.failure import Reporter
from signalbox.adapters.s3.client import Access
from signalbox.adapters.s3.engine import Engine
from signalbox.commands.error import Unavailable

T = TypeVar("T")
log = structlog.get_logger("signalbox.s3")


def read(
    reporter: Reporter, accesses: Sequence[Access], ask: Callable[[Engine], T]
) -> tuple[T, str | None]:
    """Return the result of the bucket, or else of the first replica that responds, with its region.

    Each has the time of one call, within the limit of the current call. Raises the bucket's own
    error if no replica responds either.
    """
    within = current()
    if len(accesses) == 1 or within is None:
        return ask(accesses[0].engine()), None
    first: Unavailable | None = None
    for access in accesses:
        try:
            with reporter.errors(Deadline(within.limit)):
                answer = ask(access.engine())
        except Expired as error:
            raise first or error from None
        except Unavailable as error:
            first = first or error
            continue
        replica = access.config.own_region if first is not None else None
        if replica is not None:
            log.warning("read from a replica", scope=reporter.scope.field, region=replica)
        return answer, replica
    assert first is not None  # noqa: S101 - the loop has returned or failed
    raise first

"""Reading from replicas in other regions, in the order of the route, when the bucket is down.

Only a bucket that does not answer makes the next one be asked, never an object that is not there;
the answer names the replica, since it may lag behind the bucket.
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
    """What the bucket, which comes first, answers, or else its first replica that does, and that
    one's region. Each has the time of one call, within the limit of the call that this is in.

    Raises what the bucket itself ended in if no replica answers either.
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
    assert first is not None  # noqa: S101 - the loop returns or has failed
    raise first

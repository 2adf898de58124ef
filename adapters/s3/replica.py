"""Reading from replicas in other regions, in the order of the route, when the bucket is down.

Only a bucket that does not answer makes the next one be asked, never an object that is not there;
the answer names the replica, since it may lag behind the bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from adapters.s3.client import client_for
from adapters.s3.config import S3Config
from adapters.s3.failure import s3_errors
from adapters.s3.location import Location
from commands.error import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
log = structlog.get_logger("signalbox.s3")


def read(location: Location, ask: Callable[[S3Client, S3Config], T]) -> tuple[T, str | None]:
    """What the bucket answers, or else its first replica that does, and that one's region.

    Raises what the bucket itself ended in if no replica answers either.
    """
    first: Unavailable | None = None
    for config in (location.config, *location.config.replicas):
        try:
            with s3_errors(location.scope):
                answer = ask(client_for(config, location.scope), config)
        except Unavailable as error:
            first = first or error
            continue
        replica = config.own_region if first is not None else None
        if replica is not None:
            log.warning("read from a replica", scope=location.scope.field, region=replica)
        return answer, replica
    assert first is not None  # noqa: S101 - the loop returns or has failed
    raise first

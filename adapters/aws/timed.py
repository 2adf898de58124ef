"""Makes every botocore connection in this process follow the time limit of its call.

It is set in botocore's own pools, so that it applies to all clients, including those that fetch
credentials.
"""

from __future__ import annotations

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from signalbox.adapters.timed_socket import TimedConnection


class _Http(TimedConnection, AWSHTTPConnection):  # type: ignore[misc]  # botocore has no types
    """botocore's HTTP connection with time limits."""


class _Https(TimedConnection, AWSHTTPSConnection):  # type: ignore[misc]  # botocore has no types
    """botocore's HTTPS connection with time limits."""


def follow_calls() -> None:
    """Use time limits for all connections made from now on."""
    AWSHTTPConnectionPool.ConnectionCls = _Http
    AWSHTTPSConnectionPool.ConnectionCls = _Https

"""Every connection of botocore in this process follows the call that it is used for.

Set at botocore's own pools, so that it holds for all clients: those that fetch credentials too.
"""

from __future__ import annotations

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

from signalbox.adapters.timed_socket import TimedConnection


class _Http(TimedConnection, AWSHTTPConnection):  # type: ignore[misc]  # botocore's own
    pass


class _Https(TimedConnection, AWSHTTPSConnection):  # type: ignore[misc]
    pass


def follow_calls() -> None:
    """From now on; what was connected before stays as it is."""
    AWSHTTPConnectionPool.ConnectionCls = _Http
    AWSHTTPSConnectionPool.ConnectionCls = _Https

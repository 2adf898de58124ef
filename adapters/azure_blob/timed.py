"""Connections of requests that follow the time limit of their call."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from signalbox.adapters.timed_socket import TimedConnection


class _Http(TimedConnection, HTTPConnection):
    pass


class _Https(TimedConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class TimedAdapter(HTTPAdapter):
    """Also passes content on as it is sent.

    Requests would decompress it, and a few bytes can expand to very many.
    """

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        resp.headers.pop("content-encoding", None)
        return super().build_response(req, resp)

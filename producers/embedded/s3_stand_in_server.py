"""The S3 stand-in's program: moto's server, which refuses expired presigned URLs, as S3 does.

It checks no signatures, like moto.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

_REFUSED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


class ExpiryCheck:
    """Passes on requests that have not expired. Without this, `routes check` would rightly fail."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not _is_over(environ.get("QUERY_STRING", "")):
            answer: Iterable[bytes] = self._application(environ, start_response)
            return answer
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [_REFUSED]


def _is_over(query: str) -> bool:
    fields = parse_qs(query)
    try:
        begins = datetime.strptime(fields["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return time.time() > begins.timestamp() + int(fields["X-Amz-Expires"][0])
    except (KeyError, ValueError):
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-H", dest="host", default="127.0.0.1")
    parser.add_argument("-p", dest="port", type=int, required=True)
    said = parser.parse_args()
    application = ExpiryCheck(DomainDispatcherApplication(create_backend_app))
    run_simple(said.host, said.port, application, threaded=True)

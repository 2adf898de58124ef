"""A server that answers every request as it is told: for answers that Azurite never gives."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class StandIn:
    """What it answers, and the Authorization of each request for a blob that came."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    silent: bool = False
    """Take the request and say nothing until the end."""
    url: str = ""
    came: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    answer = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            if self.command == "HEAD" and self.path == "/acme":
                # Someone asks what time it is.
                self.send_response(400)
                self.end_headers()
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # Another program may look for a server of its own on a port that was free just now.
            if self.path.startswith("/acme/"):
                answer.came.append(self.headers.get("Authorization", ""))
            if answer.silent:
                answer.ended.wait()
                return
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answer.url = f"http://127.0.0.1:{server.server_port}/acme"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield answer
        finally:
            answer.ended.set()
            server.shutdown()

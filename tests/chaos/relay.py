"""A TCP relay that can go silent: connections stay open, and nothing comes through any more."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from tests.listening import stop_listening


class Relay:
    """A port of this machine that leads to another one. Runs on threads; `close` ends it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._era = 0
        self._kept: list[socket.socket] = []
        self.silent = False
        """New connections are accepted, and never answered."""
        self.delay = 0.0
        """Seconds that what comes is on its way, at least, and twice that at most."""
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self) -> None:
        """The connections of now carry nothing any more, in either direction; new ones do."""
        self._era += 1

    def close(self) -> None:
        stop_listening(self._listener)
        for each in self._kept:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._kept.append(near)
                if self.silent:
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                self._kept.append(far)
                for one, other in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pour, args=(one, other, self._era))
                    thread.daemon = True
                    thread.start()

    def _pour(self, source: socket.socket, sink: socket.socket, era: int) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                time.sleep(self.delay)
                if era != self._era or self.silent:
                    return  # read and dropped; both ends stay open
                sink.sendall(data)
        if era == self._era and not self.silent:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

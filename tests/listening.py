"""The end of a socket on which a thread waits for connections."""

from __future__ import annotations

import socket
from contextlib import suppress


def stop_listening(listener: socket.socket) -> None:
    """Wake the thread and have it end. The descriptor goes with the object: closed at once, its
    number could be another server's before the thread asks for the next connection, and the thread
    would take that server's."""
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)

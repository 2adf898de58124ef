"""Finds free TCP ports on this machine, and starts servers on them."""

from __future__ import annotations

import socket
from collections.abc import Callable

from signalbox.commands.error import Unavailable
from signalbox.producers.embedded.process import ManagedProcess

MAX_PORTS = 5
"""Number of ports that a server is started on, if other processes take one after another."""


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if it is free, else another port that is free now."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As servers do: the port of a server that has just ended counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def start_on_free_port(
    preferred: int,
    start: Callable[[int], ManagedProcess],
    ready: Callable[[ManagedProcess, int], None],
) -> None:
    """Start a server on `preferred` or another free port, and wait with `ready`.

    A port that is free now may be taken when the server binds it. Whether that happened is read
    from the server's log: a look at the port itself comes too late, when it may be free again.
    Raises what `ready` raises.
    """
    for attempt in range(1, MAX_PORTS + 1):
        port = free_port(preferred if attempt == 1 else 0)
        process = start(port)
        try:
            ready(process, port)
        except Unavailable:
            if attempt == MAX_PORTS or not process.said("ddress already in use"):
                raise
        else:
            return

"""Finds free TCP ports on this machine."""

from __future__ import annotations

import socket


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

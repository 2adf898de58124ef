"""How much memory a server's data takes."""

from __future__ import annotations

import redis


def memory_of(client: redis.Redis) -> int:
    """Bytes that Redis uses, without the buffers of its clients and of its file: these come and go
    with what was sent last."""
    info = client.info("memory")
    buffers = ("mem_clients_normal", "mem_aof_buffer")
    return int(info["used_memory"]) - sum(int(info.get(name, 0)) for name in buffers)

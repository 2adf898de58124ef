"""Where the Redis of this run is: workers of every library are told by the environment."""

from __future__ import annotations

import os

VARIABLE = "BENCH_QUEUES_REDIS"


def redis_url() -> str:
    """Raises KeyError in a process that the benchmark did not start."""
    return os.environ[VARIABLE]

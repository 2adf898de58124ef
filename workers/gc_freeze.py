"""Settings of Python's garbage collector for a long-running process."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects that trigger a collection of the youngest generation. A batch of commands makes some
thousand, all of which stay in use until it ends."""


def keep_what_is_loaded() -> None:
    """Exclude all existing objects from garbage collection, and collect less often.

    Each full collection traverses all modules, models and SDKs, which took a sixth of the processor
    time of a gateway and of a worker. Celery also collects before each fork, for 0.1 s, during
    which no message of any child proceeds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)

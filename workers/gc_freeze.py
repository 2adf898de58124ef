"""The garbage collector of a process that stays: what it loaded at its start is no garbage."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""Objects that are made before the youngest are looked through: a batch of commands makes some
thousand, all of which are still in use before it ends."""


def keep_what_is_loaded() -> None:
    """Take all that there is out of the collector's sight, and have it look less often.

    Each full collection goes through all modules, models and SDKs: in a gateway and in a worker
    that took a sixth of their processor time. Celery also collects before each fork, for 0.1 s, in
    which no message of any child moves on.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)

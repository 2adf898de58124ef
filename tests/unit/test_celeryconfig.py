"""What Celery makes of the settings."""

from __future__ import annotations

import celeryconfig


def test_the_pool_is_not_set_here() -> None:
    # Celery would take `--pool prefork` for its own default, and use the one that is set.
    assert not hasattr(celeryconfig, "worker_pool")

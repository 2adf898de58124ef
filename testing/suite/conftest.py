"""Fixtures of the suite."""

from __future__ import annotations

from signalbox.testing.plugin import (  # noqa: F401 - pytest finds them here
    backend,
    harness,
    metrics,
    objects,
    open_at,
    open_metrics,
    open_objects,
    open_stream,
    open_table,
    pytest_generate_tests,
    stream,
    table,
    tenant,
)

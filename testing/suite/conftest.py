"""Fixtures of the suite."""

from __future__ import annotations

from signalbox.testing.plugin import (  # noqa: F401 - pytest finds them here
    backend,
    desk,
    harness,
    metrics,
    open_at,
    open_desk,
    open_metrics_desk,
    open_stream_desk,
    open_table_desk,
    pytest_generate_tests,
    stream,
    table,
    tenant,
)

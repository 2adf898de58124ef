"""A folder of its own for the conformance suite."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signalbox.testing.harness import Harness


@contextmanager
def harness() -> Iterator[Harness]:
    """The unusable config is one below a plain file."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file").touch()
        yield Harness(
            backend_type="duckdb",
            config={"base_dir": f"{directory}/tables"},
            unusable_config={"base_dir": f"{directory}/file/tables"},
        )

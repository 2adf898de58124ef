"""Servers that this machine does not have: their tests are skipped where everyone sees it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

ABSENT: dict[str, str] = {}
"""What was not tested, and what to install for it."""


def absent(what: str, install: str) -> NoReturn:
    """Skip the test, and have the end of the run say so; in CI it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} cannot be tested here: {install}")
    ABSENT[what] = install
    pytest.skip(f"not run: {install}")

"""Servers that this machine does not have: their tests are skipped where everyone sees it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

NOT_TESTED = "NOT TESTED: "
"""With it begins the reason of such a skip."""


def absent(what: str, install: str) -> NoReturn:
    """Skip the test, and have the end of the run say so; in CI it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} cannot be tested here: {install}")
    pytest.skip(f"{NOT_TESTED}{what} ({install})")

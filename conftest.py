"""What holds for the tests in `testing/suite` too: they run on the backends of this repository."""

from __future__ import annotations

import gc

import pytest

import tests.conformance.harness  # noqa: F401 - registers their harnesses
from tests.conformance.lasting import start_for_others

# Hundreds of modules and thousands of cases come, and all of them stay: to look for garbage among
# them took a quarter of the time of each process.
gc.disable()

SLOWEST_FIRST = (
    "testing/suite/test_object_fence.py",  # it waits for two minutes in all
    "testing/suite",
    "tests/integration/test_restore_drill.py",
    "tests/gateway",
    "tests/integration/test_slots.py",
    "tests/model",
    "tests/chaos",
    "tests/integration",
)
"""The folders and files that take longest: what is short comes last, so that all processes of
`pytest -n` end together. What waits long stands apart, so that others use the processors."""


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        start_for_others()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: next(
            (place for place, folder in enumerate(SLOWEST_FIRST) if item.nodeid.startswith(folder)),
            len(SLOWEST_FIRST),
        )
    )


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()

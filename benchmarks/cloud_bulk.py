"""Rows, points and events on Firestore and DynamoDB: in bulk against one a call.

The servers are those of the conformance suite: Google's emulator, and moto. Their absolute figures
say nothing of the clouds; the ratio says how many round trips the bulk form saves.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.bulk import BULK, opened, rates_of
from benchmarks.figure import NOISE, Figure
from benchmarks.part import Bench, CannotMeasure
from signalbox.commands.scope import Mode
from signalbox.testing.harness import Harness
from tests.conformance.dynamodb_harness import dynamodb_harness
from tests.conformance.firestore_harness import find_emulator, firestore_harness

BATCH = 100
FIRESTORE_AIM = 10.0
"""Times one a call."""


def firestore_bulk(bench: Bench) -> list[Figure]:
    """Raises CannotMeasure without Java and the emulator."""
    if find_emulator() is None or shutil.which("java") is None:
        raise CannotMeasure("it wants Java and Google's Firestore emulator")
    return _bulk(bench, firestore_harness, FIRESTORE_AIM)


def dynamodb_bulk(bench: Bench) -> list[Figure]:
    return _bulk(bench, dynamodb_harness, None)


def _bulk(
    bench: Bench, harness: Callable[[], AbstractContextManager[Harness]], aim: float | None
) -> list[Figure]:
    figures = []
    with harness() as server:
        for work in BULK:
            what = work.what
            with opened(work.kind, server.backend_type, server.config, Mode.SAAS) as store:
                single, batch = rates_of(work, store, (1, BATCH), bench.seconds / 2).values()
            its_aim = aim if what == "rows" else None
            name = f"{what}, {BATCH} a call to single"
            figures += [
                Figure(f"{what}, 1 a call", single, f"{what}/s"),
                Figure(f"{what}, {BATCH} a call", batch, f"{what}/s"),
                Figure(name, batch / single, "x", least=its_aim, tolerance=NOISE),
            ]
    return figures

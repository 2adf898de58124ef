"""A place for each backend in which the conformance suite may do what it likes.

A backend joins the suite by one line in `HARNESSES`. A cell of the catalogue without one fails
the suite (`test_catalogue.py`), so that no backend goes untested unnoticed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.catalogue import CATALOGUE, Backend
from commands.scope import ResourceKind


@dataclass
class Harness:
    """A backend that is up, and what a route to it says."""

    backend_type: str
    config: dict[str, Any]
    bad_place: dict[str, Any]
    """A well-formed config that names a bucket or base_dir which cannot be used."""


@contextmanager
def filesystem_harness() -> Iterator[Harness]:
    """A directory of its own; the bad place is one below a plain file."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file").touch()
        yield Harness(
            backend_type="filesystem",
            config={"base_dir": f"{directory}/objects"},
            bad_place={"base_dir": f"{directory}/file/objects"},
        )


def _s3_harness() -> AbstractContextManager[Harness]:
    from tests.conformance.s3_harness import s3_harness

    return s3_harness()


def _azure_harness() -> AbstractContextManager[Harness]:
    from tests.conformance.azure_harness import azure_harness

    return azure_harness()


def _firestore_harness() -> AbstractContextManager[Harness]:
    from tests.conformance.firestore_harness import firestore_harness

    return firestore_harness()


def _dynamodb_harness() -> AbstractContextManager[Harness]:
    from tests.conformance.dynamodb_harness import dynamodb_harness

    return dynamodb_harness()


def _postgres_harness() -> AbstractContextManager[Harness]:
    from tests.conformance.postgres_harness import postgres_harness

    return postgres_harness()


HARNESSES: dict[tuple[ResourceKind, str], Callable[[], AbstractContextManager[Harness]]] = {
    (ResourceKind.OBJECT_STORE, "filesystem"): filesystem_harness,
    (ResourceKind.OBJECT_STORE, "s3"): _s3_harness,
    (ResourceKind.OBJECT_STORE, "azure_blob"): _azure_harness,
    (ResourceKind.EVENT_STREAM, "filesystem"): filesystem_harness,
    (ResourceKind.TABULAR_STORE, "filesystem"): filesystem_harness,
    (ResourceKind.METRICS_STORE, "filesystem"): filesystem_harness,
    (ResourceKind.TABULAR_STORE, "firestore"): _firestore_harness,
    (ResourceKind.METRICS_STORE, "firestore"): _firestore_harness,
    (ResourceKind.EVENT_STREAM, "firestore"): _firestore_harness,
    (ResourceKind.TABULAR_STORE, "dynamodb"): _dynamodb_harness,
    (ResourceKind.METRICS_STORE, "dynamodb"): _dynamodb_harness,
    (ResourceKind.TABULAR_STORE, "postgres"): _postgres_harness,
    (ResourceKind.EVENT_STREAM, "dynamodb"): _dynamodb_harness,
}

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {"s3": {"boto3": {"engine": "boto3"}}}
"""Configs with which other code serves the same backend: its cases run with each once more."""


@dataclass(frozen=True)
class Variant(Backend):
    """A cell of the catalogue with one of those."""

    name: str = ""

    @property
    def config(self) -> dict[str, Any]:
        return VARIANTS[self.backend_type][self.name]


def served(kinds: Collection[ResourceKind]) -> dict[str, Backend]:
    """All that the cases of these kinds run on, by name."""
    found = {}
    for entry in (entry for entry in CATALOGUE if entry.kind in kinds):
        found[f"{entry.kind}-{entry.backend_type}"] = entry
        for name in VARIANTS.get(entry.backend_type, ()):
            found[f"{entry.kind}-{entry.backend_type}-{name}"] = Variant(**vars(entry), name=name)
    return found

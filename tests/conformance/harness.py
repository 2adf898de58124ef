"""The harnesses of the backends of this repository, each with the server that it starts.

A cell of the catalogue without one fails the suite (`test_catalogue.py`), so that no backend goes
untested unnoticed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from signalbox.commands.scope import ResourceKind
from signalbox.testing.harness import HARNESSES, Harness

__all__ = ["HARNESSES"]


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


HARNESSES.update(
    {
        (ResourceKind.OBJECT_STORE, "s3"): _s3_harness,
        (ResourceKind.OBJECT_STORE, "azure_blob"): _azure_harness,
        (ResourceKind.TABULAR_STORE, "firestore"): _firestore_harness,
        (ResourceKind.METRICS_STORE, "firestore"): _firestore_harness,
        (ResourceKind.EVENT_STREAM, "firestore"): _firestore_harness,
        (ResourceKind.TABULAR_STORE, "dynamodb"): _dynamodb_harness,
        (ResourceKind.METRICS_STORE, "dynamodb"): _dynamodb_harness,
        (ResourceKind.EVENT_STREAM, "dynamodb"): _dynamodb_harness,
        (ResourceKind.TABULAR_STORE, "postgres"): _postgres_harness,
    }
)

"""Pytest fixtures of the suite: every case runs on every backend of its kind, with its own tenant.

A `conftest.py` imports those that it needs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from signalbox.adapters.catalogue import Backend
from signalbox.adapters.port import AdapterContext
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.testing.harness import Harness, Variant, find_harness, served
from signalbox.testing.metrics_caller import MetricsCaller, OpenMetrics
from signalbox.testing.object_caller import ObjectCaller, OpenObjects
from signalbox.testing.store_caller import AnyCaller, OpenAt
from signalbox.testing.stream_caller import OpenStream, StreamCaller
from signalbox.testing.table_caller import OpenTable, TableCaller


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a module's cases on the backends of its `KIND` or `KINDS`, by default of all kinds.

    `BACKENDS` restricts them to these backend types, `EXCEPT` excludes some. `VARIANTS = False`:
    what they test is the same code in each config of a backend, so that one config is enough.
    """
    if "backend" in metafunc.fixturenames:
        kind: ResourceKind | None = getattr(metafunc.module, "KIND", None)
        kinds = getattr(metafunc.module, "KINDS", (kind,) if kind else tuple(ResourceKind))
        only: set[str] | None = getattr(metafunc.module, "BACKENDS", None)
        others: set[str] = getattr(metafunc.module, "EXCEPT", set())
        variants: bool = getattr(metafunc.module, "VARIANTS", True)
        entries = {
            name: entry
            for name, entry in served(kinds).items()
            if (only is None or entry.backend_type in only)
            and entry.backend_type not in others
            and (variants or not isinstance(entry, Variant))
        }
        metafunc.parametrize(
            "backend", list(entries.values()), ids=list(entries), indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> Backend:
    """The backend that the case runs on."""
    entry: Backend = request.param
    return entry


@pytest.fixture(scope="session")
def harness(backend: Backend) -> Iterator[Harness]:
    """The backend's running harness."""
    open_harness = find_harness(backend)
    if open_harness is None:
        pytest.fail(f"{backend.backend_type} has no harness: see testing/harness.py")
    with open_harness() as harness:
        if isinstance(backend, Variant):
            harness.config |= backend.config
            harness.unusable_config |= backend.config
        yield harness


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test uses."""
    return f"t_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def open_at(backend: Backend, harness: Harness, tenant: str, tmp_path: Path) -> Iterator[OpenAt]:
    """Open a store for a scope, and a objects for it; by default the test's tenant in `dev`."""
    with ExitStack() as opened:

        def open_one(
            objects: type[AnyCaller],
            tenant: str = tenant,
            env: str = "dev",
            config: dict[str, str] | None = None,
        ) -> AnyCaller:
            scope = Scope(kind=backend.kind, tenant_id=tenant, env=env)
            config = harness.config if config is None else config
            store = backend.open(AdapterContext(scope=scope, mode=Mode.LAB, config=config))
            opened.callback(store.close)
            return objects(store, tenant, env, DirectoryPayloadStore(tmp_path / "payloads"))

        yield open_one


@pytest.fixture
def open_objects(open_at: OpenAt) -> OpenObjects:
    """Open a ObjectCaller."""
    return partial(open_at, ObjectCaller)


@pytest.fixture
def objects(open_objects: OpenObjects) -> ObjectCaller:
    """A ObjectCaller for the test's tenant."""
    return open_objects()


@pytest.fixture
def open_table(open_at: OpenAt) -> OpenTable:
    """Open a TableCaller."""
    return partial(open_at, TableCaller)


@pytest.fixture
def table(open_table: OpenTable) -> TableCaller:
    """A TableCaller for the test's tenant."""
    return open_table()


@pytest.fixture
def open_metrics(open_at: OpenAt) -> OpenMetrics:
    """Open a MetricsCaller."""
    return partial(open_at, MetricsCaller)


@pytest.fixture
def metrics(open_metrics: OpenMetrics) -> MetricsCaller:
    """A MetricsCaller for the test's tenant."""
    return open_metrics()


@pytest.fixture
def open_stream(open_at: OpenAt) -> OpenStream:
    """Open a StreamCaller."""
    return partial(open_at, StreamCaller)


@pytest.fixture
def stream(open_stream: OpenStream) -> StreamCaller:
    """A StreamCaller for the test's tenant."""
    return open_stream()

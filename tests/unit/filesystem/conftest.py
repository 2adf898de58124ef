"""One scope in a directory of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from signalbox.adapters.filesystem import object_write
from signalbox.adapters.tabular_store import TabularStore
from signalbox.testing.object_caller import ObjectCaller
from tests.unit.filesystem.object_files import open_objects
from tests.unit.filesystem.table_files import open_store


@pytest.fixture(autouse=True)
def in_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every content is a file here, except in tests of small ones."""
    if request.node.get_closest_marker("small") is None:
        monkeypatch.setattr(object_write, "SMALL_BYTES", -1)


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[ObjectCaller]:
    objects = open_objects(tmp_path)
    yield objects
    objects.store.close()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The scope's directory."""
    return tmp_path / "base/tenants/t_a/dev"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[TabularStore]:
    with closing(open_store(tmp_path)) as table:
        yield table

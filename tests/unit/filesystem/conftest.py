"""One scope in a directory of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from signalbox.adapters.filesystem import object_write
from signalbox.adapters.tabular_store import TabularStore
from signalbox.testing.desk import Desk
from tests.unit.filesystem.lab import open_desk
from tests.unit.filesystem.table_lab import open_store


@pytest.fixture(autouse=True)
def in_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every content is a file here, except in tests of small ones."""
    if request.node.get_closest_marker("small") is None:
        monkeypatch.setattr(object_write, "SMALL_BYTES", -1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = open_desk(tmp_path)
    yield desk
    desk.store.close()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The scope's directory."""
    return tmp_path / "base/tenants/t_a/dev"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[TabularStore]:
    with closing(open_store(tmp_path)) as table:
        yield table

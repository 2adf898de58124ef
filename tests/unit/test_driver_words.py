"""Drivers have primitives only: no backend's folder speaks of what the stores decide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signalbox import adapters

ROOT = Path(adapters.__file__).parent
FOLDERS = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
WORDS = re.compile(r"takeover|lease|op_id|supersed", re.IGNORECASE)
ELSEWHERE = re.compile(
    r"lease_clock|release|RENAME COLUMN op_id TO mark|marks were op_ids"
    # Azure has leases of its own.
    r"|LeaseIdMissing|LeaseLost|LeaseIdMismatch|_LEASED|Azure lease|break the lease"
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_backend_knows_nothing_of_what_its_store_decides(folder: Path) -> None:
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(folder.glob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if WORDS.search(ELSEWHERE.sub("", line))
    ]
    assert found == []


def test_the_words_are_found_where_they_belong() -> None:
    assert WORDS.search((ROOT / "object_fence.py").read_text())

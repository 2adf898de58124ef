"""The tour of the project's own tree leaves out what tools and tests have put there."""

from __future__ import annotations

from pathlib import Path

from signalbox.producers.bulk.tour import OWN_LEFTOVERS

ROOT = Path(__file__).parents[2]


def test_no_folder_that_git_ignores_is_stored() -> None:
    lines = (ROOT / ".gitignore").read_text().split()
    folders = {line.rstrip("/") for line in lines if line.endswith("/") and "*" not in line}
    assert folders
    assert folders <= OWN_LEFTOVERS

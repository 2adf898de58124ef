"""Which files below a folder are stored."""

from __future__ import annotations

import os
from pathlib import Path

from signalbox.producers.bulk.folder import files_below


def test_links_and_special_files_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").touch()
    (tmp_path / "to a file").symlink_to(tmp_path / "below" / "file")
    (tmp_path / "to a folder").symlink_to(tmp_path / "below")
    os.mkfifo(tmp_path / "pipe")
    left_out: list[Path] = []
    files = files_below(tmp_path, "p/", left_out=left_out)
    assert [file.key for file in files] == ["p/below/file"]
    assert {path.name for path in left_out} == {"to a file", "to a folder", "pipe"}

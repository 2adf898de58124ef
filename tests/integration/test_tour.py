"""The tour as `make run ARGS=--once` plays it, on a folder with awkward names and sizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import need_redis


def test_the_tour_stores_a_folder_and_finds_every_byte_again_also_the_second_time(
    tmp_path: Path,
) -> None:
    need_redis()
    source = tmp_path / "source"
    for number in range(150):
        path = source / f"d {number % 5}" / f"ü+{number}%2F?.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (number * 700))
    (source / "link").symlink_to("/etc/passwd")
    for _ in range(2):  # the data of the first run is there in the second
        result = subprocess.run(
            [
                sys.executable,
                "-m",
                "signalbox.producers.cli.main",
                "up",
                "--tour",
                "--once",
                "--src",
                str(source),
                "--data",
                str(tmp_path / "data"),
            ],
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert "all 300 objects stored, and every digest equal" in result.stdout
        assert "stand-in" in result.stdout
        assert "the same folder by curl" in result.stdout
        assert result.stdout.count("150 of 150 digests equal") == 2


def test_the_tour_ends_with_one_if_a_file_cannot_be_stored(tmp_path: Path) -> None:
    need_redis()
    source = tmp_path / "source"
    source.mkdir()
    (source / "fine").write_text("x")
    (source / "bad\nname").write_text("x")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "signalbox.producers.cli.main",
            "up",
            "--tour",
            "--once",
            "--src",
            str(source),
            "--data",
            str(tmp_path / "data"),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "INVALID_KEY" in result.stdout or "control character" in result.stdout

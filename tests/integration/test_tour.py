"""The tour as `make run ARGS=--once` plays it, on a folder with awkward names and sizes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

from tests.conftest import need_redis
from tests.forked import SERVICES, Forked


def play(source: Path, data: Path) -> tuple[int, str]:
    """Its exit code, and what it said."""
    with TemporaryFile() as said:
        command = [sys.executable, "-m", "signalbox.producers.cli.main", *words(source, data)]
        code = subprocess.run(command, stdout=said, stderr=said).returncode
        said.seek(0)
        return code, said.read().decode()


def play_forked(source: Path, data: Path) -> tuple[int, str]:
    """The same at a third of the processor time: the start is tested once."""
    with TemporaryFile() as said, open(os.devnull, "rb") as nothing:
        streams = [nothing.fileno(), said.fileno(), said.fileno()]
        module = "tests.integration.forked_up"
        code = Forked(module, words(source, data), os.environ, streams, imported=SERVICES).wait()
        said.seek(0)
        return code, said.read().decode()


def words(source: Path, data: Path) -> list[str]:
    return ["up", "--tour", "--once", "--src", str(source), "--data", str(data)]


def test_the_tour_stores_a_folder_and_finds_every_byte_again_also_the_second_time(
    tmp_path: Path,
) -> None:
    need_redis()
    source = tmp_path / "source"
    for number in range(60):
        path = source / f"d {number % 5}" / f"ü+{number}%2F?.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * (number * 1750))
    (source / "link").symlink_to("/etc/passwd")
    plays: list[Callable[[Path, Path], tuple[int, str]]] = [play, play_forked]
    for each in plays:  # the data of the first run is there in the second
        code, said = each(source, tmp_path / "data")
        assert code == 0, said
        assert "all 120 objects stored, and every digest equal" in said
        assert "stand-in" in said
        assert "the same folder by curl" in said
        assert said.count("60 of 60 digests equal") == 2


def test_the_tour_ends_with_one_if_a_file_cannot_be_stored(tmp_path: Path) -> None:
    need_redis()
    source = tmp_path / "source"
    source.mkdir()
    (source / "fine").write_text("x")
    (source / "bad\nname").write_text("x")
    code, said = play_forked(source, tmp_path / "data")
    assert code == 1
    assert "INVALID_KEY" in said or "control character" in said

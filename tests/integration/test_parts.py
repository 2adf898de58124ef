"""A message that is finished in parts: quick commands do not wait for a slow one beside them."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from signalbox.commands.ledger.entry import Claimed, Finish
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.usage import Usage, UsageBook
from signalbox.commands.object_store import GetObject, ListObjects
from signalbox.commands.outcome import Outcome
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.wire import queue_of
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope, wait_until
from tests.integration.operating import by
from tests.integration.test_ledger import claim, done, put, submit
from tests.listening import stop_listening


class Silent:
    """A server that takes what it is sent and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = threading.Event()
        self.left = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        stop_listening(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._hold, args=(connection,), daemon=True).start()

    def _hold(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(65536):
                self.asked.set()
        if self.asked.is_set():
            self.left.set()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_a_quick_command_beside_a_slow_one_has_its_outcome_at_once(
    two_workers: RunningStack, silent: Silent, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = x\naws_secret_access_key = x\n")
    config: RouteConfig = {
        "bucket": "silent",
        "region": "eu-central-1",
        "endpoint_url": silent.url,
        "credentials_file": str(credentials),
    }
    two_workers.registry().set(object_scope("t_slow"), RouteTarget("s3", config, Mode.LAB), by())
    slow = GetObject(tenant_id="t_slow", env="dev", key="k")
    with two_workers.client() as client:
        shards = two_workers.settings.tenant_shards
        quick_tenant = next(
            name
            for name in (f"t_quick{n}" for n in range(200))
            if queue_of(put("k", tenant=name), shards) == queue_of(slow, shards)
        )
        two_workers.route_to_folder(quick_tenant)
        quick = put("k", tenant=quick_tenant)
        read = GetObject(tenant_id=quick_tenant, env="dev", key="k")
        listing = ListObjects(tenant_id=quick_tenant, env="dev")
        # One queue, so one message.
        submissions = client.submit_many([slow, quick, read, listing])
        assert silent.asked.wait(300)
        outcomes = client.wait(submissions[1:], TIMEOUT)
        assert not silent.left.is_set(), "they waited until the slow one had given up"
        assert [outcome.status if outcome else None for outcome in outcomes] == ["done"] * 3
        got, found = (cast(Outcome, outcome).result or {} for outcome in outcomes[1:])
        assert got["info"]["size"] == 1
        assert [each["key"] for each in found["objects"]] == ["k"]


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    client = connect(state_url)
    client.server().flushall()
    yield client
    client.close()


def counted(claimed: Claimed) -> Finish:
    return dataclasses.replace(done(claimed), usage=Usage(claimed.command.scope.field, writes=1))


def test_parts_of_a_claim_and_a_takeover_of_the_rest(client: State) -> None:
    """The quick ones stay done, and what was taken over is its new holder's alone."""
    ledger = Ledger(client, Settings(lease=timedelta(milliseconds=300)))
    first, slow, behind, quick = put("k"), put("k"), put("k"), put("l")
    submit(ledger, first, slow, behind, quick)
    held = claim(ledger, first, slow, quick, token="A")
    assert claim(ledger, behind) == []
    early = [counted(held[2]), counted(held[0])]
    wakes = []
    for _ in range(2):  # the first answer was lost
        finished = ledger.finish("A", early)
        assert finished.refused == []
        wakes += finished.wakes
    assert wakes == [], "the key is still held"

    taken: list[Claimed] = []

    def take_over() -> bool:
        taken.extend(claim(ledger, slow, first, quick, token="B"))
        return bool(taken)

    wait_until(take_over, "the lease ran out")
    assert [item.command.op_id for item in taken] == [slow.op_id]
    assert ledger.finish("A", [counted(held[1])]).refused == [slow.ref]
    finished = ledger.finish("B", [counted(taken[0])])
    assert [wake.ticket.ref for wake in finished.wakes] == [behind.ref]
    [use] = UsageBook(client).read([first.scope])
    assert use.writes == 3
    assert (ledger.totals()["running"], ledger.totals()["open"]) == (0, 1)

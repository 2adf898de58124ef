"""Staged content that commands share: it is there for each, and gone when all have ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from signalbox.commands.error import OpIdReused, RateLimited, StateUnavailable
from signalbox.commands.ledger.entry import Intent
from signalbox.commands.ledger.parcels import Accepted, Parcels
from signalbox.commands.ledger.staged import staged_refs
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import StagedPayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from tests.integration.conftest import TIMEOUT, RunningStack, wait_until

LARGE = b"x" * 300_000

ENDS = """
from signalbox.commands.object_store import PutObject
from datetime import timedelta
from signalbox.producers.client.buffer import BufferLimits
from signalbox.producers.client.client import Client

client = Client()
buffer = client.buffer(BufferLimits(linger=timedelta(hours=1)))
payload = client.content.payload(b"y" * 300_000)
put = PutObject(tenant_id="t_ends", env="dev", key="k", payload=payload)
for number in range(3):
    buffer.add(put.model_copy(update={"key": f"k{number}", "op_id": f"k{number}"}))
"""


@pytest.fixture
def client(state_url: str, tmp_path: Path) -> Iterator[Client]:
    connect(state_url).server().flushall()
    settings = Settings(
        state_url=state_url, broker_url=state_url, payload_dir=tmp_path / "payloads", max_open=2
    )
    with Client(settings) as client:
        yield client


def put(client: Client, key: str, op_id: str | None = None, tenant: str = "t_share") -> PutObject:
    payload = client.content.payload(LARGE)
    return PutObject(
        tenant_id=tenant, env="dev", key=key, payload=payload, op_id=op_id or new_op_id()
    )


def copy(command: PutObject, key: str) -> PutObject:
    return command.model_copy(update={"key": key, "op_id": new_op_id()})


def names(client: Client) -> list[str]:
    folder = client.settings.payload_dir
    assert folder is not None
    return sorted(os.listdir(folder))


def name_of(command: PutObject) -> str:
    assert isinstance(command.payload, StagedPayload)
    return command.payload.ref


def test_copies_of_a_put_with_staged_content_all_have_their_effect(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder("t_share")
    with two_workers.client() as client:
        first = put(client, "k0")
        submissions = client.submit_many([first, copy(first, "k1"), copy(first, "k2")])
        outcomes = client.wait(submissions, TIMEOUT)
        assert [outcome and outcome.error for outcome in outcomes] == [None] * 3
        # One that is made when the others have ended, too.
        client.run(copy(first, "k3"), TIMEOUT)
        own = [name_of(first)]
        wait_until(lambda: names(client) == own, "only the caller's is left")
        del first
        # A thread of the client may look at the answer to its command still.
        wait_until(lambda: names(client) == [], "nothing is left")


def test_a_process_that_ends_hands_over_before_it_gives_up_its_contents(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder("t_ends")
    environment = os.environ | two_workers.stack.environment
    subprocess.run([sys.executable, "-c", ENDS], env=environment, check=True, timeout=60)
    with two_workers.client() as client:
        two_workers.wait_until_idle(client)
        found = client.ledger.outcomes([f"t_ends/dev/k{number}" for number in range(3)])
        assert [outcome and outcome.error for outcome in found] == [None] * 3
        wait_until(lambda: names(client) == [], "nothing is left")


def test_what_is_refused_leaves_no_name_behind(client: Client) -> None:
    first, second, third = (put(client, f"k{number}", op_id=f"op{number}") for number in range(3))
    client.submit_many([first, second])
    accepted = names(client)
    assert len(accepted) == 3 + 2
    with pytest.raises(RateLimited):
        client.submit(third)
    with pytest.raises(OpIdReused):
        client.submit(first.model_copy(update={"key": "other"}))
    assert names(client) == accepted


def test_one_that_is_known_keeps_the_name_that_it_was_accepted_with(client: Client) -> None:
    first = put(client, "k", op_id="op")
    [accepted] = client.submit_many([first])
    before = names(client)
    assert client.submit(first).accepted
    assert client.submit(put(client, "k", op_id="op")).accepted  # staged anew, as after a crash
    assert names(client) == before
    assert isinstance(accepted.command, PutObject)
    assert name_of(accepted.command) in before


def test_a_lost_answer_is_asked_for_again_under_the_same_name(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = Parcels.accept

    def lose(self: Parcels, intents: Sequence[Intent]) -> Accepted:
        accept(self, intents)
        raise StateUnavailable("its answer is lost")

    first = put(client, "k")
    monkeypatch.setattr(Parcels, "accept", lose)
    for _ in range(3):
        with pytest.raises(StateUnavailable):
            client.submit(first)
    monkeypatch.setattr(Parcels, "accept", accept)
    assert client.submit(first).accepted
    assert len(names(client)) == 2
    del first
    assert names(client) == list(staged_refs(client.state))

"""Producers that sign: our client in each of its forms, the gateway, and one in JavaScript."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.envelope import read_call
from signalbox.commands.error import InvalidSetting
from signalbox.commands.model import Command
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.state import State
from signalbox.commands.wire import read_message
from signalbox.producers.broker.message_check import open_item
from signalbox.producers.client.async_client import AsyncClient
from signalbox.producers.client.client import Client
from tests.absent import absent
from tests.integration.signed_deployment import HERE, NEIGHBOUR, OWNER, SignedDeployment, put

NODE = Path(__file__).with_name("signed_producer.mjs")


def from_javascript(
    deployment: SignedDeployment, state: State, key: PrivateKey, *commands: Command
) -> None:
    """Have node put them on a queue, and a worker run what stands there."""
    if shutil.which("node") is None:
        absent("a producer in JavaScript", "install node 20 or newer")
    path = deployment.folder / f"{key.kid}.jwk"
    if not path.exists():
        key.save(path)
    server: Any = state.server()
    where = server.connection_pool.connection_kwargs
    lines = "\n".join(command.model_dump_json() for command in commands)
    subprocess.run(
        ["node", str(NODE), str(path), HERE, where["host"], str(where["port"]), "1"],
        input=lines,
        text=True,
        check=True,
        timeout=120,
    )
    limit = deployment.settings.message_limit_bytes
    while item := server.rpop("object_store.0"):
        call = read_call(open_item(item, limit)[1], limit)
        message = read_message(call.task, call.id, call.keywords, 1, call.arguments)
        deployment.runtime.executor.execute(message)


def test_a_producer_in_javascript_signs_and_is_accepted(
    deployment: SignedDeployment, state: State
) -> None:
    commands = [put(f"grüße-{n}", b"from node") for n in range(3)]
    from_javascript(deployment, state, deployment.keys[OWNER], *commands)
    assert [deployment.code(command) for command in commands] == ["done"] * 3


def test_its_neighbour_is_refused_for_a_tenant_that_is_not_its_own(
    deployment: SignedDeployment, state: State
) -> None:
    theirs, ours = put("a", tenant=NEIGHBOUR), put("a", op_id="one")
    from_javascript(deployment, state, deployment.keys[NEIGHBOUR], theirs, ours)
    assert deployment.code(theirs) == "done"
    assert deployment.code(ours) == "NOT_GRANTED"
    assert deployment.content(ours) is None
    from_javascript(deployment, state, deployment.keys[OWNER], put("a", b"ours", op_id="one"))
    assert deployment.code(ours) == "done"


def test_a_batch_and_a_buffer_sign(deployment: SignedDeployment) -> None:
    client = deployment.client(deployment.keys[OWNER])
    with client.batch() as batch:
        batch.add(put("a"))
        batch.add(put("b", b"y" * 70_000))
    with client.buffer() as buffer:
        pending = [buffer.add(put(f"c{n}")) for n in range(20)]
    deployment.run_all()
    commands = [*batch.commands, *(each.command for each in pending)]
    assert [deployment.code(command) for command in commands] == ["done"] * 22


def test_an_asynchronous_client_signs(deployment: SignedDeployment) -> None:
    commands = [put(f"a{n}") for n in range(5)]

    async def submit(client: Client) -> None:
        async with AsyncClient(client=client) as own:
            await own.submit_many(commands)

    asyncio.run(submit(deployment.client(deployment.keys[OWNER])))
    deployment.run_all()
    assert [deployment.code(command) for command in commands] == ["done"] * 5


def test_a_submission_of_many_scopes_has_one_signature_for_its_writes_and_one_for_its_reads(
    deployment: SignedDeployment, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[bytes] = []
    sign = PrivateKey.sign

    def counted(key: PrivateKey, message: bytes) -> bytes:
        signed.append(message)
        return sign(key, message)

    monkeypatch.setattr(PrivateKey, "sign", counted)
    commands: list[Command] = [
        command.model_copy(update={"env": env})
        for n in range(30)
        for command in (put(f"a{n}"), put(f"b{n}", b"y" * 70_000))
        for env in ("prod", "dev")
    ]
    deployment.client(deployment.keys[OWNER]).submit_many(commands)
    assert len(signed) == 1


def test_a_key_without_the_deployments_name_is_told_at_once(deployment: SignedDeployment) -> None:
    with pytest.raises(InvalidSetting, match="SIGNALBOX_AUDIENCE"):
        deployment.client(deployment.keys[OWNER], audience=None)


def test_a_command_that_is_text_and_no_token_is_a_dead_letter(deployment: SignedDeployment) -> None:
    for text in ("", "a", "a.b", "a.b.c", "....", "e30.e30.e30", json.dumps({"a": 1})):
        deployment.carry(text, task_id="m")
    totals = deployment.ledger.totals()
    assert totals.get("accepted", 0) == 0
    assert totals["dead_letters"] > 0

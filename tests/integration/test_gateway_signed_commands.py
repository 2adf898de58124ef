"""Signed commands over HTTP: a gateway without a key of its own, for tenants that must sign."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalbox.commands.model import Command, new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.parse import known_ops
from signalbox.commands.proof.keys import PrivateKey, load_private
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.routing import ControlCommand
from signalbox.gateway.permissions import CALLS
from signalbox.routing.policy.policy import Terms
from tests.absent import absent
from tests.integration.signed_deployment import NEIGHBOUR, OWNER, put, token
from tests.integration.test_gateway_principals import token as bearer
from tests.integration.test_signed_stack import UNSIGNED, SignedStack, change, signed_stack

NODE = Path(__file__).with_name("signed_caller.mjs")
JOSE = {"Content-Type": "application/jose"}


@dataclass
class Caller:
    """Who has keys, and a gateway that has none."""

    stack: SignedStack
    http: httpx.Client

    def key(self, tenant: str) -> PrivateKey:
        return load_private(self.stack.keys[tenant])

    def one(self, signed: str) -> httpx.Response:
        return self.http.post("/v1/commands", content=signed, headers=JOSE)

    def many(self, *commands: Any) -> list[dict[str, Any]]:
        answer = self.http.post("/v1/commands", json={"commands": list(commands)})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["results"])

    def known(self, command: Command) -> bool:
        """Whether the ledger knows it, also as a dead letter."""
        with self.stack.client(None) as client:
            return client.ledger.records([command.ref])[0] is not None


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    for stack in signed_stack(tmp_path_factory.mktemp("signed"), Signatures.OFF):
        for tenant in (OWNER, NEIGHBOUR):
            terms = Terms(signatures=Signatures.REQUIRED)
            stack.registry().policies.set(tenant, terms, change())
        address = stack.running.stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0")
        with httpx.Client(base_url=address, timeout=120) as http:
            yield Caller(stack, http)


def code_of(response: httpx.Response) -> str:
    return "done" if response.status_code == 200 else str(response.json()["error_code"])


def document(command: Command) -> dict[str, Any]:
    return command.model_dump(mode="json")


def new_put(name: str, tenant: str = OWNER) -> PutObject:
    return put(f"{name}-{new_op_id()}", tenant=tenant)


def test_one_signed_command_is_answered_like_a_write(caller: Caller) -> None:
    command = new_put("one")
    signed = token(caller.key(OWNER), command)
    first, again = caller.one(signed), caller.one(signed)
    assert first.status_code == 200, first.text
    assert first.json()["key"] == command.key
    assert first.headers["x-op-id"] == command.op_id
    assert again.json() == first.json()
    shown = caller.http.get(f"/v1/objects/{OWNER}/prod/{command.key}")
    assert shown.status_code == 200
    later = caller.http.post(
        "/v1/commands",
        content=token(caller.key(OWNER), new_put("later")),
        headers=JOSE | {"Prefer": "respond-async"},
    )
    assert later.status_code == 202
    location = later.headers["location"]
    while (ended := caller.http.get(location)).status_code == 202:
        time.sleep(0.05)
    assert ended.json()["outcome"]["status"] == "done"


def test_many_are_answered_each(caller: Caller) -> None:
    ours, theirs, free = new_put("a"), new_put("b", NEIGHBOUR), new_put("c", UNSIGNED)
    unsigned, foreign = new_put("d"), new_put("e")
    ends = caller.many(
        token(caller.key(OWNER), ours),
        document(unsigned),
        token(caller.key(NEIGHBOUR), theirs),
        document(free),
        token(caller.key(NEIGHBOUR), foreign),
        "a.b.c",
    )
    assert [each["state"] for each in ends] == [
        *("done", "refused", "done", "done", "refused", "refused")
    ]
    codes = [ends[number]["error"]["error_code"] for number in (1, 4, 5)]
    assert codes == ["SIGNATURE_MISSING", "NOT_GRANTED", "INVALID_COMMAND"]
    assert [each["op_id"] for each in ends[:5]] == [
        each.op_id for each in (ours, unsigned, theirs, free, foreign)
    ]
    assert not caller.known(unsigned)
    assert not caller.known(foreign)


def test_without_a_signature_nothing_is_recorded(caller: Caller) -> None:
    name = new_op_id()
    answer = caller.http.put(
        f"/v1/objects/{OWNER}/prod/plain", content=b"x", headers={"Idempotency-Key": name}
    )
    assert (answer.status_code, code_of(answer)) == (401, "SIGNATURE_MISSING")
    assert "JWS" in answer.json()["next_step"]
    command = put("plain", op_id=name)
    assert not caller.known(command)
    # Its op_id is free for who signs.
    assert code_of(caller.one(token(caller.key(OWNER), command))) == "done"
    free = caller.http.put(f"/v1/objects/{UNSIGNED}/prod/plain", content=b"x")
    assert free.status_code == 200, free.text


def test_what_is_forged_is_refused_before_anything_is_recorded(caller: Caller) -> None:
    now, key = int(time.time()), caller.key(OWNER)
    command = new_put("victim")
    good = token(key, command)
    head, claims, signature = good.split(".")
    flipped = "A" if signature[10] != "A" else "B"
    forged = {
        "a key that nobody knows": token(PrivateKey.new(), command),
        "a neighbour's": token(caller.key(NEIGHBOUR), command),
        "another deployment": token(key, command, aud="prod-us"),
        "expired": token(key, command, iat=now - 600, exp=now - 300),
        "not valid yet": token(key, command, iat=now + 600, exp=now + 900),
        "for ever": token(key, command, exp=now + 10**9),
        "another type": token(key, command, typ="signalbox-token"),
        "without a signature": f"{head}.{claims}.",
        "another signature": f"{head}.{claims}.{signature[:10]}{flipped}{signature[11:]}",
        "another command": f"{head}.{token(key, new_put('x')).split('.')[1]}.{signature}",
    }
    for what, each in forged.items():
        answer = caller.one(each)
        assert code_of(answer) in ("SIGNATURE_INVALID", "NOT_GRANTED"), (what, answer.text)
    assert not caller.known(command)
    assert code_of(caller.one(good)) == "done"


def test_what_is_no_command_is_refused(caller: Caller) -> None:
    for text in (b"", b"a", b"a.b.c", b"\xff.\xff.\xff", b"....", b"e30.e30.e30"):
        answer = caller.http.post("/v1/commands", content=text, headers=JOSE)
        assert answer.status_code == 400, answer.text
    signed = token(caller.key(OWNER), new_put("x"))
    answer = caller.http.post("/v1/commands?a=b", content=signed, headers=JOSE)
    assert answer.status_code == 400
    keyed = caller.http.post(
        "/v1/commands", content=signed, headers=JOSE | {"Idempotency-Key": "a"}
    )
    assert keyed.status_code == 400


def test_a_producer_in_javascript_signs_over_http(caller: Caller) -> None:
    if shutil.which("node") is None:
        absent("a producer in JavaScript", "install node 20 or newer")
    ours, theirs = new_put("grüße"), new_put("b", NEIGHBOUR)

    def send(who: str) -> list[str]:
        done = subprocess.run(
            ["node", str(NODE), str(caller.stack.keys[who]), "prod-eu", str(caller.http.base_url)],
            input="\n".join(each.model_dump_json() for each in (ours, theirs)),
            text=True, check=True, timeout=120, capture_output=True,
        )  # fmt: skip
        ends = json.loads(done.stdout)["results"]
        return [each.get("error", {}).get("error_code", each["state"]) for each in ends]

    assert send(NEIGHBOUR) == ["NOT_GRANTED", "done"]
    assert not caller.known(ours)
    assert send(OWNER)[0] == "done"


def test_a_caller_needs_both_a_token_and_a_signature(caller: Caller) -> None:
    address = caller.stack.running.stack.start_gateway(
        SIGNALBOX_GATEWAY_PORT="0", SIGNALBOX_GATEWAY_PRINCIPALS="required"
    )
    signed = token(caller.key(OWNER), new_put("both"))
    with httpx.Client(base_url=address, timeout=120, headers=JOSE) as http:
        assert http.post("/v1/commands", content=signed).status_code == 401
        for who, status in ((NEIGHBOUR, 403), (OWNER, 200)):
            given = {"Authorization": f"Bearer {bearer(caller.stack, who)}"}
            answer = http.post("/v1/commands", content=signed, headers=given)
            assert answer.status_code == status, answer.text


ROW, POINT = {"data": {"a": 1}}, {"series": "s", "timestamp": "2026-01-01T00:00:00Z", "value": 1.0}
EVENT = {"type": "order.paid", "data": {}}
WHO = {"X-Tenant-Id": OWNER, "X-Env": "prod"}
WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", f"/v1/objects/{OWNER}/prod/k", {"content": b"x"}),
    ("PUT", f"/v1/objects/{OWNER}/prod/large", {"content": b"x" * 300_000}),
    ("DELETE", f"/v1/objects/{OWNER}/prod/k", {}),
    ("POST", f"/v1/register/{OWNER}/prod", {"json": {"key": "k"}}),
    ("PUT", f"/v1/rows/{OWNER}/prod/people/ann", {"json": ROW}),
    ("DELETE", f"/v1/rows/{OWNER}/prod/people/ann", {}),
    ("POST", f"/v1/points/{OWNER}/prod", {"json": {"points": [POINT]}}),
    ("POST", f"/v1/streams/{OWNER}/prod/orders", {"json": EVENT}),
    ("POST", "/nexus/raw/put", {"content": b"x", "headers": WHO | {"X-Key": "k"}}),
    ("POST", "/storage/tabular/people/upsert", {"json": ROW | {"key": "ann"}, "headers": WHO}),
    ("POST", "/storage/metrics/s/ingest", {"json": {"value": 1.0}, "headers": WHO}),
    ("POST", "/storage/timeline/orders/append", {"json": EVENT, "headers": WHO}),
]
"""Every call of a write that has no place for a signature."""


def test_the_list_of_writes_is_complete() -> None:
    """By the table of what each call needs, without which a call is refused."""
    writes = {
        call
        for call, needs in CALLS.items()
        if (kind := known_ops().get(needs.op)) is not None
        and kind.writes
        and not issubclass(kind, ControlCommand)
    }
    tried = {
        (method, template)
        for method, template in writes
        for its, path, _ in WRITES
        if its == method and re.fullmatch(re.sub("{.*?}", "[^/]+", template), path)
    }
    assert tried == writes


@pytest.mark.parametrize(("method", "path", "more"), WRITES, ids=[f"{m} {p}" for m, p, _ in WRITES])
def test_every_write_names_where_it_may_be_signed(
    caller: Caller, method: str, path: str, more: dict[str, Any]
) -> None:
    name = new_op_id()
    headers = more.get("headers", {}) | {"Idempotency-Key": name}
    answer = caller.http.request(method, path, **more | {"headers": headers})
    assert (answer.status_code, code_of(answer)) == (401, "SIGNATURE_MISSING"), answer.text
    assert "send the JWS to POST /v1/commands" in answer.json()["next_step"]
    assert not caller.known(put("any", op_id=name)), "its op_id is free"


def test_a_worker_names_it_where_the_gateway_knows_of_no_signatures(caller: Caller) -> None:
    stack = caller.stack.running.stack
    address = stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0", SIGNALBOX_TRUST_FILE="")
    command = put("plain-gateway")
    answer = httpx.put(
        f"{address}/v1/objects/{OWNER}/prod/{command.key}",
        content=b"x",
        headers={"Idempotency-Key": command.op_id},
        timeout=120,
    )
    assert (answer.status_code, code_of(answer)) == (401, "SIGNATURE_MISSING"), answer.text
    assert "POST /v1/commands" in answer.json()["next_step"]
    assert code_of(caller.one(token(caller.key(OWNER), command))) == "done", "its op_id was free"

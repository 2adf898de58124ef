"""A gateway that asks for principals, with everything real: processes, signed roster, Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalbox.commands.proof.signatures import Signatures
from tests.integration import command_line
from tests.integration.signed_deployment import HERE, NEIGHBOUR, OWNER, principal, put
from tests.integration.signed_registry import THIEF
from tests.integration.test_signed_stack import SignedStack, change, signed_stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[SignedStack]:
    yield from signed_stack(tmp_path, Signatures.REQUIRED)


def name_of(tenant: str) -> str:
    """The name of the principal of a tenant."""
    return principal(tenant, THIEF).name


def token(stack: SignedStack, who: str, *more: str) -> str:
    """What `signalbox token issue` prints to the owner of a key."""
    its = {"SIGNALBOX_KEY_FILE": str(stack.keys[who]), "SIGNALBOX_AUDIENCE": HERE}
    arguments = ("--principal", name_of(who), "--role", "producer", "--tenant", "*", *more)
    done = command_line.run("token", "issue", *arguments, **its)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def test_a_caller_may_what_its_principal_may(stack: SignedStack) -> None:
    address = stack.running.stack.start_gateway(
        SIGNALBOX_GATEWAY_PORT="0",
        SIGNALBOX_GATEWAY_PRINCIPALS="required",
        SIGNALBOX_KEY_FILE=str(stack.keys[OWNER]),
    )
    path = f"/v1/objects/{OWNER}/prod/k"
    with httpx.Client(base_url=address, timeout=120) as http:

        def call(method: str, given: str | None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {given}"} if given else {}
            content = b"hello" if method == "PUT" else None
            answer = http.request(method, path, content=content, headers=headers)
            problem = "problem" in answer.headers.get("content-type", "")
            return answer.status_code, answer.json()["error_code"] if problem else answer.text

        mine, theirs = token(stack, OWNER), token(stack, NEIGHBOUR)
        narrow = token(stack, OWNER, "--op", "object_store.get", "--env", "pro*", "--for", "5m")
        # The gateway signs the command with its own key, and the worker asks for that.
        assert call("PUT", mine)[0] == 200
        assert call("GET", narrow) == (200, "hello")
        assert call("PUT", narrow) == (403, "NOT_GRANTED")
        assert call("GET", theirs) == (403, "NOT_GRANTED")
        assert call("GET", None) == (401, "UNAUTHENTICATED")
        assert call("GET", mine[:-4]) == (401, "TOKEN_INVALID")
        assert http.get("/readyz").status_code == 200
        stack.registry().principals.revoke(name_of(NEIGHBOUR), change())
        assert call("GET", theirs) == (401, "TOKEN_INVALID")
        assert call("GET", mine) == (200, "hello")


def test_an_administrator_revokes_by_http_with_a_key_that_stays_where_it_is(
    stack: SignedStack,
) -> None:
    address = stack.running.stack.start_gateway(
        SIGNALBOX_GATEWAY_PORT="0", SIGNALBOX_GATEWAY_PRINCIPALS="required"
    )
    settings = stack.running.settings
    its: Any = {
        "SIGNALBOX_KEY_FILE": str(stack.keys["admin"]),
        "SIGNALBOX_AUDIENCE": HERE,
        "SIGNALBOX_TRUST_FILE": str(settings.trust_file),
        # It needs no way to the state.
        "SIGNALBOX_STATE_URL": "redis://127.0.0.1:1/0",
    }
    alice = ("--principal", "alice", "--role", "admin", "--tenant", "*")
    given = command_line.run("token", "issue", *alice, **its).stdout.decode().strip()
    headers = {"Authorization": f"Bearer {given}", "Idempotency-Key": "revoke-1"}
    path, body = f"/v1/principals/{name_of(NEIGHBOUR)}/revoke", {"reason": "left"}
    assert stack.codes(NEIGHBOUR, put("a", tenant=NEIGHBOUR)) == ["done"]
    with httpx.Client(base_url=address, timeout=120, headers=headers) as http:
        unsigned = http.post(path, json=body)
        assert (unsigned.status_code, unsigned.json()["error_code"]) == (401, "SIGNATURE_MISSING")
        prepared = http.post(path, json=body, headers={"X-Signature": "prepare"})
        signed = command_line.run("key", "sign", "-", "--yes", stdin=prepared.content, **its)
        assert signed.returncode == 0, signed.stderr
        assert f'"principal/{name_of(NEIGHBOUR)}"'.encode() in signed.stderr
        assert b'"left"' in signed.stderr
        other = prepared.content.replace(b'"left"', b'"lost"')
        refused = command_line.run("key", "sign", "-", "--yes", stdin=other, **its)
        assert (refused.returncode, refused.stdout) == (1, b"")
        assert b"SIGNATURE_INVALID" in refused.stderr
        signature = signed.stdout.decode().strip()
        done = http.post(path, json=body, headers={"X-Signature": signature})
        assert done.status_code == 200, done.text
        assert done.json()["principal"]["revoked"] is not None
    # From the next claim on.
    assert stack.codes(NEIGHBOUR, put("b", tenant=NEIGHBOUR)) == ["SIGNATURE_INVALID"]
    at_the_state = its | {"SIGNALBOX_STATE_URL": settings.state_url}
    shown = command_line.run("principal", "show", name_of(NEIGHBOUR), "--json", **at_the_state)
    assert json.loads(shown.stdout) == done.json()["principal"]


def test_a_gateway_without_a_trust_file_does_not_start(tmp_path: Path) -> None:
    ended = command_line.run(
        "gateway", SIGNALBOX_GATEWAY_PORT="0", SIGNALBOX_GATEWAY_PRINCIPALS="required"
    )
    assert ended.returncode == 1
    assert b"SIGNALBOX_TRUST_FILE" in ended.stderr


@pytest.mark.parametrize("missing", ["SIGNALBOX_KEY_FILE", "SIGNALBOX_AUDIENCE"])
def test_a_token_needs_a_key_and_a_deployment(stack: SignedStack, missing: str) -> None:
    its: Any = {"SIGNALBOX_KEY_FILE": str(stack.keys[OWNER]), "SIGNALBOX_AUDIENCE": HERE}
    arguments = ("--principal", OWNER, "--role", "reader", "--tenant", "*")
    done = command_line.run("token", "issue", *arguments, **(its | {missing: ""}))
    assert done.returncode == 1
    assert missing.encode() in done.stderr
    too_long = command_line.run("token", "issue", *arguments, "--for", "13h", **its)
    assert too_long.returncode == 1
    assert b"12 h" in too_long.stderr

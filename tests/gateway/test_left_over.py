"""Nothing of a large put is left in the payload directory, unless a dead letter needs it."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from signalbox.commands.model import new_op_id
from signalbox.commands.scope import ResourceKind
from tests.gateway.conftest import Gateway, error_of
from tests.integration.conftest import wait_until

LARGE = os.urandom(300_000)


def test_what_was_staged_goes_with_the_answer(gateway: Gateway) -> None:
    tenant = gateway.routes("t_left", ResourceKind.OBJECT_STORE)
    folder = gateway.running.settings.payload_dir
    assert folder is not None

    def put(key: str, content: bytes = LARGE, **headers: str) -> httpx.Response:
        its = {"Idempotency-Key": key} | {n.replace("_", "-"): v for n, v in headers.items()}
        return gateway.http.put(f"/v1/objects/{tenant}/dev/k", content=content, headers=its)

    first, later = new_op_id(), new_op_id()
    for _ in range(3):
        assert put(first).status_code == 200
        assert put(later, Prefer="respond-async").status_code in (200, 202)
        assert error_of(put(first, LARGE[1:]))["error_code"] == "OP_ID_REUSED"
    refused = gateway.http.post(
        "/nexus/raw/put", headers={"X-Tenant-Id": tenant, "X-Key": "../k"}, content=LARGE
    )
    assert error_of(refused)["error_code"] == "INVALID_KEY"
    wait_until(lambda: not _content(folder), "nothing is left")
    assert gateway.http.get(f"/v1/objects/{tenant}/dev/k").content == LARGE


def test_a_large_put_whose_condition_does_not_hold_is_refused_before_its_body(
    gateway: Gateway,
) -> None:
    tenant = gateway.routes("t_conditional", ResourceKind.OBJECT_STORE)
    folder = gateway.running.settings.payload_dir
    assert folder is not None

    def put(content: bytes, **headers: str) -> httpx.Response:
        its = {name.replace("_", "-"): value for name, value in headers.items()}
        return gateway.http.put(f"/v1/objects/{tenant}/dev/k", content=content, headers=its)

    key = new_op_id()
    first = put(LARGE, If_None_Match="*", Idempotency_Key=key)
    assert first.status_code == 200
    # Sent again it is the same command, and not one whose condition no longer holds.
    assert put(LARGE, If_None_Match="*", Idempotency_Key=key).status_code == 200
    for _ in range(2):
        refused = put(LARGE, If_None_Match="*")
        assert refused.status_code == 412
        assert "op_id" not in error_of(refused)
        assert put(LARGE, If_Match='"other"').status_code == 412
    assert put(LARGE[1:], If_Match=first.headers["etag"]).status_code == 200
    wait_until(lambda: not _content(folder), "nothing is left")
    dead = gateway.http.get("/v1/dead-letters", params={"tenant": tenant}).json()
    assert not dead["dead_letters"]
    # A small one goes on its way, and stays under its op_id.
    assert error_of(put(b"x", If_None_Match="*"))["error_code"] == "ALREADY_EXISTS"


def _content(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []

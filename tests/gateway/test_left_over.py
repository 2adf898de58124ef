"""Nothing of a large put is left in the payload directory, unless a dead letter needs it."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from commands.model import new_op_id
from commands.scope import ResourceKind
from tests.gateway.conftest import Gateway, error_of
from tests.integration.conftest import wait_until

LARGE = os.urandom(300_000)


def test_what_was_staged_goes_with_the_answer(gateway: Gateway) -> None:
    tenant = gateway.routes("t_left", ResourceKind.OBJECT_STORE)
    folder = gateway.lane.settings.payload_dir
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


def _content(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []

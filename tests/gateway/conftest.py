"""A stack with a gateway, an S3 stand-in and (where there is one) a Firestore emulator."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalbox.commands.scope import ResourceKind
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from tests.conformance.firestore_harness import find_emulator, firestore_emulator
from tests.gateway.answer_check import answer_check
from tests.integration.conftest import RunningStack, start_stack

BUCKET = "northstar-raw-test"
AWS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "stand-in",
    "AWS_SECRET_ACCESS_KEY": "stand-in",
}


@dataclass
class Gateway:
    """A gateway in front of a running stack."""

    base: str
    running: RunningStack
    http: httpx.Client

    def routes(self, tenant: str, *kinds: ResourceKind) -> str:
        """Point the tenant's data at folders of the stack; the tenant."""
        for kind in kinds or tuple(ResourceKind):
            self.running.route_to_folder(tenant, f"{tenant}-{kind}", kind)
        return tenant


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The problem that it answered with."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    assert document["detail"]
    return document


@pytest.fixture(scope="module")  # its environment is not for others
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("gateway")
    with S3StandIn(data) as s3:
        s3.create_bucket(BUCKET)
        defaults = {"s3": {"endpoint_url": s3.endpoint_url, "addressing_style": "path"}}
        if find_emulator() is not None:
            defaults["firestore"] = {"emulator_host": firestore_emulator()}
        its = AWS | {
            "SIGNALBOX_GATEWAY_ROUTE_DEFAULTS": json.dumps(defaults),
            "SIGNALBOX_GATEWAY_PORT": "0",
        }
        with start_stack(data / "stack", workers=2, **its) as running:  # type: ignore[arg-type]
            base = running.stack.start_gateway()
            assert os.environ["SIGNALBOX_STATE_URL"] == running.settings.state_url
            hooks = {"response": [answer_check().on_response]}
            with httpx.Client(base_url=base, timeout=120, event_hooks=hooks) as http:
                yield Gateway(base, running, http)

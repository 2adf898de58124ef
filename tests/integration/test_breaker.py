"""A backend that is down: its commands wait, and others go on."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

import boto3

from signalbox.commands.breaker_report import BreakerReport
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope, wait_until
from tests.integration.operating import by
from tests.listening import stop_listening

BUCKET = "comes-back"
REGION: Final = "eu-central-1"


class Gate:
    """A port that leads to another one, or hangs up on whoever comes while it is shut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.opened = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        stop_listening(self._listener)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self.opened.is_set():
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pour, args=(one, other), daemon=True).start()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def put(tenant: str, key: str) -> PutObject:
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=InlinePayload(data=b"x"))


def test_commands_of_a_backend_that_is_down_wait_without_attempts_and_run_when_it_is_back(
    two_workers: RunningStack, tmp_path: Path
) -> None:
    stand_in = S3StandIn(tmp_path / "s3")
    stand_in.start()
    gate = Gate(int(stand_in.endpoint_url.rpartition(":")[2]))
    boto3.client(
        "s3",
        endpoint_url=stand_in.endpoint_url,
        region_name=REGION,
        aws_access_key_id="x",
        aws_secret_access_key="x",
    ).create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    config: RouteConfig = {
        "bucket": BUCKET,
        "region": REGION,
        "endpoint_url": f"http://127.0.0.1:{gate.port}",
        "credentials_file": str(stand_in.credentials_file),
    }
    registry = two_workers.registry()
    registry.set(
        object_scope("t_down"),
        RouteTarget("s3", config, Mode.LAB),
        by("test", "test"),
    )
    two_workers.route_to_folder("t_up")
    with two_workers.client() as client:
        down = client.submit_many([put("t_down", f"k{n}") for n in range(60)])
        refs = [submission.command.ref for submission in down]
        report = BreakerReport(client.state)
        wait_until(lambda: len(report.read()) > 0, "a breaker opens")
        [(_, backend_type, where, _), *_] = report.read()
        assert (backend_type, BUCKET in where) == ("s3", True)

        def all_parked() -> bool:
            records = client.ledger.records(refs)
            codes = [r.waits_for.code for r in records if r and r.waits_for]
            return codes.count("BACKEND_RESTING") > 40

        wait_until(all_parked, "most of them are parked")
        neighbours = client.submit_many([put("t_up", f"k{n}") for n in range(60)])
        outcomes = client.wait(neighbours, TIMEOUT)
        assert all(outcome and outcome.status == "done" for outcome in outcomes)
        assert None in client.ledger.outcomes(refs), "the neighbour was held up"

        gate.opened.set()
        try:
            found = client.wait(down, TIMEOUT)
            errors = [o.error.code if o and o.error else "" for o in found if not o or o.error]
            assert errors == []
            wait_until(lambda: report.read() == [], "every breaker is closed")
        finally:
            gate.close()
            stand_in.stop()

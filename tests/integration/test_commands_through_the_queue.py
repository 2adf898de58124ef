"""What only real workers show of failing commands: retries, dead letters, staged contents."""

from __future__ import annotations

import hashlib
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import OpIdReused, OutcomePending
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import GetObject, GetResult, HeadObject, PutObject
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.routing import SetRoute
from signalbox.commands.scope import Mode, ResourceKind
from signalbox.producers.bulk.folder import FileToStore, Tenancy, store_files
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope, wait_until
from tests.integration.operating import by

TENANT = "t_queue"


def put(key: str, content: bytes = b"x", op_id: str | None = None) -> PutObject:
    payload = InlinePayload(data=content)
    return PutObject(
        tenant_id=TENANT, env="dev", key=key, payload=payload, op_id=op_id or new_op_id()
    )


def test_a_large_content_travels_by_claim_check_and_leaves_nothing_staged(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder(TENANT)
    content = os.urandom(5 * 1024 * 1024)
    with two_workers.client() as client:
        payload = client.content.payload(content)
        assert isinstance(payload, StagedPayload)
        client.run(PutObject(tenant_id=TENANT, env="dev", key="big", payload=payload))
        got = client.run_outcome(GetObject(tenant_id=TENANT, env="dev", key="big")).unwrap()
        result = GetResult.model_validate(got)
        with client.content.open(result) as source:
            assert hashlib.sha256(source.read()).digest() == hashlib.sha256(content).digest()
        client.content.discard(result)
        store = two_workers.settings.payload_dir
        assert store is not None
        del payload  # else it may be submitted again
        wait_until(lambda: not list(store.iterdir()), "the payload store is empty")


def test_the_same_op_id_gives_the_same_outcome_and_another_content_an_error(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder(TENANT)
    with two_workers.client() as client:
        first = client.run_outcome(put("idem", b"1", op_id="idem-1"))
        assert client.run_outcome(put("idem", b"1", op_id="idem-1")) == first
        with pytest.raises(OpIdReused):
            client.submit(put("idem", b"2", op_id="idem-1"))
        refused, fine = client.submit_many([put("idem", b"3", op_id="idem-1"), put("beside")])
        assert not refused.accepted
        assert client.wait([fine])[0] is not None


def test_a_temporary_failure_is_tried_again_until_it_passes(two_workers: RunningStack) -> None:
    tenant = "t_retry"
    # Nobody listens at the endpoint until the second attempt is due.
    port = free_port(0)
    secret = two_workers.data / "retry-credentials"
    secret.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
    two_workers.registry().set(
        object_scope(tenant),
        RouteTarget(
            "s3",
            {
                "bucket": "late",
                "region": "us-east-1",
                "endpoint_url": f"http://127.0.0.1:{port}",
                "addressing_style": "path",
                "credentials_file": str(secret),
            },
            Mode.LAB,
        ),
        by("test", "test"),
    )
    command = put("k").model_copy(update={"tenant_id": tenant})
    with two_workers.client() as client:
        submission = client.submit(command)

        def tried() -> bool:
            [record] = client.ledger.records([command.ref])
            return record is not None and record.attempt >= 1 and record.state == "queued"

        wait_until(tried, "the first attempt failed")
        with S3StandIn(two_workers.data / "late", port=port) as server:
            server.create_bucket("late")
            [outcome] = client.wait([submission], TIMEOUT)
        assert outcome is not None
        assert outcome.error is None
        assert outcome.attempt >= 2


def test_a_failed_write_is_a_dead_letter_and_what_is_behind_it_goes_on(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder(TENANT)
    missing = StagedPayload(ref="0" * 32, size=1, sha256="0" * 64)
    broken = PutObject(tenant_id=TENANT, env="dev", key="one-key", payload=missing)
    with two_workers.client() as client:
        first, second = client.wait(client.submit_many([broken, put("one-key")]), TIMEOUT)
        assert first is not None
        assert first.error is not None
        assert first.error.code == "PAYLOAD_MISSING"
        assert second is not None
        assert second.error is None
        [record] = client.ledger.records([broken.ref])
        assert record is not None
        assert record.state == "dead"


def test_a_read_that_finds_nothing_is_an_answer_and_no_dead_letter(
    two_workers: RunningStack,
) -> None:
    two_workers.route_to_folder(TENANT)
    head = HeadObject(tenant_id=TENANT, env="dev", key="none")
    with two_workers.client() as client:
        outcome = client.run_outcome(head)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.backend_type) == ("NOT_FOUND", "filesystem")
        [record] = client.ledger.records([head.ref])
        assert record is not None
        assert record.state == "done"


def test_a_route_change_from_the_queue_is_a_dead_letter_that_names_the_setting(
    two_workers: RunningStack,
) -> None:
    command = SetRoute(
        tenant_id="t_routed",
        env="dev",
        resource_kind=ResourceKind.OBJECT_STORE,
        backend_type="filesystem",
        config={"base_dir": str(two_workers.data / "routed")},
        actor="an operator, it says",
        reason="test",
    )
    with two_workers.client() as client:
        outcome = client.run_outcome(command)
        assert outcome.error is not None
        assert outcome.error.code == "CONTROL_REFUSED"
        assert "SIGNALBOX_CONTROL_COMMANDS" in str(outcome.error.next_step)
        [record] = client.ledger.records([command.ref])
        assert record is not None
        assert record.state == "dead"
    assert two_workers.registry().get(command.scope) is None


def test_a_file_that_vanishes_is_reported_and_the_others_are_stored(
    two_workers: RunningStack, tmp_path: Path
) -> None:
    two_workers.route_to_folder(TENANT)
    (tmp_path / "there").write_text("x")
    files = [FileToStore(tmp_path / name, f"v/{name}") for name in ("gone", "there")]
    with two_workers.client() as client:
        stored = {i.file.key: i.error for i in store_files(client, Tenancy(TENANT, "dev"), files)}
    assert stored["v/there"] is None
    gone = stored["v/gone"]
    assert gone is not None
    assert gone.code == "LOCAL_FILE"


def test_waiting_too_short_says_that_the_command_goes_on(two_workers: RunningStack) -> None:
    two_workers.route_to_folder(TENANT)
    workers = [worker.pid for worker in two_workers.stack.workers]
    with two_workers.client() as client:
        # Frozen, or one of them may be done before the client asks.
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(OutcomePending, match="signalbox outcome"):
                client.run_outcome(put("later"), timedelta(0))
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        two_workers.wait_until_idle(client)

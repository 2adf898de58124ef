"""What the steps of records and of parcels share: how a step is timed, and how commands end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256

from benchmarks.testbed import ENV
from signalbox.commands.ledger.entry import Action, Finish
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutResult
from signalbox.commands.outcome import Outcome, Status


def micros(step: Callable[[], object], commands: int) -> float:
    """Microseconds a command."""
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) / commands * 1e6


def finishes_of(commands: Sequence[Command], token: str) -> list[Finish]:
    """All are done."""
    return [Finish(each.ref, token, Action.DONE, _outcome(each)) for each in commands]


def _outcome(command: Command) -> Outcome:
    """With all that the embedded store says of a put, of a content like no other's."""
    digest = sha256(command.subject.encode()).hexdigest()
    uri = f"file:///var/lib/signalbox/tenants/{command.tenant_id}/{ENV}/{command.subject}"
    result = PutResult(key=command.subject, size=1024, etag=digest, sha256=digest, uri=uri)
    return Outcome(
        op_id=command.op_id,
        op=command.op,
        tenant_id=command.tenant_id,
        env=ENV,
        status=Status.DONE,
        result=result.model_dump(mode="json"),
        seq=1,
        attempt=1,
        worker="bench",
        claimed_at=datetime.now(UTC),
        duration_ms=1.0,
    )

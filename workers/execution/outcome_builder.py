"""Makes the Outcome of a command, as the ledger stores it and its producer reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from signalbox.commands.documented import construct
from signalbox.commands.outcome import Outcome, Status
from signalbox.workers.execution.pipeline_types import Ended

_FIELDS = set(Outcome.model_fields)
_MILLISECOND = timedelta(milliseconds=1)


def outcome_of(item: Ended, worker: str) -> Outcome:
    """Return the outcome of a command that was attempted or refused just now by `worker`."""
    claimed, command = item.claimed, item.claimed.command
    error = item.error
    if error is not None:
        error.at(kind=command.kind, tenant_id=command.tenant_id, env=command.env)
    elapsed = datetime.now(UTC) - claimed.claimed_at
    # Without validation: all values come from checked models.
    return construct(
        Outcome,
        {
            "op_id": command.op_id,
            "op": command.op,
            "tenant_id": command.tenant_id,
            "env": command.env,
            "subject": command.subject,
            "status": Status.DONE if error is None else Status.FAILED,
            "result": item.result,
            "error": error.detail() if error is not None else None,
            "backend_type": item.route.backend_type if item.route else None,
            "route_revision": item.route.revision if item.route else None,
            "seq": claimed.seq,
            "attempt": claimed.attempt,
            "worker": worker,
            "claimed_at": claimed.claimed_at,
            "duration_ms": max(0.0, round(elapsed / _MILLISECOND, 3)),
        },
        _FIELDS,
    )

"""The lines that a worker writes of the commands it ended."""

from __future__ import annotations

from datetime import UTC, datetime

from structlog.testing import capture_logs

from signalbox.commands.error import NotFound
from signalbox.commands.ledger.entry import Action, Finish
from signalbox.commands.outcome import Outcome, Status
from signalbox.workers.execution.command_log import MAX_EACH, log_finishes


def finish(number: int, tenant: str = "t_a", action: Action = Action.DONE) -> Finish:
    error = None if action is Action.DONE else NotFound("none", next_step="look").detail()
    outcome = Outcome(
        op_id=f"op{number}",
        op="object_store.put",
        tenant_id=tenant,
        env="dev",
        subject=f"k{number}",
        status=Status.FAILED if error else Status.DONE,
        error=error,
        seq=number,
        attempt=1,
        worker="w",
        claimed_at=datetime.now(UTC),
        duration_ms=float(number),
    )
    return Finish(f"{tenant}/dev/op{number}", "t", action, outcome)


def test_few_have_a_line_each() -> None:
    with capture_logs() as lines:
        log_finishes([finish(n) for n in range(MAX_EACH)], set())
    assert [line["subject"] for line in lines] == [f"k{n}" for n in range(MAX_EACH)]


def test_many_alike_share_a_line_and_what_failed_or_was_lost_has_its_own() -> None:
    ends = [finish(n) for n in range(50)] + [finish(50, action=Action.DEAD), finish(51, "t_b")]
    with capture_logs() as lines:
        log_finishes(ends, {"t_a/dev/op0"})
    told = [line for line in lines if line["log_level"] != "debug"]
    assert [line["status"] for line in told] == ["lease lost", "dead", "done", "done"]
    many, other = told[2:]
    assert (many["commands"], many["tenant"], many["ms"]) == (49, "t_a", 49.0)
    assert (many["first_op_id"], many["last_op_id"]) == ("op1", "op49")
    assert (other["tenant"], other["subject"]) == ("t_b", "k51")
    assert len([line for line in lines if line["log_level"] == "debug"]) == 49

"""What an upsert's or delete's condition demands of a row, for stores that decide it themselves."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.port import Call
from commands.error import AlreadyExists, PreconditionFailed
from commands.tabular_store import DeleteRow, UpsertRow


@dataclass(frozen=True)
class Trace:
    """What the last write on a row left there; without one it is as if deleted before all."""

    seq: int = 0
    gone: bool = True


def demand(command: UpsertRow | DeleteRow, trace: Trace, call: Call) -> None:
    """Raise AlreadyExists or PreconditionFailed.

    Nothing is demanded of a row that bears this command's own trace, nor by a repetition that
    was overtaken: it may have held its condition in its first attempt.
    """
    if trace.seq == call.seq or (trace.seq > call.seq and call.takeover):
        return
    if isinstance(command, UpsertRow):
        if command.condition.if_absent and not trace.gone:
            raise AlreadyExists(
                "there is a row with this key", next_step="take another key, or drop if_absent"
            )
        revision = command.condition.if_revision
    else:
        revision = command.if_revision
    if revision is not None and (trace.gone or trace.seq != revision):
        found = "there is no row" if trace.gone else f"the row has revision {trace.seq}"
        raise PreconditionFailed(
            f"{found}, if_revision demands {revision}", next_step="read it again and decide anew"
        )

"""What a write on a row comes to over what it finds there, for every backend alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from signalbox.adapters.port import Call
from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.tabular_store import DeleteRow, UpsertRow

TOMBSTONE_KEPT: Final = timedelta(days=7)
"""Far longer than a worker can be frozen and still hold a command; as old as a backup of the
ledger may be when it is restored."""


@dataclass(frozen=True)
class Demand:
    """What a service that judges is to hold a write against: the `seq` that is there is lower, or
    nothing is there; and the condition holds, or what is there bears `or_mark`."""

    if_absent: bool = False
    if_revision: int | None = None
    or_mark: str | None = None
    """A row that keeps no mark bears its `seq`, as text."""


@dataclass(frozen=True)
class Trace:
    """What the last write on a row left there; without one it is as if deleted before all."""

    seq: int = 0
    gone: bool = True
    mark: str | None = None
    """As `kept_mark` gave it."""
    token: Any = field(default=None, compare=False)
    """The driver's own: by what it knows that the row is still as it was seen."""

    def is_of(self, call: Call) -> bool:
        """Whether this command left it, in this acceptance or in one that was replayed."""
        mark = str(self.seq) if self.mark is None else self.mark
        return self.seq == call.seq or mark == call.mark

    def supersedes(self, call: Call) -> bool:
        """Whether a newer command left it, so that this one changes nothing."""
        return self.seq > call.seq and not self.is_of(call)


def kept_mark(call: Call) -> str | None:
    """What a row keeps of the mark: nothing where its `seq` says it, which is all but replays."""
    return None if call.mark == str(call.seq) else call.mark


def demand_of(command: UpsertRow | DeleteRow, call: Call) -> Demand:
    """What a service that judges is told."""
    if isinstance(command, UpsertRow):
        condition = command.condition
        return Demand(condition.if_absent, condition.if_revision, kept_mark(call))
    return Demand(False, command.if_revision, kept_mark(call))


def demand(command: UpsertRow | DeleteRow, trace: Trace, call: Call) -> None:
    """Raise AlreadyExists or PreconditionFailed.

    Nothing is demanded of a row that bears this command's own trace, nor by a repetition that
    was overtaken: it may have held its condition in its first attempt.
    """
    if trace.is_of(call) or (trace.seq > call.seq and call.takeover):
        return
    if isinstance(command, UpsertRow):
        if command.condition.if_absent and not trace.gone:
            raise AlreadyExists(
                "there is a row with this key",
                next_step="take another key, or drop the condition that there is none",
            )
        revision = command.condition.if_revision
    else:
        revision = command.if_revision
    if revision is not None and (trace.gone or trace.seq != revision):
        found = "there is no row" if trace.gone else f"the row has revision {trace.seq}"
        raise PreconditionFailed(
            f"{found}, if_revision demands {revision}", next_step="read it again and decide anew"
        )

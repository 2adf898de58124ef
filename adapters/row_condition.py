"""Decides whether a write on a row takes effect, given what is there; for every backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from signalbox.adapters.port import Call
from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.tabular_store import DeleteRow, UpsertRow

TOMBSTONE_KEPT: Final = timedelta(days=7)
"""How long tombstones are kept: far longer than a worker can be suspended and still hold a command,
and as long as a backup of the ledger may be old when it is restored."""


@dataclass(frozen=True)
class Demand:
    """What a service that checks conditions itself must require of a write.

    There is no row or its `seq` is lower; and the condition holds, or the row has `or_mark`.
    """

    if_absent: bool = False
    """The row must not exist."""
    if_revision: int | None = None
    """The row must have this revision."""
    or_mark: str | None = None
    """A row with this mark is accepted in any case. The mark of a row without one is its `seq` as a
    text."""


@dataclass(frozen=True)
class Trace:
    """What the last write on a row left. The default is that of a row which never existed."""

    seq: int = 0
    """Sequence number of that write."""
    gone: bool = True
    """True if it was deleted."""
    mark: str | None = None
    """What `kept_mark` returned for that write."""
    token: Any = field(default=None, compare=False)
    """The driver's own value, by which it recognises that the row has not changed."""

    def is_of(self, call: Call) -> bool:
        """Return whether this command left it, in this acceptance or in one that was replayed."""
        mark = str(self.seq) if self.mark is None else self.mark
        return self.seq == call.seq or mark == call.mark

    def supersedes(self, call: Call) -> bool:
        """Return whether a newer command left it, so that this one changes nothing."""
        return self.seq > call.seq and not self.is_of(call)


def kept_mark(call: Call) -> str | None:
    """Return the mark to store with a row; None if it equals the `seq`, as for all but replays."""
    return None if call.mark == str(call.seq) else call.mark


def demand_of(command: UpsertRow | DeleteRow, call: Call) -> Demand:
    """Return the Demand of a write."""
    if isinstance(command, UpsertRow):
        condition = command.condition
        return Demand(condition.if_absent, condition.if_revision, kept_mark(call))
    return Demand(False, command.if_revision, kept_mark(call))


def demand(command: UpsertRow | DeleteRow, trace: Trace, call: Call) -> None:
    """Raise AlreadyExists or PreconditionFailed if the condition of a write fails.

    Nothing is required of a row that this command itself left, nor of a takeover that was
    superseded: it may have fulfilled its condition in its first attempt.
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

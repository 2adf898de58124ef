"""The values that go into the ledger and come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from signalbox.commands.error import SignalboxError
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.ledger.parcel import Row, Unreadable
from signalbox.commands.ledger.proven import Signed
from signalbox.commands.ledger.usage import Usage
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.ref import Ref


@dataclass(frozen=True)
class Intent:
    """A command to be recorded, with the queue of its wake-up and the channel of the client that
    waits."""

    command: Command
    queue: str
    reply_to: str = ""
    proof: str = ""
    """The signed command as it came in a message; '' if it was not signed."""


class Acceptance(StrEnum):
    NEW = "new"
    HELD = "held"
    """Accepted; published later, when the tenant's window has room."""
    KNOWN = "same"
    CONFLICT = "conflict"
    FULL = "full"
    RESERVED = "reserved"
    """It has no permit; the ledger was not asked."""


@dataclass(frozen=True)
class Receipt:
    """The ledger's answer to one intent, with the `outcome` if the command has ended already."""

    ref: Ref
    acceptance: Acceptance
    seq: int
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Ticket:
    """A wake-up: the name of a command in the ledger, and its op."""

    ref: Ref
    op: str


@dataclass(frozen=True)
class Wake:
    """A command whose wake-up is to be published to `queue`."""

    ticket: Ticket
    queue: str
    group: str = ""
    """Wake-ups of different groups go into different messages."""


@dataclass(frozen=True)
class Claimed:
    """A command that this worker alone may run until `deadline`."""

    command: Command
    token: str
    seq: int
    mark: int
    """The `seq` of its first acceptance, which a replay keeps; it marks the effects of the command.
    """
    attempt: int
    counted: int
    """Attempts that count towards the limit: not those while its breaker was open, or before a
    replay."""
    deadline: float
    """End of the lease, in seconds of `lease_clock`."""
    claimed_at: datetime
    fence: str | None
    """Fence of the command's route at the claim; None if its scope never had a route."""
    older: bool = False
    """True if it was accepted before the state server (re)started: an attempt may have been made
    that this copy of the ledger does not know."""
    signed: Signed | None = None
    """Of a record with a proof; that of a parcel stands there."""
    stale: bool = False
    """True if the time is over in which what was signed could be accepted, or this process has run
    it before: whoever can write to the ledger may have put it there again."""

    @property
    def takeover(self) -> bool:
        """True if an earlier attempt may have had its effect."""
        return self.attempt > 1 or self.older


@dataclass(frozen=True)
class Unrunnable:
    """A claimed command that must not run: it cannot be read, or its attempts are used up."""

    ref: Ref
    op: str
    seq: int
    attempt: int
    token: str
    claimed_at: datetime
    error: SignalboxError
    signed: Signed | None = None
    """See `Claimed`."""


@dataclass(frozen=True)
class Parcel:
    """Commands of one scope that are submitted, taken and ended together."""

    name: int
    """Number of its first command; that of any other is this one plus its position."""
    shard: str
    tenant_env: str
    """`tenant/env`."""
    kind: str
    rows: dict[str, Row]
    """Its commands by ref, without those that were left out at the submit."""
    unreadable: list[Unreadable]
    keys: list[str]
    """The order keys that it holds."""
    clock: int
    """The shard's clock before its first command began."""
    content: bytes = b""
    """What it holds, where that has a proof."""
    proof: str = ""
    """As `manifest.read_proof` reads it; '' if it has none."""
    checked: bool = False
    """Its commands were checked when they were read, not only when they were made."""


@dataclass(frozen=True)
class Claims:
    """The result of one claim."""

    claimed: list[Claimed] = field(default_factory=list)
    unrunnable: list[Unrunnable] = field(default_factory=list)
    suspects: list[Ticket] = field(default_factory=list)
    """Suspects that were not claimed; each runs alone in a process."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Number of commands that were not claimed, by reason: done, busy, wait, gone, suspect."""
    conflicts: list[Command] = field(default_factory=list)
    """Carried commands whose op_id belongs to another command; they must not run."""
    policies: dict[str, str | None] = field(default_factory=dict)
    """Fence of each tenant's policy, read after the claims like those of the routes."""
    epoch: str | None = None
    """Epoch of the registry; None before its first change."""
    parcels: list[Parcel] = field(default_factory=list)
    """The parcels of the commands; empty where each command has a record."""
    lost: dict[str, str] = field(default_factory=dict)
    """Shards whose ledger has lost something, and what: no command of them may run."""


class Apart(IntEnum):
    """Whether suspects may be claimed, which must run alone in their process."""

    NO = 0
    WATCHED = 1
    """Yes, and another process reports it if this one dies."""
    UNWATCHED = 2
    """Yes, and an expired lease counts as a death."""


class Action(StrEnum):
    """What a finish does with a claimed command."""

    DONE = "done"
    DEAD = "dead"
    RETRY = "retry"
    RELEASE = "release"
    PARK = "park"
    PACE = "pace"
    """Over the tenant's rate: wait in the scope's line, at most for the delay."""
    REFUSE = "refuse"
    """Not proven: a dead letter that leaves its op_id free."""
    DIED = "died"
    """The process in which the command ran alone died."""


@dataclass(frozen=True)
class Finish:
    """The end of one claim: an outcome (done, dead), or a return to the queue."""

    ref: Ref
    token: str
    action: Action
    outcome: Outcome | None = None
    delay: timedelta = timedelta(0)
    usage: Usage | None = None
    message: str = ""
    """Of a refused command, the digest of the signed message in which it came; '' if in none."""


@dataclass(frozen=True)
class Finished:
    """The result of a finish. `refused` has the refs whose lease was lost: their outcome was not
    recorded."""

    refused: list[str]
    wakes: list[Wake]


@dataclass(frozen=True)
class Due:
    """Commands that are due; `more` is True if there are more than one look takes."""

    wakes: list[Wake]
    more: bool
    late: list[tuple[str, Sequence[bytes]]] = field(default_factory=list)
    """Parcels whose lease has expired, for `Parcels.open_late`."""


@dataclass(frozen=True)
class Record:
    """What the ledger knows of one command, for people and tests."""

    ref: Ref
    op: str
    state: str
    seq: int
    attempt: int
    accepted_at: datetime
    began: int | None
    """Position among all claims of the shard."""
    ended: int | None
    """Position of its end on the same count."""
    worker: str | None
    outcome: Outcome | None
    waits_for: ErrorDetail | None
    """The error because of which an open command will be retried."""


@dataclass(frozen=True)
class Burial:
    """A document that is no command, with the reason as its outcome."""

    ref: Ref
    op: str
    document: str
    """As JSON."""
    outcome: Outcome

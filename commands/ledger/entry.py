"""What goes into the ledger and what comes out of it."""

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
    """A command on its way in: the queue its wake-up goes to, and who wants to be told."""

    command: Command
    queue: str
    reply_to: str = ""
    proof: str = ""
    """The signed command as it came in a message; '' if it was not signed."""


class Acceptance(StrEnum):
    NEW = "new"
    HELD = "held"
    """Accepted; published later, when the tenant window has room."""
    KNOWN = "same"
    CONFLICT = "conflict"
    FULL = "full"
    RESERVED = "reserved"
    """Nobody gave leave for it; the ledger was not asked."""


@dataclass(frozen=True)
class Receipt:
    """The ledger's answer to one intent; `outcome` if the command has ended already."""

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
    """Wake-ups of another group go into another message."""


@dataclass(frozen=True)
class Claimed:
    """A command that this worker, and no other, may run until `deadline`."""

    command: Command
    token: str
    seq: int
    mark: int
    """The `seq` of its first acceptance, which a replay leaves as it is: what marks its effects."""
    attempt: int
    counted: int
    """Attempts that count towards the limit: not those on a backend at rest, or before a replay."""
    deadline: float
    """On the clock of `lease_clock`, seconds."""
    claimed_at: datetime
    fence: str | None
    """Of the command's route at the claim; None if its scope never had one."""
    older: bool = False
    """It was accepted before the state server (re)started: an attempt that this ledger knows
    nothing of may have been made in a history that it lost."""
    signed: Signed | None = None
    """Of a record with a proof; that of a parcel stands there."""

    @property
    def takeover(self) -> bool:
        """An earlier attempt may have had its effect."""
        return self.attempt > 1 or self.older


@dataclass(frozen=True)
class Unrunnable:
    """A claimed command that must not run: unreadable, or its attempts are used up."""

    ref: Ref
    op: str
    seq: int
    attempt: int
    token: str
    claimed_at: datetime
    error: SignalboxError
    signed: Signed | None = None
    """As in `Claimed`."""


@dataclass(frozen=True)
class Parcel:
    """Commands of one scope that were submitted together, and are taken and ended together."""

    name: int
    """The number of its first command; the others have this one plus their position."""
    shard: str
    tenant_env: str
    """`tenant/env`."""
    kind: str
    rows: dict[str, Row]
    """By the commands' refs; without those that were left out when it was submitted."""
    unreadable: list[Unreadable]
    keys: list[str]
    """The order keys that it holds."""
    clock: int
    """Of the shard, before its first command began."""
    content: bytes = b""
    """What it holds, where that has a proof."""
    proof: str = ""
    """As `manifest.read_proof` reads it; '' if it has none."""


@dataclass(frozen=True)
class Claims:
    """All that one claim gave."""

    claimed: list[Claimed] = field(default_factory=list)
    unrunnable: list[Unrunnable] = field(default_factory=list)
    suspects: list[Ticket] = field(default_factory=list)
    """Not given: workers died with them twice, so they run in a process of their own."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Commands not given, by reason: done, busy, wait, gone, suspect."""
    conflicts: list[Command] = field(default_factory=list)
    """Carried commands whose op_id another command has; they must not run."""
    policies: dict[str, str | None] = field(default_factory=dict)
    """The fence of each tenant's policy, read behind the claims like those of the routes."""
    epoch: str | None = None
    """Of the registry; None before its first change."""
    parcels: list[Parcel] = field(default_factory=list)
    """Those in which the commands stand; empty where each has a record of its own."""
    lost: dict[str, str] = field(default_factory=dict)
    """Shards whose ledger is known to have lost something, and what: nothing of them may run."""


class Apart(IntEnum):
    """Whether suspects may be claimed, which want nothing beside them in their process."""

    NO = 0
    WATCHED = 1
    """Yes, and another process tells the ledger if this one dies."""
    UNWATCHED = 2
    """Yes, and a lease that runs out is taken for its death."""


class Action(StrEnum):
    """What a finish does with a claimed command."""

    DONE = "done"
    DEAD = "dead"
    RETRY = "retry"
    RELEASE = "release"
    PARK = "park"
    PACE = "pace"
    """Over the tenant's rate: it waits in its scope's line, at most for the delay."""
    REFUSE = "refuse"
    """It is not proven: a dead letter that keeps its op_id from nobody."""
    DIED = "died"
    """The process in which the command ran apart from all others died with it."""


@dataclass(frozen=True)
class Finish:
    """The end of one claim: an outcome (done, dead), or back into the queue."""

    ref: Ref
    token: str
    action: Action
    outcome: Outcome | None = None
    delay: timedelta = timedelta(0)
    usage: Usage | None = None


@dataclass(frozen=True)
class Finished:
    """`refused` holds the refs whose lease was another's: their outcome was not recorded."""

    refused: list[str]
    wakes: list[Wake]


@dataclass(frozen=True)
class Due:
    """Commands whose due time has come; `more` of them than one look takes."""

    wakes: list[Wake]
    more: bool
    late: list[tuple[str, Sequence[bytes]]] = field(default_factory=list)
    """Parcels whose lease is over, for `Parcels.open_late`."""


@dataclass(frozen=True)
class Record:
    """One command as the ledger knows it, for people and tests."""

    ref: Ref
    op: str
    state: str
    seq: int
    attempt: int
    accepted_at: datetime
    began: int | None
    """Place among all claims of the shard."""
    ended: int | None
    """Place on the same count."""
    worker: str | None
    outcome: Outcome | None
    waits_for: ErrorDetail | None
    """The error for which an open command comes again."""


@dataclass(frozen=True)
class Burial:
    """A document that is no command, with the reason as its outcome."""

    ref: Ref
    op: str
    document: str
    """As JSON."""
    outcome: Outcome

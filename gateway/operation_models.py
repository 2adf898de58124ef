"""What calls of operation answer with, as models of the OpenAPI document.

Handlers respond with documents that are made elsewhere, such as `status_of`, and these models
describe them: `tests/gateway/test_answers.py` compares both.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from signalbox.commands.documented import Documented
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.routing import ProbeStep
from signalbox.gateway.registry_models import LockTerms, Use
from signalbox.routing.policy.policy import Quotas


class Alive(Documented):
    """The process runs."""

    status: Literal["alive"]
    """Always this."""


class Ready(Documented):
    """The state Redis answers and workers run commands."""

    status: Literal["ready"]
    """Always this."""
    workers: list[str]
    """Names of the workers that gave a sign within the last seconds."""


class ArchiveStatus(Documented):
    """How far the audit trail is archived."""

    revision: int
    """Revision of the last archived event; 0 before the first."""
    of: int
    """Revision of the newest event."""
    waits_for: str
    """Why the archiver has stopped; empty while it runs."""


class SystemStatus(Documented):
    """Commands, queues, workers, archive, open breakers and lost data."""

    ledger: dict[str, int]
    """Number of commands by what has become of them."""
    queues: dict[str, int]
    """Number of messages in each queue."""
    workers: list[str]
    """Names of the workers that answered within a second."""
    archive: ArchiveStatus
    """How far the audit trail is archived."""
    resting: list[tuple[str, str, str, str]]
    """Worker, backend, config as JSON and scope of each open circuit breaker."""
    ledger_lost: dict[str, str]
    """Shards on which nothing runs since the ledger has lost something, and what."""


class Probe(Documented):
    """What a worker found when it tried the backend of a route."""

    backend_type: str | None = None
    """Backend that was tested; left out if none was reached."""
    revision: int | None = None
    """Revision of the route; left out if none was reached."""
    steps: list[ProbeStep]
    """The steps, up to the one that failed."""
    error: ErrorDetail | None
    """Why the last step failed; null if all succeeded."""


class Cost(Documented):
    """An estimated cost, in the currency of the price file."""

    storage: float | None
    """Cost of what is stored now for a whole month; null if it is not counted."""
    writes: float
    """Cost of this month's writes so far."""
    reads: float
    """Cost of this month's reads so far."""
    out: float
    """Cost of the bytes read this month so far."""
    total: float
    """Sum of all costs."""


class UnknownCost(Documented):
    """Why no cost can be estimated."""

    error: ErrorDetail
    """Such as a backend without prices."""


class RouteDiagnosis(Documented):
    """A route's probe, use, quota, lock and cost."""

    scope: str
    """`kind/tenant/env` of the route."""
    backend: str
    """Name of its backend."""
    probe: Probe
    """What a worker found."""
    health: str
    """`ok`, the error code of the last failure if nothing has worked since, or `unknown`."""
    use: Use
    """This month's use."""
    quota: Quotas
    """Quotas of the tenant in each env."""
    lock: LockTerms | None
    """The strategy lock that is held; null if none is."""
    cost_this_month: Cost | UnknownCost
    """Its estimated cost."""


class Diagnosis(Documented):
    """Diagnoses of routes."""

    routes: list[RouteDiagnosis]
    """One for each route."""


class DeadLetterAnswer(Documented):
    """A command that failed permanently, or a document that is no command."""

    ref: str
    """Its name in the ledger, `tenant/env/op_id`."""
    op: str
    """Name of the operation."""
    subject: str
    """What the command concerned, such as a key."""
    can_be_replayed: bool
    """False if it is no command."""
    attempts: int
    """Number of attempts."""
    worker: str
    """Worker of the last one."""
    claimed_at: datetime
    """When that one was claimed."""
    died_at: datetime
    """When the command failed."""
    backend_type: str | None
    """Backend on which it ran; null if it reached none."""
    route_revision: int | None
    """Revision of the route by which it ran; null if it had none."""
    document: dict[str, Any] | str
    """The command without the content that it would have stored; a text if it is none."""
    error: ErrorDetail | None
    """Why it failed."""


class DeadLettersPage(Documented):
    """Dead letters, oldest first in each shard."""

    dead_letters: list[DeadLetterAnswer]
    """The dead letters."""
    more: bool
    """True if there are more than the limit."""


class ReplayedLetters(Documented):
    """Answers a replay."""

    replayed: int
    """Number of commands that run again."""
    left: dict[str, str]
    """Those that do not, by ref, and why."""
    more: bool
    """True if there may be more."""


class PurgedLetters(Documented):
    """Answers a purge."""

    purged: int
    """Number of dead letters that were removed."""
    more: bool
    """True if there may be more."""

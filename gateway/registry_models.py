"""What calls on routes, locks, policies and principals answer with, as models of the OpenAPI
document.

Handlers respond with documents that are made elsewhere, such as `RouteStatus.document`, and these
models describe them: `tests/gateway/test_answers.py` compares both.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from signalbox.commands.documented import Documented
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.proof.principal import Principal
from signalbox.commands.scope import ResourceKind
from signalbox.routing.policy.policy import Policy
from signalbox.routing.registry.author_signature import Prepared
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.route import Route


class PreparedChange(Documented):
    """Answers `X-Signature: prepare`: nothing is changed, and this is what there is to sign."""

    prepared: Prepared
    """What the change will be, and what it was decided on."""


class LockTerms(Documented):
    """A strategy lock."""

    owner: str
    """The actor who holds the lock."""
    reason: str
    """Why, in the owner's words."""
    token: int
    """Revision of the event that took the lock, so a later lock has a higher token."""
    until: datetime
    """When the lock expires, by the clock of the state Redis."""


class HeldLock(LockTerms):
    """A strategy lock that is held."""

    scope: str
    """`kind/tenant/env` of the route that it is on."""


class ReleasedLock(Documented):
    """Answers the release of a lock."""

    unlocked: LockTerms | None
    """The lock that was held; null if none was."""


class Use(Documented):
    """What is stored by a route now, and the calls of its backend since the first of the month."""

    objects: int | None
    """Number of objects; null where it is not counted."""
    bytes: int | None
    """Their size; null where it is not counted."""
    reads: int
    """Number of reads."""
    writes: int
    """Number of writes."""
    failures: int
    """Number of failed commands."""
    bytes_in: int
    """Bytes that were written."""
    bytes_out: int
    """Bytes that were read."""


class RouteWithStatus(Route):
    """A route with its health, use and lock."""

    health: str
    """`ok`, the error code of the last failure if nothing has worked since, or `unknown`."""
    last_error_at: datetime | None
    """When the backend last failed as a whole; null if it did not."""
    lock: LockTerms | None
    """The strategy lock that is held; null if none is."""
    use: Use
    """This month's use."""


class RoutesPage(Documented):
    """One page of routes."""

    kind: ResourceKind
    """Kind of resource."""
    routes: list[RouteWithStatus]
    """The routes, ordered by tenant and env."""
    next_after: str | None
    """Pass as `after` for the next page; null on the last."""
    unproven: list[ErrorDetail] = Field(default_factory=list)
    """Routes that stand among them and do not count, where changes are signed."""


class DeletedRoute(Documented):
    """Answers the removal of a route."""

    deleted: str
    """`kind/tenant/env` of the route."""


class DrainedRoute(Documented):
    """Answers that no command can still run on a former route."""

    drained: str
    """`kind/tenant/env` of the route."""
    waited_for: int
    """Number of commands that were waited for."""


class RouteHistory(Documented):
    """Events of one route."""

    events: list[StreamEvent]
    """The events, newest first."""


class PoliciesAnswer(Documented):
    """The policies of all tenants."""

    policies: list[Policy]
    """One for each tenant that has one."""


class EventAuthor(Documented):
    """Who signed an event, and whether that counts."""

    name: str | None
    """The administrator or principal; null if that cannot be verified."""
    verified: bool
    """True if it is proven that they made this change."""
    why_not: str | None
    """Why it is not verified, or does not count any more; null if it counts."""


class AuditEvent(StreamEvent):
    """An event of the audit trail."""

    signed_by: EventAuthor | None = None
    """Who signed it; left out where changes are not signed."""


class AuditPage(Documented):
    """One page of the audit trail."""

    events: list[AuditEvent]
    """The events, oldest first."""
    next_after: int | None
    """Pass as `after` for the next page; null at the end."""


class PrincipalsAnswer(Documented):
    """All principals."""

    principals: list[Principal]
    """The principals by name, those that were revoked too."""
    revision: int
    """Revision of the list."""


class ChangedPrincipal(Documented):
    """A principal after a change."""

    principal: Principal
    """What it may, and its keys."""
    revision: int
    """Revision of the list of principals."""

"""The errors that Signalbox reports, each with a stable code and an HTTP status.

    SignalboxError
    ├── InvalidCommand            INVALID_COMMAND             400  the request itself is wrong
    │   ├── InvalidScope          INVALID_SCOPE               400
    │   ├── InvalidKey            INVALID_KEY                 400
    │   ├── UnknownCommand        UNKNOWN_COMMAND             400
    │   ├── UnsupportedVersion    UNSUPPORTED_VERSION         400
    │   ├── InvalidSetting        INVALID_SETTING             400
    │   ├── LocalFileError        LOCAL_FILE                  400
    │   ├── ReservedStream        RESERVED_STREAM             403
    │   ├── ContentMismatch       CONTENT_MISMATCH            400
    │   ├── TooLarge              TOO_LARGE                   413
    │   └── OpIdReused            OP_ID_REUSED                409
    ├── RoutingError                                               where the data should go
    │   ├── RouteNotFound         ROUTE_NOT_FOUND             500
    │   ├── RouteExists           ROUTE_EXISTS                409
    │   ├── UnknownBackend        UNKNOWN_BACKEND             400
    │   ├── BackendNotImplemented BACKEND_NOT_IMPLEMENTED     501
    │   ├── BackendNotInstalled   BACKEND_NOT_INSTALLED       501
    │   ├── InvalidRouteConfig    INVALID_ROUTE_CONFIG        400
    │   ├── ForbiddenBackend      FORBIDDEN_BACKEND_CLASS     403
    │   ├── PolicyForbids         POLICY_FORBIDS              403
    │   ├── PlaceForbidden        PLACE_FORBIDDEN             403
    │   ├── ControlRefused        CONTROL_REFUSED             403
    │   ├── RouteLocked           ROUTE_LOCKED                423
    │   ├── LockLost              LOCK_LOST                   409
    │   ├── Conflict              CONFLICT                    409
    │   ├── RegistryRegressed     REGISTRY_REGRESSED          503  (waits)
    │   └── RegistryUnreadable    REGISTRY_UNREADABLE         503  (waits)
    │       └── RegistryUnproven  REGISTRY_UNPROVEN           503  (waits)
    ├── ProofError                                                 who signed what
    │   ├── SignatureMissing      SIGNATURE_MISSING           401
    │   ├── SignatureInvalid      SIGNATURE_INVALID           401
    │   └── NotGranted            NOT_GRANTED                 403
    ├── QuotaError                                                 what the tenant's policy allows
    │   ├── QuotaExceeded         QUOTA_EXCEEDED              403
    │   └── RateLimited           RATE_LIMITED                429  (waits)
    ├── BackendError                                               what a backend answered
    │   ├── NotFound              NOT_FOUND                   404
    │   ├── AlreadyExists         ALREADY_EXISTS              409
    │   ├── PreconditionFailed    PRECONDITION_FAILED         412
    │   ├── PermissionDenied      PERMISSION_DENIED           403
    │   ├── Misconfigured         MISCONFIGURED               500
    │   ├── Unsupported           UNSUPPORTED_OPERATION       501
    │   ├── ScanRefused           SCAN_REFUSED                400
    │   ├── WeakerFences          WEAKER_FENCES               501
    │   ├── IntegrityMismatch     INTEGRITY_MISMATCH          500
    │   ├── InsufficientStorage   INSUFFICIENT_STORAGE        507  (temporary)
    │   ├── Contended             CONTENDED                   503  (temporary)
    │   ├── BackendResting        BACKEND_RESTING             503  (waits)
    │   ├── Throttled             THROTTLED                   429  (temporary)
    │   └── Unavailable           UNAVAILABLE                 503  (temporary)
    └── DeliveryError                                              the way to the worker and back
        ├── StateUnavailable      STATE_UNAVAILABLE           503  (temporary)
        ├── StateUnreadable       STATE_UNREADABLE            500
        ├── ExtraNotInstalled     EXTRA_NOT_INSTALLED         501
        ├── LedgerRegressed       LEDGER_REGRESSED            503  (waits)
        ├── LedgerDamaged         LEDGER_DAMAGED              500
        ├── LedgerMismatch        LEDGER_MISMATCH             500
        ├── LedgerTooNew          LEDGER_TOO_NEW              500
        ├── BrokerUnavailable     BROKER_UNAVAILABLE          503  (temporary)
        ├── PayloadMissing        PAYLOAD_MISSING             500  (temporary)
        ├── SourceChanged         SOURCE_CHANGED              409
        ├── LeaseExpired          LEASE_EXPIRED               503  (temporary)
        ├── SlotsTaken            SLOTS_TAKEN                 503  (waits)
        ├── DeadlineExceeded      DEADLINE_EXCEEDED           504
        ├── AttemptsExhausted     ATTEMPTS_EXHAUSTED          500
        ├── OutcomePending        OUTCOME_PENDING             504
        ├── ResultUnreadable      RESULT_UNREADABLE           500
        └── InternalError         INTERNAL_ERROR              500  (temporary)

A command that fails with a temporary error is retried until its attempts are used up; an error that
`waits` uses up no attempt. Between processes an error travels as an `ErrorDetail`, which is plain
data.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # the command line imports errors, and no models, before it knows what to run
    from pydantic_core import ErrorDetails

    from signalbox.commands.error_detail import ErrorDetail


class SignalboxError(Exception):
    """Base of all errors: a code, a message, what it concerns, and the next step.

    Kind, tenant, env and backend that the raiser does not know are None until `at` fills them in.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    """Stable code of the error."""
    http_status: ClassVar[int] = 500
    """HTTP status that corresponds to the error."""
    temporary: ClassVar[bool] = False
    """True if the same command may succeed when it is tried again."""
    waits: ClassVar[bool] = False
    """True if the command was not attempted and is retried without limit; implies `temporary`."""
    retry_after: float | None = None
    """Seconds after which to try again, if known."""

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        tenant_id: str | None = None,
        env: str | None = None,
        backend_type: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.tenant_id = tenant_id
        self.env = env
        self.backend_type = backend_type
        self.next_step = next_step

    def at(
        self,
        *,
        kind: str | None = None,
        tenant_id: str | None = None,
        env: str | None = None,
        backend_type: str | None = None,
    ) -> SignalboxError:
        """Fill in kind, tenant, env and backend where unknown; return the error itself."""
        self.kind = self.kind or kind
        self.tenant_id = self.tenant_id or tenant_id
        self.env = self.env or env
        self.backend_type = self.backend_type or backend_type
        return self

    def detail(self) -> ErrorDetail:
        """Return the error as data."""
        from signalbox.commands.error_detail import ErrorDetail

        return ErrorDetail(
            code=self.code,
            message=self.message,
            http_status=self.http_status,
            temporary=self.temporary,
            kind=self.kind,
            tenant_id=self.tenant_id,
            env=self.env,
            backend_type=self.backend_type,
            next_step=self.next_step,
            retry_after=self.retry_after,
        )

    def __str__(self) -> str:
        location = [f"{self.kind}"] if self.kind else []
        if self.tenant_id:
            location.append(
                f"in {self.tenant_id}/{self.env}" if self.env else f"of {self.tenant_id}"
            )
        if self.backend_type:
            location.append(f"on {self.backend_type}")
        text = f"{self.message} [{' '.join(location)}]" if location else self.message
        # What a library says often ends with a full stop of its own.
        return f"{text.rstrip('.')}. {self.next_step}" if self.next_step else text


def reason_of(fault: ErrorDetails) -> str:
    """Return a validator's message without the prefix that pydantic adds."""
    return fault["msg"].removeprefix("Value error, ")


class InvalidCommand(SignalboxError):
    """The request is invalid; sending it again fails again."""

    code, http_status = "INVALID_COMMAND", 400


class InvalidScope(InvalidCommand):
    """tenant_id or env is not well-formed."""

    code = "INVALID_SCOPE"


class InvalidKey(InvalidCommand):
    """The object key, prefix or name is not allowed."""

    code = "INVALID_KEY"


class UnknownCommand(InvalidCommand):
    """No command has this `op`."""

    code = "UNKNOWN_COMMAND"


class UnsupportedVersion(InvalidCommand):
    """The document has a schema version that this release does not support."""

    code = "UNSUPPORTED_VERSION"


class InvalidSetting(InvalidCommand):
    """A `SIGNALBOX_*` environment variable has an invalid value."""

    code = "INVALID_SETTING"


class LocalFileError(InvalidCommand):
    """A file on the caller's own machine cannot be read or written."""

    code = "LOCAL_FILE"


class ReservedStream(InvalidCommand):
    """The stream belongs to Signalbox itself, and others cannot append to it."""

    code, http_status = "RESERVED_STREAM", 403


class ContentMismatch(InvalidCommand):
    """The received content does not have the size or digest that its sender declared."""

    code = "CONTENT_MISMATCH"


class TooLarge(InvalidCommand):
    """The content or message is over a size limit."""

    code, http_status = "TOO_LARGE", 413


class OpIdReused(InvalidCommand):
    """The op_id was already used for a different command, which is kept."""

    code, http_status = "OP_ID_REUSED", 409


class RoutingError(SignalboxError):
    """There is no usable route, or a change of a route was refused."""

    code = "ROUTING_ERROR"


class RouteNotFound(RoutingError):
    """The scope has no route."""

    code, http_status = "ROUTE_NOT_FOUND", 500


class RouteExists(RoutingError):
    """`set` found a route to another backend or location; `switch` moves it."""

    code, http_status = "ROUTE_EXISTS", 409


class UnknownBackend(RoutingError):
    """There is no backend of this name."""

    code, http_status = "UNKNOWN_BACKEND", 400


class BackendNotImplemented(RoutingError):
    """The backend does not implement this kind of resource."""

    code, http_status = "BACKEND_NOT_IMPLEMENTED", 501


class BackendNotInstalled(RoutingError):
    """A package that the backend needs, such as its SDK, is not installed in this process."""

    code, http_status = "BACKEND_NOT_INSTALLED", 501


class InvalidRouteConfig(RoutingError):
    """The config lacks an entry, has an unknown one, or holds a credential."""

    code, http_status = "INVALID_ROUTE_CONFIG", 400


class ForbiddenBackend(RoutingError):
    """The backend is allowed in mode `lab` only, and another mode applies."""

    code, http_status = "FORBIDDEN_BACKEND_CLASS", 403


class Conflict(RoutingError):
    """Another change came first: read the route again before changing it."""

    code, http_status = "CONFLICT", 409


class PolicyForbids(RoutingError):
    """The tenant's policy does not allow this backend or region."""

    code, http_status = "POLICY_FORBIDS", 403


class PlaceForbidden(RoutingError):
    """The operator's settings do not allow routes to use this folder, file or address."""

    code, http_status = "PLACE_FORBIDDEN", 403


class ControlRefused(RoutingError):
    """A route command came from the queue, and the operator's settings do not allow that."""

    code, http_status = "CONTROL_REFUSED", 403


class RouteLocked(RoutingError):
    """Someone else holds the route's strategy lock."""

    code, http_status = "ROUTE_LOCKED", 423


class LockLost(RoutingError):
    """The strategy lock named by the change has expired or is held by someone else."""

    code, http_status = "LOCK_LOST", 409


class RegistryRegressed(RoutingError):
    """The registry is older than a state seen before; commands wait for a rebase."""

    code, http_status, temporary, waits = "REGISTRY_REGRESSED", 503, True, True


class RegistryUnreadable(RoutingError):
    """This release cannot read a route or policy; a later release may have written it."""

    code, http_status, temporary, waits = "REGISTRY_UNREADABLE", 503, True, True


class RegistryUnproven(RegistryUnreadable):
    """A route, policy or list of principals does not carry a signature that counts."""

    code = "REGISTRY_UNPROVEN"


class ProofError(SignalboxError):
    """Who sent a command or made a change is not proven, or may not do so."""

    code, http_status = "PROOF_ERROR", 403


class SignatureMissing(ProofError):
    """A signature is required here, and there is none."""

    code, http_status = "SIGNATURE_MISSING", 401


class SignatureInvalid(ProofError):
    """The signature is malformed, forged, expired, for something else, or by an unknown key."""

    code, http_status = "SIGNATURE_INVALID", 401


class NotGranted(ProofError):
    """The principal that signed may not do this there."""

    code, http_status = "NOT_GRANTED", 403


class QuotaError(SignalboxError):
    """A limit of the tenant's policy is reached."""

    code = "QUOTA_ERROR"


class QuotaExceeded(QuotaError):
    """The command would exceed the tenant's quota of objects or bytes."""

    code, http_status = "QUOTA_EXCEEDED", 403


class RateLimited(QuotaError):
    """The tenant's rate limit is exceeded; `retry_after` says when to try again."""

    code, http_status, temporary, waits = "RATE_LIMITED", 429, True, True


class BackendError(SignalboxError):
    """An error of a backend, translated to the same classes for all backends."""

    code = "BACKEND_ERROR"


class NotFound(BackendError):
    """The object, row or other item does not exist."""

    code, http_status = "NOT_FOUND", 404


class AlreadyExists(BackendError):
    """The item exists, and `if_absent` was requested."""

    code, http_status = "ALREADY_EXISTS", 409


class PreconditionFailed(BackendError):
    """The item is not at the ETag, revision or version that the command requires."""

    code, http_status = "PRECONDITION_FAILED", 412


class PermissionDenied(BackendError):
    """The backend denied access to the worker's credentials."""

    code, http_status = "PERMISSION_DENIED", 403


class Misconfigured(BackendError):
    """The route's config names something that does not exist or is wrong, such as the bucket."""

    code, http_status = "MISCONFIGURED", 500


class Unsupported(BackendError):
    """The backend cannot do this operation."""

    code, http_status = "UNSUPPORTED_OPERATION", 501


class ScanRefused(BackendError):
    """No key and no index of the backend serves the query, and it does not say `allow_scan`."""

    code, http_status = "SCAN_REFUSED", 400


class WeakerFences(BackendError):
    """The service or credentials lack what keeps an older write from undoing a newer one."""

    code, http_status = "WEAKER_FENCES", 501


class IntegrityMismatch(BackendError):
    """The content does not match its announced size or digest."""

    code, http_status = "INTEGRITY_MISMATCH", 500


class InsufficientStorage(BackendError):
    """The storage is full."""

    code, http_status, temporary = "INSUFFICIENT_STORAGE", 507, True


class Throttled(BackendError):
    """The backend limits the rate of requests."""

    code, http_status, temporary = "THROTTLED", 429, True


class Contended(BackendError):
    """Other writers hold or keep changing the item, or the request took too long.

    The backend itself works, so this error does not affect other commands.
    """

    code, http_status, temporary = "CONTENDED", 503, True


class Unavailable(BackendError):
    """The backend does not answer or is out of service."""

    code, http_status, temporary = "UNAVAILABLE", 503, True


class BackendResting(BackendError):
    """The circuit breaker is open: the backend failed recently, and the command waits."""

    code, http_status, temporary, waits = "BACKEND_RESTING", 503, True, True


class DeliveryError(SignalboxError):
    """A command did not reach its worker, or its outcome did not come back."""

    code = "DELIVERY_ERROR"


class StateUnavailable(DeliveryError):
    """The state Redis does not answer or refuses writes."""

    code, http_status, temporary = "STATE_UNAVAILABLE", 503, True


class StateUnreadable(DeliveryError):
    """The embedded server cannot read its data, which another server has written."""

    code, http_status = "STATE_UNREADABLE", 500


class ExtraNotInstalled(DeliveryError):
    """A package that this process needs is not installed; the message names the extra with it."""

    code, http_status = "EXTRA_NOT_INSTALLED", 501


class LedgerRegressed(DeliveryError):
    """The ledger lost entries that a worker has seen; commands wait for a rebase."""

    code, http_status, temporary, waits = "LEDGER_REGRESSED", 503, True, True


class LedgerDamaged(DeliveryError):
    """A parcel in the ledger is truncated or corrupt."""

    code = "LEDGER_DAMAGED"


class LedgerMismatch(DeliveryError):
    """The ledger has another number of shards or queues than this process is configured for."""

    code, http_status = "LEDGER_MISMATCH", 500


class LedgerTooNew(DeliveryError):
    """A later release has written the ledger in a form that this one cannot read."""

    code, http_status = "LEDGER_TOO_NEW", 500


class BrokerUnavailable(DeliveryError):
    """The broker did not accept the wake-up; the ledger publishes the command later."""

    code, http_status, temporary = "BROKER_UNAVAILABLE", 503, True


class PayloadMissing(DeliveryError):
    """The staged content is not in this worker's payload directory; another worker may have it."""

    code, temporary = "PAYLOAD_MISSING", True


class SourceChanged(DeliveryError):
    """A local file that is to be stored changed while it was read."""

    code, http_status = "SOURCE_CHANGED", 409


class LeaseExpired(DeliveryError):
    """The lease ran out before the command had its effect."""

    code, http_status, temporary = "LEASE_EXPIRED", 503, True


class SlotsTaken(DeliveryError):
    """Slow commands of the tenant occupy its share of the worker's slots; this one waits."""

    code, http_status, temporary, waits = "SLOTS_TAKEN", 503, True, True


class DeadlineExceeded(DeliveryError):
    """The deadline passed before the command was started; nothing was executed."""

    code, http_status = "DEADLINE_EXCEEDED", 504


class AttemptsExhausted(DeliveryError):
    """The command was claimed as often as allowed and never ended; it may crash its workers."""

    code = "ATTEMPTS_EXHAUSTED"


class OutcomePending(DeliveryError):
    """There was no outcome within the caller's timeout; the command is still open."""

    code, http_status = "OUTCOME_PENDING", 504


class ResultUnreadable(DeliveryError):
    """The command succeeded, but its result is not of the expected type in this release."""

    code, http_status = "RESULT_UNREADABLE", 500


class InternalError(SignalboxError):
    """An unexpected error; retried, since it may be temporary."""

    code, temporary = "INTERNAL_ERROR", True


class RemoteError(SignalboxError):
    """An error that happened in a worker, raised in this process from its `ErrorDetail`.

    It is also an instance of the class of its code, so that `except NotFound` catches it.
    """

    def __new__(cls, detail: ErrorDetail) -> RemoteError:
        own = _remote_class(detail.code) if cls is RemoteError else cls
        return super().__new__(own, detail.message)

    def __init__(self, detail: ErrorDetail) -> None:
        # Not the constructor of the class that comes next, which may take something else.
        SignalboxError.__init__(
            self,
            detail.message,
            kind=detail.kind,
            tenant_id=detail.tenant_id,
            env=detail.env,
            backend_type=detail.backend_type,
            next_step=detail.next_step,
        )
        self._detail = detail
        # As the worker had them, whose release may be another.
        self.code = detail.code  # type: ignore[misc]
        self.http_status = detail.http_status  # type: ignore[misc]
        self.temporary = detail.temporary  # type: ignore[misc]
        self.retry_after = detail.retry_after

    def __reduce__(self) -> tuple[type[RemoteError], tuple[ErrorDetail]]:
        return RemoteError, (self._detail,)

    def detail(self) -> ErrorDetail:
        return self._detail


@lru_cache(maxsize=512)
def _remote_class(code: str) -> type[RemoteError]:
    """RemoteError itself where this release knows no error of the code."""
    for kind in _below(SignalboxError):
        if "code" in vars(kind) and kind.code == code and not issubclass(kind, RemoteError):
            return type(kind.__name__, (RemoteError, kind), {"__module__": kind.__module__})
    return RemoteError


def _below(kind: type[SignalboxError]) -> Iterator[type[SignalboxError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)

"""Every error that Signalbox reports, with a stable code.

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
        └── InternalError         INTERNAL_ERROR              500  (temporary)

A temporary error is tried again until the attempts are used up; one that `waits` spends none.
What crosses a process is `ErrorDetail`, plain data: exceptions do not survive JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails


class ErrorDetail(BaseModel):
    """An error as data: what an outcome, an audit record or `--json` carries."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    http_status: int
    temporary: bool
    kind: str | None = None
    tenant_id: str | None = None
    env: str | None = None
    backend_type: str | None = None
    next_step: str | None = None
    retry_after: float | None = None


class SignalboxError(Exception):
    """An error with a stable code, the place it concerns, and the next step.

    `temporary` says whether the same command may succeed when it is tried again.
    Place names that the raiser does not know stay None until `at` fills them in.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    http_status: ClassVar[int] = 500
    temporary: ClassVar[bool] = False
    waits: ClassVar[bool] = False
    """The command was not attempted and comes again, however often; implies `temporary`."""
    retry_after: float | None = None
    """Seconds after which to try again, where that is known."""

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
        """Name the place where it is not named yet, and return the error itself."""
        self.kind = self.kind or kind
        self.tenant_id = self.tenant_id or tenant_id
        self.env = self.env or env
        self.backend_type = self.backend_type or backend_type
        return self

    def detail(self) -> ErrorDetail:
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
        place = [f"{self.kind}"] if self.kind else []
        if self.tenant_id:
            place.append(f"in {self.tenant_id}/{self.env}" if self.env else f"of {self.tenant_id}")
        if self.backend_type:
            place.append(f"on {self.backend_type}")
        text = f"{self.message} [{' '.join(place)}]" if place else self.message
        # What a library says often ends with a full stop of its own.
        return f"{text.rstrip('.')}. {self.next_step}" if self.next_step else text


def reason_of(fault: ErrorDetails) -> str:
    """What a validator says is wrong, without the words that pydantic puts before ours."""
    return fault["msg"].removeprefix("Value error, ")


class InvalidCommand(SignalboxError):
    """The request itself is wrong; sending it again changes nothing."""

    code, http_status = "INVALID_COMMAND", 400


class InvalidScope(InvalidCommand):
    code = "INVALID_SCOPE"


class InvalidKey(InvalidCommand):
    code = "INVALID_KEY"


class UnknownCommand(InvalidCommand):
    code = "UNKNOWN_COMMAND"


class UnsupportedVersion(InvalidCommand):
    code = "UNSUPPORTED_VERSION"


class InvalidSetting(InvalidCommand):
    """An environment variable of ours does not hold what it should."""

    code = "INVALID_SETTING"


class LocalFileError(InvalidCommand):
    """A file on the caller's own machine cannot be read or written."""

    code = "LOCAL_FILE"


class ReservedStream(InvalidCommand):
    """A stream that Signalbox itself keeps, and that takes nothing from anyone else."""

    code, http_status = "RESERVED_STREAM", 403


class ContentMismatch(InvalidCommand):
    """The content that arrived is not what its sender declared: it ended early, or was changed."""

    code = "CONTENT_MISMATCH"


class TooLarge(InvalidCommand):
    code, http_status = "TOO_LARGE", 413


class OpIdReused(InvalidCommand):
    """The op_id is known with another content; the first one stands."""

    code, http_status = "OP_ID_REUSED", 409


class RoutingError(SignalboxError):
    """There is no usable route, or a change of one is refused."""

    code = "ROUTING_ERROR"


class RouteNotFound(RoutingError):
    code, http_status = "ROUTE_NOT_FOUND", 500


class RouteExists(RoutingError):
    code, http_status = "ROUTE_EXISTS", 409


class UnknownBackend(RoutingError):
    code, http_status = "UNKNOWN_BACKEND", 400


class BackendNotImplemented(RoutingError):
    code, http_status = "BACKEND_NOT_IMPLEMENTED", 501


class BackendNotInstalled(RoutingError):
    """This process lacks a package that the backend is made of, such as its SDK."""

    code, http_status = "BACKEND_NOT_INSTALLED", 501


class InvalidRouteConfig(RoutingError):
    code, http_status = "INVALID_ROUTE_CONFIG", 400


class ForbiddenBackend(RoutingError):
    code, http_status = "FORBIDDEN_BACKEND_CLASS", 403


class Conflict(RoutingError):
    """Another change came first; read the route again and decide anew."""

    code, http_status = "CONFLICT", 409


class PolicyForbids(RoutingError):
    """The tenant's policy does not allow this backend or region."""

    code, http_status = "POLICY_FORBIDS", 403


class PlaceForbidden(RoutingError):
    """The operator's settings keep routes from this folder, file or address."""

    code, http_status = "PLACE_FORBIDDEN", 403


class ControlRefused(RoutingError):
    """A command about routes that came from the queue without an operator's leave."""

    code, http_status = "CONTROL_REFUSED", 403


class RouteLocked(RoutingError):
    """Someone else holds the route's strategy lock."""

    code, http_status = "ROUTE_LOCKED", 423


class LockLost(RoutingError):
    """The strategy lock that the change counts on ran out, or is another's now."""

    code, http_status = "LOCK_LOST", 409


class RegistryRegressed(RoutingError):
    """The registry is older than what was seen of it; nothing runs until that is mended."""

    code, http_status, temporary, waits = "REGISTRY_REGRESSED", 503, True, True


class RegistryUnreadable(RoutingError):
    """A route or policy that this release cannot read, such as one that a later release wrote."""

    code, http_status, temporary, waits = "REGISTRY_UNREADABLE", 503, True, True


class QuotaError(SignalboxError):
    """The tenant's policy allows no more."""

    code = "QUOTA_ERROR"


class QuotaExceeded(QuotaError):
    code, http_status = "QUOTA_EXCEEDED", 403


class RateLimited(QuotaError):
    """Over the tenant's commands per second; `retry_after` says when its turn may come."""

    code, http_status, temporary, waits = "RATE_LIMITED", 429, True, True


class BackendError(SignalboxError):
    """What a backend answered, in one vocabulary for all backends."""

    code = "BACKEND_ERROR"


class NotFound(BackendError):
    code, http_status = "NOT_FOUND", 404


class AlreadyExists(BackendError):
    code, http_status = "ALREADY_EXISTS", 409


class PreconditionFailed(BackendError):
    code, http_status = "PRECONDITION_FAILED", 412


class PermissionDenied(BackendError):
    code, http_status = "PERMISSION_DENIED", 403


class Misconfigured(BackendError):
    """The route points at something that is not there or not right (bucket, region)."""

    code, http_status = "MISCONFIGURED", 500


class Unsupported(BackendError):
    code, http_status = "UNSUPPORTED_OPERATION", 501


class ScanRefused(BackendError):
    """No key and no index of the backend serves the query, and it does not say `allow_scan`."""

    code, http_status = "SCAN_REFUSED", 400


class WeakerFences(BackendError):
    """The service or the credentials cannot do what keeps older writes from undoing newer ones."""

    code, http_status = "WEAKER_FENCES", 501


class IntegrityMismatch(BackendError):
    code, http_status = "INTEGRITY_MISMATCH", 500


class InsufficientStorage(BackendError):
    code, http_status, temporary = "INSUFFICIENT_STORAGE", 507, True


class Throttled(BackendError):
    code, http_status, temporary = "THROTTLED", 429, True


class Contended(BackendError):
    """The backend is there, but others hold or keep changing what this command needs, or it took
    the backend too long; it says nothing about other commands."""

    code, http_status, temporary = "CONTENDED", 503, True


class Unavailable(BackendError):
    code, http_status, temporary = "UNAVAILABLE", 503, True


class BackendResting(BackendError):
    """The backend was found down a moment ago; its commands wait until it answers again."""

    code, http_status, temporary, waits = "BACKEND_RESTING", 503, True, True


class DeliveryError(SignalboxError):
    """The way of a command to its worker, or of its outcome back."""

    code = "DELIVERY_ERROR"


class StateUnavailable(DeliveryError):
    code, http_status, temporary = "STATE_UNAVAILABLE", 503, True


class StateUnreadable(DeliveryError):
    """The data of the embedded server are of another server, which the ones here cannot read."""

    code, http_status = "STATE_UNREADABLE", 500


class LedgerRegressed(DeliveryError):
    """The ledger lost something that a worker had seen in it; nothing runs until that is mended."""

    code, http_status, temporary, waits = "LEDGER_REGRESSED", 503, True, True


class LedgerDamaged(DeliveryError):
    """What the ledger keeps of many commands together is cut, changed, or something else."""

    code = "LEDGER_DAMAGED"


class LedgerMismatch(DeliveryError):
    """The ledger is over another number of shards than this process was told, or began with."""

    code, http_status = "LEDGER_MISMATCH", 500


class LedgerTooNew(DeliveryError):
    """A later release has written the ledger, in a way that this one cannot read."""

    code, http_status = "LEDGER_TOO_NEW", 500


class BrokerUnavailable(DeliveryError):
    """The broker did not take the wake-up; the ledger holds the command and will wake it."""

    code, http_status, temporary = "BROKER_UNAVAILABLE", 503, True


class PayloadMissing(DeliveryError):
    """Tried again: another worker may share the directory that this one does not."""

    code, temporary = "PAYLOAD_MISSING", True


class SourceChanged(DeliveryError):
    code, http_status = "SOURCE_CHANGED", 409


class LeaseExpired(DeliveryError):
    code, http_status, temporary = "LEASE_EXPIRED", 503, True


class SlotsTaken(DeliveryError):
    """The tenant's slow commands hold its share of a worker; this one waits for them."""

    code, http_status, temporary, waits = "SLOTS_TAKEN", 503, True, True


class DeadlineExceeded(DeliveryError):
    """The command's deadline passed before its turn came; nothing was executed."""

    code, http_status = "DEADLINE_EXCEEDED", 504


class AttemptsExhausted(DeliveryError):
    code = "ATTEMPTS_EXHAUSTED"


class OutcomePending(DeliveryError):
    """No outcome within the time the caller was ready to wait; the command goes on."""

    code, http_status = "OUTCOME_PENDING", 504


class InternalError(SignalboxError):
    """Something that no code foresaw; tried again, since it may have been passing."""

    code, temporary = "INTERNAL_ERROR", True


class RemoteError(SignalboxError):
    """An error that happened in a worker, raised again from its `ErrorDetail`.

    It is of the class that its code stands for as well, so that `except NotFound` catches it.
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

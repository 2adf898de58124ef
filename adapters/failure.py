"""Translates errors of backends to SignalboxErrors that name tenant, env, kind and backend.

A driver's `Service` says how its own errors are translated. A store opens `Reporter.errors` around
each operation, so that it raises only SignalboxErrors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from signalbox.adapters.deadline import Deadline, enter, leave
from signalbox.commands.error import SignalboxError
from signalbox.commands.scope import Scope


@dataclass(frozen=True)
class Service:
    """The service behind a backend type, as errors name it."""

    backend_type: str
    """Name of the backend type."""
    name: str
    """The name for people, such as `Azure`."""
    translate: Callable[[Exception], SignalboxError]
    """Returns the SignalboxError for an exception, without tenant and so on. Called within the time
    limit of the operation."""
    failures: tuple[type[Exception], ...] = (Exception,)
    """Exceptions that `translate` knows; any other is a defect and is not translated."""
    answers: tuple[type[Exception], ...] = ()
    """Those that contain a response of the service, which counts even if it came late."""


class Reporter:
    """Reports the errors of one store."""

    def __init__(self, service: Service, scope: Scope) -> None:
        self.service = service
        self.scope = scope

    def errors(self, deadline: Deadline | None = None) -> located_errors:
        """Translate errors within the context, which has this time limit.

        Raises only SignalboxErrors, and LeaseExpired at once if the lease has expired.
        """
        return located_errors(self, deadline)

    def located(self, error: SignalboxError) -> SignalboxError:
        """Add tenant, env, kind and backend to the error and return it."""
        scope = self.scope
        return error.at(
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            backend_type=self.service.backend_type,
        )

    def translated(self, error: Exception) -> SignalboxError:
        """Return the SignalboxError, complete, for an exception of the service's client."""
        if not isinstance(error, SignalboxError):
            error = self.service.translate(error)
        return self.located(error)


class located_errors:  # noqa: N801 - used like a function; contextlib's would cost more
    """See `Reporter.errors`."""

    __slots__ = ("_deadline", "_reporter", "_token")

    def __init__(self, reporter: Reporter, deadline: Deadline | None) -> None:
        self._reporter = reporter
        self._deadline = deadline

    def __enter__(self) -> None:
        if self._deadline is not None:
            try:
                self._deadline.check()
            except SignalboxError as error:
                self._reporter.located(error)
                raise
            self._token = enter(self._deadline)

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._report(error)
        finally:
            if self._deadline is not None:
                leave(self._token)

    def _report(self, error: BaseException) -> None:
        reporter, deadline = self._reporter, self._deadline
        service = reporter.service
        if isinstance(error, SignalboxError):
            reporter.located(error)
        elif isinstance(error, service.failures):
            if deadline is not None and deadline.fault and not isinstance(error, service.answers):
                raise reporter.located(deadline.error(service.name)) from error
            raise reporter.translated(error) from error

"""Errors of backends: typed, and each naming tenant, env, kind and backend. Written once for all.

A driver's service says how its own errors are translated (`Service`). A store opens
`Reporter.errors` around each operation, so that only SignalboxErrors leave it.
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
    name: str
    """As people call it, such as `Azure`."""
    translate: Callable[[Exception], SignalboxError]
    """The error for callers, without a location. Called within the time of the operation."""
    failures: tuple[type[Exception], ...] = (Exception,)
    """What `translate` knows. Anything else is a defect, and passes through as it is."""
    answers: tuple[type[Exception], ...] = ()
    """Those of them that hold an answer of the service: it counts, however late it came."""


class Reporter:
    """What is common to the errors of one store."""

    def __init__(self, service: Service, scope: Scope) -> None:
        self.service = service
        self.scope = scope

    def errors(self, deadline: Deadline | None = None) -> located_errors:
        """Around what asks the service; what is within has this time. Lets only SignalboxErrors
        out, and raises LeaseExpired at once where the time is over."""
        return located_errors(self, deadline)

    def located(self, error: SignalboxError) -> SignalboxError:
        """The same error, with its location named."""
        scope = self.scope
        return error.at(
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            backend_type=self.service.backend_type,
        )

    def translated(self, error: Exception) -> SignalboxError:
        """The typed error for what the service's client raised, with its location named."""
        if not isinstance(error, SignalboxError):
            error = self.service.translate(error)
        return self.located(error)


class located_errors:  # noqa: N801 - used like a function; one made by contextlib costs more
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

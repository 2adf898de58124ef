"""The outcome of a command: its result or error, as data that the ledger keeps."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, ValidationError

from signalbox.commands.documented import Documented
from signalbox.commands.error import RemoteError, ResultUnreadable, SignalboxError
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.ref import Ref, make_ref
from signalbox.commands.result import R


class Status(StrEnum):
    """Whether a command succeeded or failed."""

    DONE = "done"
    FAILED = "failed"


class Outcome(Documented):
    """How one command ended: its result or its error."""

    model_config = ConfigDict(frozen=True)

    op_id: str
    """Idempotency key of the command."""
    op: str
    """Name of the operation, such as `object_store.put`."""
    tenant_id: str
    """Tenant of the command."""
    env: str
    """Env of the command."""
    subject: str = ""
    """What the command concerned, such as a key, or table and row."""
    status: Status
    """`done` if there is a result, `failed` if there is an error."""
    result: dict[str, Any] | None = None
    """The result as JSON data; None if the command failed."""
    error: ErrorDetail | None = None
    """The error; None if the command succeeded."""
    backend_type: str | None = None
    """Backend on which the command ran; None if it reached none."""
    route_revision: int | None = None
    """Revision of the route by which the command ran."""
    seq: int
    """Number of the command's acceptance; a command accepted later has a higher one."""
    attempt: int
    """Number of the attempt that ended the command; 1 for the first."""
    worker: str
    """Name of the worker that ended the command."""
    claimed_at: datetime
    """When that attempt was claimed, by the clock of the state Redis."""
    duration_ms: float
    """Milliseconds from that claim to the outcome."""

    @property
    def ref(self) -> Ref:
        """Name of the command in the ledger, `tenant/env/op_id`."""
        return make_ref(self.tenant_id, self.env, self.op_id)

    def unwrap(self) -> dict[str, Any]:
        """Return the result as JSON data, or raise the error with which the command failed.

        The error has the class of its code, such as NotFound, and is a RemoteError as well.
        """
        if self.error is not None:
            raise RemoteError(self.error)
        return self.result or {}

    def result_as(self, kind: type[R]) -> R:
        """Return the result as `kind`, the type that the command `Returns`.

        Fields that a worker of a later release has added are left out. Raises like `unwrap`;
        ResultUnreadable where the result is none of that type, and the command succeeded.
        """
        document = json.dumps(self.unwrap())
        try:
            return kind.model_validate_json(document, extra="ignore")
        except (SignalboxError, ValidationError) as error:
            raise ResultUnreadable(
                f"{self.op} succeeded, but its result is no {kind.__name__}: "
                f"{_reason(error)} (worker {self.worker})",
                kind=self.op.partition(".")[0],
                tenant_id=self.tenant_id,
                env=self.env,
                backend_type=self.backend_type,
                next_step="do not send it again: Outcome.result has the result as JSON data (also "
                f"`signalbox outcome {self.op_id}`); run workers and clients of one release",
            ) from None


def _reason(error: SignalboxError | ValidationError) -> str:
    """Where the result does not fit, without what it holds."""
    if isinstance(error, SignalboxError):
        return error.message
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"

"""What became of a command, as data: it crosses processes and is kept by the ledger."""

from __future__ import annotations

import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from signalbox.commands.error import ErrorDetail, RemoteError
from signalbox.commands.ref import Ref, make_ref
from signalbox.commands.result import R


class Status(StrEnum):
    DONE = "done"
    FAILED = "failed"


class Outcome(BaseModel):
    """The end of one command: its result, or its error."""

    model_config = ConfigDict(frozen=True)

    op_id: str
    op: str
    tenant_id: str
    env: str
    subject: str = ""
    status: Status
    result: dict[str, Any] | None = None
    error: ErrorDetail | None = None
    backend_type: str | None = None
    route_revision: int | None = Field(None, description="Revision of the route it ran on.")
    seq: int = Field(description="Place in the order in which the ledger accepted commands.")
    attempt: int = Field(description="1 for a command that ran once.")
    worker: str
    claimed_at: datetime = Field(description="By the clock of the state Redis.")
    duration_ms: float = Field(description="From claim to outcome, milliseconds.")

    @property
    def ref(self) -> Ref:
        """The command's name in the ledger."""
        return make_ref(self.tenant_id, self.env, self.op_id)

    def unwrap(self) -> dict[str, Any]:
        """The result. Raises the error with which the command failed, such as NotFound; it is a
        RemoteError too."""
        if self.error is not None:
            raise RemoteError(self.error)
        return self.result or {}

    def result_as(self, kind: type[R]) -> R:
        """The result, in the type that its command `Returns`. Raises as `unwrap` does.

        A field that a worker of a later release has added is left out."""
        return kind.model_validate_json(json.dumps(self.unwrap()), extra="ignore")

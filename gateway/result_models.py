"""What calls that run commands answer with, as models of the OpenAPI document.

Handlers respond with the documents of outcomes as the ledger has them, and these models describe
them: `tests/gateway/test_answers.py` compares both.
"""

from __future__ import annotations

import operator
from datetime import datetime
from functools import cache, reduce
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from signalbox.commands.documented import Documented
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.model import Command
from signalbox.commands.outcome import Outcome
from signalbox.commands.parse import known_ops
from signalbox.gateway.problem import Problem

_BACKEND = (str | None, Field(description="Backend on which it ran; null if it reached none."))
_OP_ID = (str, Field(description="Idempotency key of the command."))


@cache
def written(command: type[Command]) -> type[BaseModel]:
    """Return the model of a write's answer: the command's result, its op_id and its backend."""
    return _answer(command, op_id=_OP_ID, backend_type=_BACKEND)


@cache
def read(command: type[Command]) -> type[BaseModel]:
    """Return the model of a read's answer: the command's result and its backend."""
    return _answer(command, backend_type=_BACKEND)


def _answer(command: type[Command], **fields: Any) -> type[BaseModel]:
    its = command.result_type
    assert its is not None, command  # noqa: S101 - only changes of routes have none
    return create_model(f"{command.__name__}Answer", __base__=its, __doc__=its.__doc__, **fields)


class UriAnswer(Documented):
    """Where the content is stored."""

    uri: str
    """The backend's own URI of the object."""


class AcceptedAnswer(Documented):
    """A command that is in the ledger and still running."""

    op_id: str
    """Idempotency key of the command."""
    state: Literal["open"]
    """It has no outcome yet."""
    location: str
    """Path at which its outcome can be read."""


def _outcome_of(op: str, command: type[Command]) -> type[Outcome]:
    result: Any = command.result_type or dict[str, Any]
    its_op: Any = Literal[op]
    text = "The result; null if the command failed."
    return create_model(
        f"{command.__name__}Outcome",
        __base__=Outcome,
        __doc__=f"How a command `{op}` ended.",
        op=(its_op, ...),
        result=(result | None, Field(description=text)),
    )


_OUTCOMES: Any = reduce(operator.or_, [_outcome_of(op, c) for op, c in sorted(known_ops().items())])
AnyOutcome = Annotated[_OUTCOMES, Field(discriminator="op")]
"""The outcome of any command, told apart by its `op`."""


class EndedCommand(Documented):
    """A command that has ended."""

    op_id: str
    """Idempotency key of the command."""
    state: Literal["done", "failed"]
    """`done` if its outcome has a result, `failed` if it has an error."""
    outcome: AnyOutcome
    """Its outcome."""


class RefusedCommand(Documented):
    """A command of which nothing was accepted."""

    op_id: str | None = None
    """Idempotency key of the command, as far as it could be read."""
    state: Literal["refused"]
    """It is not in the ledger."""
    error: Problem
    """Why."""


class CommandsAnswer(Documented):
    """How each command of a request ended, in the order of the request."""

    results: list[
        Annotated[EndedCommand | AcceptedAnswer | RefusedCommand, Field(discriminator="state")]
    ]
    """One for each command, told apart by its `state`."""


class SignedCommandAnswer(Documented):
    """The result of one signed command: the fields of its type, beside these."""

    model_config = ConfigDict(extra="allow")

    op_id: str
    """Idempotency key of the command."""
    backend_type: str | None
    """Backend on which it ran; null if it reached none."""


class CommandRecord(Documented):
    """What the ledger knows of a command."""

    ref: str
    """Name of the command in the ledger, `tenant/env/op_id`."""
    op: str
    """Name of the operation, such as `object_store.put`."""
    state: str
    """`done` or `failed`; anything else while it is open."""
    seq: int
    """Number of its acceptance; a command accepted later has a higher one."""
    attempt: int
    """Number of the last attempt; 0 before the first."""
    accepted_at: datetime
    """When it was accepted, by the clock of the state Redis."""
    began: int | None
    """Position of its last claim among all claims of its shard; null before the first."""
    ended: int | None
    """Position of its end on the same count; null while it is open."""
    worker: str | None
    """Name of the worker that claimed it last."""
    outcome: AnyOutcome | None
    """How it ended; null while it is open."""
    waits_for: ErrorDetail | None
    """The error because of which an open command will be retried."""

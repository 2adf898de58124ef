"""What all results of commands have in common."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Result(BaseModel):
    """The answer to a command, as an adapter gives it and an outcome carries it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )


R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)


class Returns(Generic[R_co]):
    """Base of a command whose result has this type: `class GetRow(RowCommand, Returns[Row])`."""


class WriteResult(Result):
    """The answer to a write that leaves what is newer as it is."""

    superseded: bool = Field(
        False,
        description="The effect of a newer command was there already: this one changed nothing.",
    )

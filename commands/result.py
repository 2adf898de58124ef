"""The base classes of the results of commands."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import ConfigDict

from signalbox.commands.documented import Documented


class Result(Documented):
    """The answer to a command, as a store returns it and an outcome contains it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )


R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)


class Returns(Generic[R_co]):
    """Base of a command whose result has this type: `class GetRow(RowCommand, Returns[Row])`."""


class WriteResult(Result):
    """The answer to a write, which changes nothing if a newer write has taken effect."""

    superseded: bool = False
    """True if a newer command had already taken effect, so that this one changed nothing."""

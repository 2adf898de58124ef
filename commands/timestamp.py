"""Timestamps in UTC, to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from signalbox.commands.error import InvalidCommand


def in_utc(moment: datetime) -> datetime:
    """Convert a time to UTC. Raises InvalidCommand if it has no time zone or is out of range."""
    if moment.tzinfo is None:
        raise InvalidCommand("a timestamp has no time zone", next_step="add Z or an offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidCommand("a timestamp is out of range", next_step="use years 1-9999") from None


Timestamp = Annotated[AwareDatetime, AfterValidator(in_utc)]

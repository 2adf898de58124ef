"""What the commands have in common that list the names of tables, series and streams."""

from __future__ import annotations

from pydantic import Field

from signalbox.commands.model import Command
from signalbox.commands.name import NamePrefix
from signalbox.commands.result import Result


class ListNames(Command):
    """Read one page of names."""

    writes = False
    prefix: NamePrefix = ""
    """List only names that begin with this text."""
    limit: int = Field(1000, ge=1, le=1000)
    """Maximum number of names in a page."""
    cursor: str | None = Field(None, max_length=8192)
    """`next_cursor` of the previous page; None for the first."""
    allow_scan: bool = Field(False, exclude_if=lambda allowed: not allowed)
    """Read everything that the backend keeps, if it has no list of names; SCAN_REFUSED
    otherwise."""

    @property
    def subject(self) -> str:
        return f"{self.prefix}*"


class NamesResult(Result):
    """One page of names, ordered by their UTF-8 bytes within the page.

    Pages continue in that order too, except on Firestore and DynamoDB.
    """

    next_cursor: str | None = None
    """Pass as `cursor` for the next page; None on the last. A page before it may be empty."""

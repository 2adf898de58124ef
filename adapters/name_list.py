"""Pages of the names of tables, series and streams, for every backend, and the cursors between."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from signalbox.adapters.cursor import cursor_refused, make_cursor, open_cursor
from signalbox.adapters.failure import Service
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.response_check import not_asked, unusable
from signalbox.adapters.stored import damaged
from signalbox.commands.error import InvalidKey, ScanRefused
from signalbox.commands.listing import ListNames
from signalbox.commands.name import check_name

MAX_POSITION = 5000
"""Maximum length of a position."""


@dataclass(frozen=True)
class NameQuery:
    """Which names a driver is asked for."""

    prefix: str
    """Only names that begin with it."""
    position: str | None
    """Where the page before ended, as the driver has said, or as a caller forged it; None: begin.
    It has no control characters."""
    count: int
    """Maximum number of names."""
    allow_scan: bool
    """Whether everything that is stored may be read for it."""


class NamePage(NamedTuple):
    """Some of the names. Over all pages each name comes once."""

    names: Sequence[str]
    """The names; perhaps none, if others follow."""
    position: str | None
    """Where the next page begins; None if there is none."""


class NotListed(Exception):
    """The service has no list of names, and would have to read everything."""

    def __init__(self, next_step: str) -> None:
        super().__init__(next_step)
        self.next_step = next_step
        """What to do about it, besides allowing it; a sentence."""


class NameDriver(Protocol):
    """The part of a driver that lists names."""

    @property
    def service(self) -> Service:
        """The service, for errors."""

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        """Return a page of names, of this scope alone.

        Raises NotListed, and InvalidCommand for a position that the service refuses.
        """


def list_names(driver: NameDriver, command: ListNames, limit: TimeLimit) -> tuple[list[str], str]:
    """Return one page of names in UTF-8 order, and its cursor, empty on the last page.

    Raises InvalidCommand for a cursor of another list, ScanRefused, and IntegrityMismatch for what
    was not asked for or is no name.
    """
    position = None if command.cursor is None else _opened(command, command.cursor)
    query = NameQuery(command.prefix, position, command.limit, command.allow_scan)
    try:
        names, following = driver.names(query, limit)
    except NotListed as refused:
        raise ScanRefused(
            f"a list of names would read all that is stored: {driver.service.name} has none",
            next_step=f"{refused.next_step} Or read it all the same: allow_scan (--allow-scan).",
        ) from None
    if len(names) > command.limit or len(set(names)) < len(names):
        raise not_asked("more names than a page has", driver.service.name)
    for name in names:
        try:
            check_name(name)
        except (InvalidKey, AttributeError) as error:
            raise damaged("a name", error) from error
    if not all(name.startswith(command.prefix) for name in names):
        raise not_asked("names that do not begin with the prefix", driver.service.name)
    if following is not None and following == position:
        raise unusable(driver.service.name, "the list does not advance")
    cursor = "" if following is None else make_cursor(command, following)
    return sorted(names, key=str.encode), cursor


def page_by_name(names: Sequence[str], count: int) -> NamePage:
    """Return the page of `count` names out of those, in order, that follow its position.

    For drivers whose positions are names: they look for one name more than a page has.
    """
    if len(names) <= count:
        return NamePage(names, None)
    return NamePage(names[:count], names[count - 1])


def _opened(command: ListNames, cursor: str) -> str:
    position = open_cursor(command, cursor)
    if not isinstance(position, str) or not 0 < len(position) <= MAX_POSITION:
        raise cursor_refused()
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in position):
        raise cursor_refused()
    return position

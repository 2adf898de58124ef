"""Pages of the names of tables, series and streams, which are ids of documents.

Firestore lists ids in its own order, from a token of its own on, and filters none.
"""

from __future__ import annotations

from google.api_core import exceptions as api

from signalbox.adapters.cursor import cursor_refused, page_after
from signalbox.adapters.firestore.database import CHUNK, Database
from signalbox.adapters.firestore.name import Collection, name_of
from signalbox.adapters.name_list import NamePage, NameQuery
from signalbox.adapters.port import TimeLimit
from signalbox.adapters.stored import readable

MAX_REQUESTS = 20
"""Maximum number of requests for a page; one with a rare prefix may be empty."""


def names_page(
    database: Database, collection: Collection, query: NameQuery, limit: TimeLimit
) -> NamePage:
    """Return a page of the names; see `NameDriver.names`."""

    def ask(token: str | None) -> tuple[list[str], str]:
        count = min(CHUNK, query.count - len(names))
        return database.names(collection, limit, count=count, token=token or "")

    names: list[str] = []
    token = query.position
    for number in range(MAX_REQUESTS):
        try:
            ids, following = ask(token) if number else page_after(token, ask, _is_fault)
        except api.InvalidArgument as error:
            if number == 0 and query.position is not None:
                raise cursor_refused() from error
            raise
        with readable("a name"):
            found = [name_of(each) for each in ids]
        names += [name for name in found if name.startswith(query.prefix)]
        token = following or None
        if token is None or len(names) == query.count:
            break
    return NamePage(names, token)


def _is_fault(error: Exception) -> bool:
    return isinstance(error, api.InternalServerError | api.Unknown)

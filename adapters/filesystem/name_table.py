"""Lists of names in SQLite: each kind's database has a table of them, with a column `name`."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Any, Literal

import apsw

from signalbox.adapters.name_list import NamePage, NameQuery, page_by_name


def names_page(
    connection: apsw.Connection, table: Literal["tables", "series", "streams"], query: NameQuery
) -> NamePage:
    """Return a page of names. SQLite orders texts by their UTF-8 bytes."""
    found: Any = connection.execute(
        f"SELECT name FROM {table} WHERE name >= ? AND name > ? ORDER BY name",  # noqa: S608 - a constant
        (query.prefix, query.position or ""),
    )
    below = takewhile(lambda name: name.startswith(query.prefix), (name for (name,) in found))
    return page_by_name(list(islice(below, query.count + 1)), query.count)

"""Pages of the names of tables, series and streams, by a scan: DynamoDB lists no partition keys.

A scan reads the items of all tenants, in no order, but those of one partition together.
"""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from signalbox.adapters.aws.failure import code_of
from signalbox.adapters.cursor import cursor_refused
from signalbox.adapters.dynamodb.key import Key
from signalbox.adapters.dynamodb.table import Table
from signalbox.adapters.name_list import NamePage, NameQuery, NotListed
from signalbox.adapters.port import TimeLimit

MAX_REQUESTS = 20
"""Maximum number of requests for a page, a mebibyte each; so a page may be empty."""


def names_page(table: Table, partitions: str, query: NameQuery, limit: TimeLimit) -> NamePage:
    """Return a page of names; see `NameDriver.names`. Raises NotListed unless a scan is allowed.

    `partitions` is how the keys begin of the partitions that there are one of for each name.
    """
    if not query.allow_scan:
        raise NotListed(
            "DynamoDB lists no partition keys: keep the names elsewhere, or the data on postgres "
            "or firestore."
        )
    names: dict[str, Key] = {}
    after = None if query.position is None else _read(query.position)
    # Its items may go on, and its name was in a page before.
    known = after.pk.removeprefix(partitions) if after else None
    for number in range(MAX_REQUESTS):
        try:
            keys, after = table.scan(partitions + query.prefix, limit, after=after)
        except ClientError as error:
            if number == 0 and query.position and code_of(error) == "ValidationException":
                raise cursor_refused() from error
            raise
        for key in keys:
            name = key.pk.removeprefix(partitions)
            if name == known:
                continue
            if name not in names and len(names) == query.count:
                return NamePage(list(names), _written(list(names.values())[-1]))
            names[name] = key
        if after is None:
            return NamePage(list(names), None)
    return NamePage(list(names), _written(after))


def _written(key: Key | None) -> str:
    assert key is not None  # noqa: S101 - the scan continues after it
    return json.dumps([key.pk, key.sk.hex()], separators=(",", ":"), ensure_ascii=False)


def _read(position: str) -> Key:
    try:
        pk, sk = json.loads(position)
        if isinstance(pk, str) and pk:
            return Key(pk, bytes.fromhex(sk))
    except (ValueError, TypeError, RecursionError):
        pass
    raise cursor_refused()

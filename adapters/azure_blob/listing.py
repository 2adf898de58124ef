"""Pages of keys, and the cursor that leads from one to the next."""

from __future__ import annotations

import re
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobPrefix, ContainerClient

from adapters.answer import (
    EMPTY_PAGES,
    checked_etag,
    checked_size,
    checked_token,
    foreign,
    unreadable,
)
from adapters.azure_blob.failure import status_of
from adapters.azure_blob.location import Location
from adapters.azure_blob.name import to_key, to_prefix
from adapters.cursor import cursor_refused, make_cursor, open_cursor, page_behind
from adapters.deadline import REQUEST_SECONDS
from commands.object_store import ListObjects, ListResult, ObjectInfo

# Azurite's are names of blobs, so any text of XML may be one.
_MARKER = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]+")


def list_page(container: ContainerClient, location: Location, command: ListObjects) -> ListResult:
    """One page as Azure orders it. Raises InvalidCommand for a cursor of another list."""
    base = location.prefix()
    marker = None if command.cursor is None else _marker(command, command.cursor)
    listing: dict[str, Any] = {
        "name_starts_with": base + to_prefix(command.prefix),
        "results_per_page": command.limit,
        "timeout": int(REQUEST_SECONDS),
    }
    found: Any = (
        container.walk_blobs(delimiter=command.delimiter, **listing)
        if command.delimiter
        else container.list_blobs(**listing)
    )

    def ask(marker: str | None) -> tuple[list[Any], Any]:
        pages = found.by_page(continuation_token=marker)
        return list(next(pages, [])), pages.continuation_token

    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    token = marker
    for number in range(EMPTY_PAGES):
        try:
            entries, following = ask(token) if number else page_behind(marker, ask, _is_fault)
        except HttpResponseError as error:
            if marker is not None and status_of(error) == 400:
                raise cursor_refused() from error
            raise
        token = checked_token("Azure", following, token) if following else None
        if entries or token is None:
            break
    else:
        raise unreadable("Azure", "the list has nothing but empty pages")
    if len(entries) > command.limit:
        raise foreign("Azure", "more keys than a page has")
    for entry in entries:
        if not entry.name.startswith(base):
            raise foreign("Azure", "keys that are not of the tenant and env of the list")
        key = to_key(entry.name.removeprefix(base))
        if not key.startswith(command.prefix):
            continue
        if isinstance(entry, BlobPrefix):
            prefixes.append(key)
        elif key:
            objects.append(
                ObjectInfo(
                    key=key,
                    size=checked_size("Azure", entry.size),
                    etag=checked_etag("Azure", entry.etag),
                    modified=entry.last_modified,
                )
            )
    return ListResult(
        objects=sorted(objects, key=lambda info: info.key.encode()),
        prefixes=sorted(prefixes, key=str.encode),
        next_cursor=make_cursor(command, token) if token else None,
    )


def _marker(command: ListObjects, cursor: str) -> str:
    marker = open_cursor(command, cursor)
    if isinstance(marker, str) and _MARKER.fullmatch(marker):
        return marker
    raise cursor_refused()


def _is_fault(error: Exception) -> bool:
    # 503 asks to slow down.
    return isinstance(error, HttpResponseError) and status_of(error) in (500, 501, 502)

"""Pages of keys, and the cursor that leads from one to the next."""

from __future__ import annotations

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
from adapters.cursor import cursor_refused, make_cursor, open_cursor
from adapters.deadline import REQUEST_SECONDS
from commands.object_store import ListObjects, ListResult, ObjectInfo


def list_page(container: ContainerClient, location: Location, command: ListObjects) -> ListResult:
    """One page as Azure orders it. Raises InvalidCommand for a cursor of another list."""
    base = location.prefix()
    marker = open_cursor(command, command.cursor) if command.cursor is not None else None
    if not (marker is None or isinstance(marker, str)):
        raise cursor_refused()
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
    pages = found.by_page(continuation_token=marker)
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    token = marker
    for _ in range(EMPTY_PAGES):
        try:
            entries = list(next(pages, []))
        except HttpResponseError as error:
            if marker is not None and status_of(error) == 400:
                raise cursor_refused() from error
            raise
        if pages.continuation_token:
            token = checked_token("Azure", pages.continuation_token, token)
        else:
            token = None
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

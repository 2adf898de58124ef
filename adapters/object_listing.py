"""Pages of object keys, and the cursors between them."""

from __future__ import annotations

import re

from signalbox.adapters.cursor import cursor_refused, make_cursor, open_cursor, page_after
from signalbox.adapters.object_driver import ObjectDriver, Page, TokenFault
from signalbox.adapters.response_check import (
    EMPTY_PAGES,
    checked_etag,
    checked_size,
    checked_token,
    not_asked,
    unusable,
)
from signalbox.commands.object_store import ListObjects, ListResult, ObjectInfo

# Azurite's tokens are names of blobs, so any text allowed in XML may be one.
_TOKEN = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]+")


def list_page(driver: ObjectDriver, command: ListObjects) -> ListResult:
    """Return one page in the service's order.

    Raises InvalidCommand for a cursor of another list.
    """
    prefix = driver.prefix(command.prefix)
    page, token = _first_filled(driver, command, prefix)
    service = driver.service.name
    if len(page.entries) + len(page.folded) > command.limit:
        raise not_asked("more keys than a page has", service)
    names = (*(entry.name for entry in page.entries), *page.folded)
    if not all(name.startswith(prefix) for name in names):
        raise not_asked("keys that are not below the prefix of the list", service)
    objects = [
        entry.known
        or ObjectInfo(
            key=key,
            size=checked_size(service, entry.size),
            etag=checked_etag(service, entry.etag),
            modified=entry.modified,
        )
        for entry in page.entries
        # Consoles create an empty object with the prefix's name for a "folder".
        if (key := driver.key(entry.name)) and key.startswith(command.prefix)
    ]
    folded = (driver.key(name) for name in page.folded)
    return ListResult(
        objects=sorted(objects, key=lambda info: info.key.encode()),
        prefixes=sorted(
            (key for key in folded if key and key.startswith(command.prefix)), key=str.encode
        ),
        next_cursor=make_cursor(command, token) if token else None,
    )


def _first_filled(
    driver: ObjectDriver, command: ListObjects, prefix: str
) -> tuple[Page, str | None]:
    """Return the next page that is not empty, or the last, and the token of the following one."""

    def ask(token: str | None) -> Page:
        return driver.list(prefix, command.delimiter, command.limit, token)

    service = driver.service.name
    token = None if command.cursor is None else _opened(command, command.cursor)
    for number in range(EMPTY_PAGES):
        try:
            page = (
                ask(token)
                if number
                else page_after(
                    token, ask, lambda error: driver.token_fault(error) is TokenFault.CRASHED
                )
            )
        except Exception as error:
            if command.cursor is not None and driver.token_fault(error) is TokenFault.REFUSED:
                raise cursor_refused() from error
            raise
        token = checked_token(service, page.token, token) if page.token else None
        # An empty page may consist of deleted objects only.
        if page.entries or page.folded or token is None:
            return page, token
    raise unusable(service, "the list has nothing but empty pages")


def _opened(command: ListObjects, cursor: str) -> str:
    token = open_cursor(command, cursor)
    if isinstance(token, str) and _TOKEN.fullmatch(token):
        return token
    raise cursor_refused()

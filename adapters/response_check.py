"""Checks of a service's responses, before any part of them is used or shown.

A service may be broken, or may be somebody's own program.
"""

from __future__ import annotations

import re
import traceback

import structlog

from signalbox.commands.error import IntegrityMismatch, Unavailable
from signalbox.commands.payload import LARGEST_BYTES

log = structlog.get_logger("signalbox.adapters")

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:#/+=-]{0,79}")
_ETAG = re.compile(r"[!-~]{1,256}")
_NUMBER = re.compile(r"[0-9]{1,18}")
# Azurite reports the range "bytes 0--1/0" for an empty blob.
_SPAN = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18}|-1)/([0-9]{1,18})")
_TELL = "it is tried again; if it stays so, see what answers at the route's address"
EMPTY_PAGES = 100
"""Number of consecutive empty pages after which a list counts as endless."""


def code_text(code: object) -> str:
    """Return a service's error code or request id if it is safe to show, else an empty text."""
    text = str(code)
    return text if _CODE.fullmatch(text) else ""


def unusable(service: str, what: str) -> Unavailable:
    """Return the error for an unusable response; `what` must not quote the response."""
    return Unavailable(f"the answer of {service} cannot be used: {what}", next_step=_TELL)


def unread(service: str, error: Exception) -> Unavailable:
    """Return the error for a response that the client, or our own code, could not handle.

    The place in the code is logged, without any part of the response.
    """
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.warning(
        "an answer that cannot be read",
        service=service,
        error=type(error).__name__,
        file=where.filename,
        line=where.lineno,
    )
    return unusable(service, type(error).__name__)


def not_asked(what: str, service: str = "the backend") -> IntegrityMismatch:
    """Return the error for a response to another request."""
    return IntegrityMismatch(
        f"{service} answers what was not asked: {what}",
        next_step="see what answers at the route's address, and switch the route; nothing of it "
        "was passed on",
    )


def checked_size(service: str, size: object) -> int:
    """Return a size in bytes, 0 to 5 TiB, given as a number or text. Raises Unavailable."""
    if isinstance(size, str) and _NUMBER.fullmatch(size):
        size = int(size)
    if type(size) is not int or not 0 <= size <= LARGEST_BYTES:
        raise unusable(service, "it has no usable size")
    return size


def checked_etag(service: str, etag: object) -> str:
    """Return the ETag without quotes. Raises Unavailable."""
    bare = etag.strip('"') if isinstance(etag, str) else ""
    if not _ETAG.fullmatch(bare):
        raise unusable(service, "it has no usable ETag")
    return bare


def checked_span(
    service: str, content_range: str | None, size: int, first: int | None, last: int | None
) -> tuple[int, int]:
    """Return the offset of the first byte and the size of the whole object.

    `size` is the length of the response, which was requested as bytes `first` to `last` inclusive
    (both None for the whole). Raises Unavailable.
    """
    begin, whole = 0, size
    if content_range is not None:
        begin, end, whole = span_of(service, content_range)
        if end - begin + 1 != size:
            raise unusable(service, "its range and its length differ")
    wanted = min(whole, whole if last is None else last + 1) - (first or 0)
    if begin != (first or 0) or size != wanted:
        raise unusable(service, "it is of another range than was asked for")
    return begin, checked_size(service, whole)


def span_of(service: str, content_range: str) -> tuple[int, int, int]:
    """Return the first and last byte and the size of the whole. Raises Unavailable."""
    found = _SPAN.fullmatch(content_range)
    if found is None:
        raise unusable(service, "its range is none")
    begin, end, whole = (int(number) for number in found.groups())
    return begin, end, whole


def checked_token(service: str, token: object, before: str | None) -> str:
    """Return the token of a list's next page; `before` is the current one. Raises Unavailable."""
    if not isinstance(token, str) or not token.isprintable() or not 0 < len(token) <= 2500:
        raise unusable(service, "its continuation cannot be used")
    if token == before:
        raise unusable(service, "the list does not advance")
    return token

"""Checks object keys. A key is never normalised; a backend encodes it where it has to."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from signalbox.commands.error import InvalidKey

MAX_KEY_BYTES = 1024
_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_ORDINARY = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
"""Of nearly all keys one match says that they are right."""


def check_key(key: str) -> str:
    """Return `key` unchanged, or raise InvalidKey.

    Refused: empty, absolute, over 1,024 UTF-8 bytes, `.` or `..` segments, empty segments
    (`//`, a trailing `/`), control characters and lone surrogates.
    """
    if len(key) <= MAX_KEY_BYTES and _ORDINARY.fullmatch(key):
        return key
    _check_text(key, "key")
    if not key:
        raise InvalidKey("the key is empty", next_step="name the object, such as docs/a.txt")
    if key.startswith("/"):
        raise InvalidKey(f"key {key[:80]!r} is absolute", next_step="drop the leading `/`")
    for segment in key.split("/"):
        if segment in ("", ".", ".."):
            raise InvalidKey(
                f"key {key[:80]!r} has the segment {segment!r}",
                next_step="use segments that are neither empty nor `.` nor `..`",
            )
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` unchanged, or raise InvalidKey. It may be empty or end inside a segment."""
    _check_text(prefix, "prefix")
    if prefix.startswith("/") or "//" in prefix:
        raise InvalidKey(f"prefix {prefix[:80]!r} can match no key", next_step="drop the extra `/`")
    *whole, _last = prefix.split("/")
    if any(segment in (".", "..") for segment in whole):
        raise InvalidKey(f"prefix {prefix[:80]!r} can match no key", next_step="drop `.` and `..`")
    return prefix


def _check_text(value: str, what: str) -> None:
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidKey(f"the {what} is not valid Unicode", next_step="send UTF-8 text") from None
    if size > MAX_KEY_BYTES:
        raise InvalidKey(
            f"the {what} {value[:40]!r}… has {size} bytes",
            next_step=f"keep it within {MAX_KEY_BYTES} UTF-8 bytes",
        )
    # Most keys are printable, and seen to be so at once.
    if not value.isprintable() and any(unicodedata.category(c) == "Cc" for c in value):
        raise InvalidKey(
            f"the {what} {value[:80]!r} holds a control character",
            next_step="remove NUL, newline and other control characters",
        )


ObjectKey = Annotated[str, AfterValidator(check_key)]
ObjectPrefix = Annotated[str, AfterValidator(check_prefix)]

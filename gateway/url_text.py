"""Text in URLs and headers: decoded once, strictly, and never normalised."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

from pydantic import BeforeValidator, Field

from signalbox.commands.error import InvalidKey
from signalbox.commands.model import OP_ID_PATTERN
from signalbox.commands.vocabulary import ENV_PATTERN, TENANT_PATTERN
from signalbox.gateway.error import InvalidRequest

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decoded(text: str) -> str:
    """Return the text of one part of a URL.

    Raises InvalidRequest for an invalid escape, or if it is not UTF-8.
    """
    if "%" not in text:
        return text
    if _BROKEN.search(text):
        raise InvalidRequest(
            "the URL holds a % that begins no escape", next_step="write % as %25 in a URL"
        )
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(
            "the URL is not UTF-8", next_step="encode names as UTF-8, then as % escapes"
        ) from None


def encoded(text: str) -> str:
    """Return the text as one part of a URL, with `/` escaped."""
    return quote(text, safe="")


def utf8(value: str, what: str) -> str:
    """Return a header's text, which servers pass on as Latin-1. Raises InvalidKey."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        raise InvalidKey(f"{what} is not UTF-8", next_step="send UTF-8 text") from None


def header_safe(value: str) -> str:
    """Return a value from a backend or caller as one header line."""
    if value.isascii() and value.isprintable():
        return value
    return "".join(c if c.isprintable() and ord(c) < 256 else "?" for c in value)


TenantPart = Annotated[
    str,
    BeforeValidator(decoded),
    Field(json_schema_extra={"pattern": f"^{TENANT_PATTERN.pattern}$"}, examples=["t_demo"]),
]
EnvPart = Annotated[
    str,
    BeforeValidator(decoded),
    Field(json_schema_extra={"pattern": f"^{ENV_PATTERN.pattern}$"}, examples=["dev"]),
]
OpIdPart = Annotated[
    str,
    BeforeValidator(decoded),
    Field(pattern=f"^{OP_ID_PATTERN}$", examples=["import-1"]),
]
NamePart = Annotated[str, BeforeValidator(decoded)]
"""A name or key, which the command's model validates."""

"""An object's metadata in S3: the caller's, and Signalbox's attributes, hidden from callers."""

from __future__ import annotations

import base64
from collections.abc import Mapping

_OURS = "signalbox-"
_ENCODED = "signalbox64:"


def join(metadata: Mapping[str, str], attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the object's metadata for S3."""
    joined = {name: _encode(value) for name, value in metadata.items()}
    for name, value in attributes.items():
        joined[_OURS + name] = value
    return joined


def split(joined: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the caller's metadata and Signalbox's attributes."""
    metadata, attributes = {}, {}
    for name, value in joined.items():
        lower = name.lower()
        if lower.startswith(_OURS):
            attributes[lower[len(_OURS) :]] = value
        else:
            metadata[lower] = _decode(value)
    return metadata, attributes


def _encode(value: str) -> str:
    # A header loses spaces at its ends.
    if value == value.strip(" ") and not value.startswith(_ENCODED):
        return value
    return _ENCODED + base64.b64encode(value.encode("ascii")).decode("ascii")


def _decode(value: str) -> str:
    if not value.startswith(_ENCODED):
        return value
    try:
        return base64.b64decode(value.removeprefix(_ENCODED), validate=True).decode("ascii")
    except ValueError:
        return value

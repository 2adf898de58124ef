"""A blob's metadata: the caller's metadata in one entry, and Signalbox's attributes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

# Names in Azure's metadata must be identifiers, while the caller's may contain hyphens.
_OURS = "signalbox_"
_CALLERS = "signalbox_metadata"


def join(metadata: Mapping[str, str], attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the blob's metadata."""
    joined = {_OURS + name.replace("-", "_"): value for name, value in attributes.items()}
    if metadata:
        text = json.dumps(dict(metadata), separators=(",", ":"))
        joined[_CALLERS] = base64.b64encode(text.encode()).decode()
    return joined


def split(joined: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the caller's metadata and Signalbox's attributes."""
    attributes = {
        name[len(_OURS) :].replace("_", "-"): value
        for name, value in joined.items()
        if name.startswith(_OURS) and name != _CALLERS
    }
    try:
        metadata = dict(json.loads(base64.b64decode(joined.get(_CALLERS, "e30="))))
    except ValueError:
        metadata = {}
    return metadata, attributes

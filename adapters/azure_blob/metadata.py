"""What stands beside a blob: the caller's metadata packed into one entry, and our attributes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

# Names of Azure's metadata are identifiers: the caller's own may hold hyphens.
_OURS = "signalbox_"
_CALLERS = "signalbox_metadata"


def join(metadata: Mapping[str, str], attributes: Mapping[str, str]) -> dict[str, str]:
    """The blob's metadata."""
    joined = {_OURS + name.replace("-", "_"): value for name, value in attributes.items()}
    if metadata:
        text = json.dumps(dict(metadata), separators=(",", ":"))
        joined[_CALLERS] = base64.b64encode(text.encode()).decode()
    return joined


def split(joined: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The caller's metadata and our attributes."""
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

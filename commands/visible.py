"""Makes untrusted text safe to display: its control characters are escaped."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), the two line separators of Unicode, and what turns the direction
# of text around (CVE-2021-42574).
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str, *, keep: str = "") -> str:
    r"""Return `text` with control characters escaped, such as `\x1b`, except those in `keep`."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _spelled(found[0]), text)


def visible_json(document: str) -> str:
    """Return a JSON document with those control characters escaped that JSON itself allows."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")

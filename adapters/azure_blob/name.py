"""Keys as blob names: readable, in the same order, and never two keys for one name.

Azure reads `\\` as `/`, drops dots at the end of a segment, cannot list U+FFFE and U+FFFF, and
orders by UTF-16. So a few characters are written as two, so that names sort as keys do: `[` as
`[!`, `\\` as `[~`, U+FFFD to U+FFFF as U+FFFD and one of `!"#`, and what is beyond U+FFFF with
U+FFFD and `~` before it. A dot at a segment's end, with any `!` behind it, gets one `!` more.
"""

from __future__ import annotations

import re

_PAIRS = {
    "[": "[!",
    "\\": "[~",
    "\ufffd": "\ufffd!",
    "\ufffe": '\ufffd"',
    "\uffff": "\ufffd#",
}
_KEYS = {pair: character for character, pair in _PAIRS.items()}
_SPECIAL = re.compile("[\\[\\\\\ufffd-\uffff\U00010000-\U0010ffff]")
_WRITTEN = re.compile('\\[[!~]|\ufffd[!"#]|\ufffd~(?=[\U00010000-\U0010ffff])')
_FINAL_DOT = re.compile(r"(\.!*)(?=/|$)")
_FINAL_MARK = re.compile(r"(\.!*)!(?=/|$)")


def to_name(key: str) -> str:
    """The name of a key."""
    return _SPECIAL.sub(_write, _FINAL_DOT.sub(r"\1!", key))


def to_prefix(prefix: str) -> str:
    """What the names of all keys with this prefix begin with; names of a few others do too."""
    *whole, last = prefix.split("/")
    text = "/".join([*(_FINAL_DOT.sub(r"\1!", segment) for segment in whole), last])
    return _SPECIAL.sub(_write, text)


def to_key(name: str) -> str:
    """The inverse of `to_name`; of a folded prefix too."""
    return _WRITTEN.sub(lambda found: _KEYS.get(found[0], ""), _FINAL_MARK.sub(r"\1", name))


def _write(found: re.Match[str]) -> str:
    return _PAIRS.get(found[0], f"\ufffd~{found[0]}")

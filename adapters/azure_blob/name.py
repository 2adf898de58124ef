"""Keys as blob names: readable, in the same order, and never two keys for one name.

Azure reads `\\` as `/`, drops dots at the end of a segment, cannot list U+FFFE and U+FFFF, and
orders by UTF-16. So a few characters are written as two, so that names sort as keys do: `[` as
`[!`, `\\` as `[~`, U+FFFD to U+FFFF as U+FFFD and one of `!"#`, and what is beyond U+FFFF with
U+FFFD and `~` before it.

No name's segment may end in a dot, and what stands there instead must sort as the end does. At the
end of a key the dot, with any spaces behind it, gets one space more: no character comes before it.
Before a `/` it becomes `..`, U+FFFD and U+FFFC: behind all that begins with two dots, and before
all that goes on with what comes behind `/`.
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
_DOT_BEFORE_SLASH = "..\ufffd\ufffc/"
_LAST_DOT = re.compile(r"(\. *)\Z")
_LAST_DOT_WRITTEN = re.compile(r"(\. *) \Z")


def to_name(key: str) -> str:
    """Return the blob name of a key."""
    return to_prefix(_LAST_DOT.sub(r"\1 ", key))


def to_prefix(prefix: str) -> str:
    """Return the prefix of the names of all keys with this prefix.

    A few other names have it too.
    """
    return _SPECIAL.sub(_write, prefix).replace("./", _DOT_BEFORE_SLASH)


def to_key(name: str) -> str:
    """Return the key of a name, or of a folded prefix."""
    name = _LAST_DOT_WRITTEN.sub(r"\1", name.replace(_DOT_BEFORE_SLASH, "./"))
    return _WRITTEN.sub(lambda found: _KEYS.get(found[0], ""), name)


def _write(found: re.Match[str]) -> str:
    return _PAIRS.get(found[0], f"\ufffd~{found[0]}")

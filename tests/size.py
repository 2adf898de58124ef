"""How much of the same the tests do."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("TESTS_LONG"))
"""`make test-long`: what is found by chance is looked for longer, and models are explored also in
the largest scenes, of which each part is in a smaller one too."""


def size(usual: int, long: int) -> int:
    """A number of rounds, commands or examples. No kind of case depends on it."""
    return long if LONG else usual

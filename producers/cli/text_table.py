"""Tables of text that fit a width. Without rich, whose import takes longer than most commands."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

LONG_WORD = 32
"""Maximum width of a word that is never folded."""
GAP = "  "


def cell_len(text: str) -> int:
    """Return how many cells of a terminal the text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def lay_out(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str] | None:
    """Return the lines of a table, the first two of which are its head.

    Long cells are folded between words. None if the words do not fit side by side.
    """
    widths, narrowest = [], []
    for column in zip(columns, *rows, strict=True):
        widths.append(max(map(cell_len, column)))
        words = (cell_len(word) for cell in column for word in cell.split())
        narrowest.append(min(max(words, default=0), LONG_WORD))
    room = width - len(GAP) * (len(widths) - 1)
    if sum(narrowest) > room:
        return None
    while sum(widths) > room:
        spare = [its - least for its, least in zip(widths, narrowest, strict=True)]
        widths[spare.index(max(spare))] -= 1
    lines = []
    for row in (columns, ["─" * its for its in widths], *rows):
        folded = [_fold(cell, its) for cell, its in zip(row, widths, strict=True)]
        lines += [_line(parts, widths) for parts in zip_longest(*folded, fillvalue="")]
    return lines


def _line(parts: Sequence[str], widths: Sequence[int]) -> str:
    padded = (p + " " * (its - cell_len(p)) for p, its in zip(parts, widths, strict=True))
    return GAP.join(padded).rstrip()


def _fold(text: str, width: int) -> list[str]:
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if cell_len(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

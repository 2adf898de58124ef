"""Many errors as few lines: those of the same text are one, with a count."""

from __future__ import annotations

from dataclasses import dataclass, field

from signalbox.commands.error import SignalboxError

SHOWN = 20
"""Maximum number of different texts that are shown of one code; further errors are counted."""


@dataclass
class _OfCode:
    texts: dict[str, tuple[str, int]] = field(default_factory=dict)
    """The first name and the number of errors of each text."""
    others: int = 0


class ErrorGroups:
    """Counts errors by code and text."""

    def __init__(self) -> None:
        self._codes: dict[str, _OfCode] = {}

    def add(self, name: str, error: SignalboxError) -> bool:
        """Count the error of a file or line; return True if none of its text was counted before.

        False too if its code has enough texts.
        """
        group, text = self._codes.setdefault(error.code, _OfCode()), str(error)
        first, number = group.texts.get(text, (name, 0))
        if not number and len(group.texts) == SHOWN:
            group.others += 1
            return False
        group.texts[text] = (first, number + 1)
        return not number

    def lines(self) -> list[str]:
        """Return a line for each text, and one for each code with more than SHOWN texts."""
        found = []
        for code, group in self._codes.items():
            for text, (name, number) in group.texts.items():
                more = f" and {number - 1} more" if number > 1 else ""
                found.append(f"{code} {name}{more}: {text}")
            found += _others(code, group)
        return found

    def repeated(self) -> list[str]:
        """Return lines that count the errors for which `add` returned False."""
        found = []
        for code, group in self._codes.items():
            for name, number in group.texts.values():
                if number > 1:
                    found.append(f"{code}: {number - 1} more like {name}")
            found += _others(code, group)
        return found


def _others(code: str, group: _OfCode) -> list[str]:
    return [f"{code}: {group.others} more like these"] if group.others else []

"""What was accepted, and what must therefore be found in the backends when all is over."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Journal:
    """Expected effects, by kind. Thread-safe through its lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    objects: dict[str, bytes] = field(default_factory=dict)
    """Created once each; a second creation would be refused, and end as a failed command."""
    hot_objects: dict[str, bytes] = field(default_factory=dict)
    """Written again and again: what was accepted last must stand."""
    rows: dict[str, int] = field(default_factory=dict)
    hot_rows: dict[str, int | None] = field(default_factory=dict)
    """None: deleted last."""
    points: dict[int, float] = field(default_factory=dict)
    """By microsecond."""
    streams: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The numbers appended to each, as accepted."""
    accepted: int = 0


@dataclass
class Verdict:
    """What was found. A command is lost if its effect is not there, doubled if it is there twice;
    out of order if a newer value was undone or a stream has another order than was accepted."""

    commands: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    failed: int = 0
    """Commands that ended in an error: none should."""
    remains: int = 0
    """Keys and counts that the ledger holds although nothing is open."""
    notes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        wrong = (self.lost, self.doubled, self.disordered, self.failed, self.remains)
        return wrong == (0, 0, 0, 0, 0)

    def note(self, text: str) -> None:
        if len(self.notes) < 20:
            self.notes.append(text)

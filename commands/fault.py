"""Fault points: named places in the code at which a test can kill, freeze, delay or fail a process.

Only the environment variable `SIGNALBOX_FAULTS` of a test's worker arms them:

    SIGNALBOX_FAULTS="effect.after=kill@7;claim.after=stop@0.01;effect.before=sleep:0.5@1"

    SIGNALBOX_FAULTS="command.before=kill~poison"

`@7` means the seventh time that the point is reached, `@0.01` one time in a hundred, at random, and
`~poison` only commands whose subject contains that text. `kill` sends SIGKILL, `stop` SIGSTOP,
`sleep:0.5` waits half a second, and `raise` raises a ConnectionError. A point that is not armed
costs one look at a variable.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

POINTS = {
    "submit.after": "the ledger has the commands, their wake-ups are not published",
    "claim.before": "a message was taken, nothing is claimed",
    "claim.after": "commands are claimed, none has run",
    "take.after": "parcels were taken, none of their commands has run",
    "command.before": "one command is about to run",
    "batch.middle": "some of a message's commands have run, others not",
    "effect.before": "right before an adapter's effect, with the lease just checked",
    "effect.after": "all effects are done, nothing is recorded",
    "finish.after": "outcomes are recorded, the message is not acknowledged",
    "due.after": "the reconciler has moved due times on, and not published",
}


@dataclass
class _Fault:
    """What happens at a point, and when."""

    act: Callable[[], None]
    nth: int | None
    chance: float
    needle: str
    reached: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reach(self, subject: str) -> None:
        if self.needle not in subject:
            return
        with self.lock:
            self.reached += 1
            now = self.reached == self.nth if self.nth else random.random() < self.chance
        if now:
            self.act()


_armed: dict[str, _Fault] = {}


def reach(point: str, subject: str = "") -> None:
    """Run the fault that is armed at this point, if any; `subject` is that of the command."""
    if _armed:
        fault = _armed.get(point)
        if fault is not None:
            fault.reach(subject)


def arm(text: str) -> None:
    """Arm faults as `SIGNALBOX_FAULTS` names them, replacing earlier ones. Raises ValueError."""
    armed = {}
    for part in filter(None, text.split(";")):
        point, _, rest = part.partition("=")
        rest, _, needle = rest.partition("~")
        action, _, when = rest.partition("@")
        if point not in POINTS:
            raise ValueError(f"{point!r} is no fault point; there are {', '.join(POINTS)}")
        nth = int(when) if when.isdigit() else None
        armed[point] = _Fault(_action(action), nth, 0.0 if nth else float(when or 1), needle)
    global _armed
    _armed = armed


def _action(text: str) -> Callable[[], None]:
    name, _, argument = text.partition(":")
    if name == "sleep":
        return lambda: time.sleep(float(argument))
    if name == "raise":
        return _fail
    signals = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
    if name not in signals:
        raise ValueError(f"{name!r} is no action; there are kill, stop, sleep:<seconds> and raise")
    return lambda: os.kill(os.getpid(), signals[name])


def _fail() -> None:
    raise ConnectionError("a fault that a test has armed")


arm(os.environ.get("SIGNALBOX_FAULTS", ""))

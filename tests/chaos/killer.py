"""Ends and freezes workers, each a process group that this campaign started, by its id."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.stack import EmbeddedStack

# What billiard logs when a prefork child died, and its parent has forked another.
CHILD_DIED = b"exited with 'signal 9 (SIGKILL)'"


@dataclass
class Harm:
    """What is done, how often."""

    kills: int = 0
    freezes: int = 0
    pause: float = 0.5
    """Seconds between two blows, at least; twice that at most."""
    freeze_seconds: float = 4.0


class Killer:
    """Strikes a worker at random, again and again, and puts a new one in a dead one's place.

    A death at an armed fault point is a kill as well: `struck` are those of the killer's own."""

    def __init__(self, stack: EmbeddedStack, harm: Harm, seed: int, logs: Path) -> None:
        self._stack = stack
        self._harm = harm
        self._random = random.Random(seed)
        self._logs = logs
        self.kills = 0
        self.struck = 0
        self.freezes = 0

    @property
    def child_deaths(self) -> int:
        """Prefork children that died at fault points, their parents living on."""
        logs = [path.read_bytes() for path in self._logs.glob("w*.log")]
        return sum(log.count(CHILD_DIED) for log in logs)

    def run(self) -> None:
        """Strike until enough is done. Its thread must live as long as the workers it starts:
        they are told to end with it."""
        while self.kills < self._harm.kills or self.freezes < self._harm.freezes:
            # At random moments, so that every step of a command's life is struck.
            self._pause(self._harm.pause + self._random.random() * self._harm.pause)
            worker = self._random.choice(self._stack.workers)
            freeze = self.freezes < self._harm.freezes and (
                self.kills >= self._harm.kills or self._random.random() < 0.2
            )
            if freeze:
                self._freeze(worker)
            elif self.kills < self._harm.kills:
                self.kill(worker)
        self.replace_the_fallen()

    def replace_the_fallen(self) -> None:
        """A fault point that was armed may have killed some."""
        for worker in [worker for worker in self._stack.workers if not worker.running]:
            worker.kill()  # of a worker that died alone, the children
            self.kills += 1
            self._replace(worker)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            self.replace_the_fallen()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.1))

    def kill(self, worker: ManagedProcess) -> None:
        worker.kill()
        self.kills += 1
        self.struck += 1
        self._replace(worker)

    def _replace(self, worker: ManagedProcess) -> None:
        self._stack.workers.remove(worker)
        # Not waited for: another is struck meanwhile, or this one while it starts.
        self._stack.launch_worker()

    def _freeze(self, worker: ManagedProcess) -> None:
        with suppress(ProcessLookupError):  # a fault point has ended it a moment ago
            os.killpg(worker.pid, signal.SIGSTOP)
            time.sleep(self._harm.freeze_seconds)
            os.killpg(worker.pid, signal.SIGCONT)
            self.freezes += 1

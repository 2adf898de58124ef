"""Ends and freezes workers, each a process group that this campaign started, by its id."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass

from producers.embedded.process import ManagedProcess
from producers.embedded.stack import EmbeddedStack


@dataclass
class Harm:
    """What is done, how often."""

    kills: int = 0
    freezes: int = 0
    pause: float = 0.5
    """Seconds between two blows, at least."""
    freeze_seconds: float = 4.0


class Killer:
    """Strikes a worker at random, again and again, and puts a new one in a dead one's place."""

    def __init__(self, stack: EmbeddedStack, harm: Harm, seed: int) -> None:
        self._stack = stack
        self._harm = harm
        self._random = random.Random(seed)
        self.kills = 0
        self.freezes = 0

    def run(self) -> None:
        """Strike until enough is done. Its thread must live as long as the workers it starts:
        they are told to end with it."""
        while self.kills < self._harm.kills or self.freezes < self._harm.freezes:
            # At random moments, so that every step of a command's life is struck.
            time.sleep(self._harm.pause + self._random.random() * self._harm.pause)
            self._replace_the_fallen()
            worker = self._random.choice(self._stack.workers)
            freeze = self.freezes < self._harm.freezes and (
                self.kills >= self._harm.kills or self._random.random() < 0.2
            )
            if freeze:
                self._freeze(worker)
            else:
                self._kill(worker)
        self._replace_the_fallen()

    def _replace_the_fallen(self) -> None:
        """A fault point that was armed may have killed some."""
        for worker in [worker for worker in self._stack.workers if not worker.running]:
            self.kills += 1
            self._stack.workers.remove(worker)
            self._stack.start_worker()

    def _kill(self, worker: ManagedProcess) -> None:
        worker.kill()
        self.kills += 1
        self._stack.workers.remove(worker)
        self._stack.start_worker()

    def _freeze(self, worker: ManagedProcess) -> None:
        os.killpg(worker.pid, signal.SIGSTOP)
        time.sleep(self._harm.freeze_seconds)
        os.killpg(worker.pid, signal.SIGCONT)
        self.freezes += 1

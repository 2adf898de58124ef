"""Workers, the state, the broker and the routes, struck in one random order of one thread."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields

from signalbox.commands.error import StateUnavailable
from signalbox.commands.model import new_op_id
from signalbox.commands.scope import Scope
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from tests.chaos.forgetful import ForgetfulRedis
from tests.chaos.killer import Killer
from tests.chaos.places import Places

MAX_GAP = 1.2
"""Seconds between two blows."""
FREEZE_SECONDS = 4.5
"""Longer than the lease."""
MAX_AWAY = 1.5
"""Seconds that a Redis stays away."""


@dataclass(frozen=True)
class Blows:
    """How many of each there are."""

    kills: int
    freezes: int
    state_deaths: int
    broker_deaths: int
    switches: int


class Storm:
    """Deals the blows; whatever it starts it starts from the thread that calls `run`."""

    def __init__(
        self,
        stack: EmbeddedStack,
        killer: Killer,
        state: RedisServer,
        broker: ForgetfulRedis,
        places: Places,
        seed: int,
    ) -> None:
        self._stack, self._killer, self._places = stack, killer, places
        self._state, self._broker = state, broker
        self._random = random.Random(seed)
        self._later: list[tuple[float, Callable[[], None]]] = []

    def run(self, blows: Blows) -> None:
        """Deal all of them; what was frozen or away is back when it returns."""
        deal = {
            "kills": self._kill,
            "freezes": self._freeze,
            "state_deaths": lambda: self._away(self._state),
            "broker_deaths": lambda: self._away(self._broker),
            "switches": self._switch,
        }
        deck = [
            deal[field.name] for field in fields(Blows) for _ in range(getattr(blows, field.name))
        ]
        self._random.shuffle(deck)
        for blow in deck:
            self._pause(self._random.random() * MAX_GAP)
            blow()
        while self._later:
            self._pause(0.1)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for due in [due for due in self._later if due[0] <= now]:
                self._later.remove(due)
                due[1]()
            self._killer.replace_the_fallen()
            if now >= until:
                return
            time.sleep(0.05)

    def _kill(self) -> None:
        self._killer.kill(self._random.choice(self._stack.workers))

    def _freeze(self) -> None:
        worker = self._random.choice(self._stack.workers)
        with suppress(ProcessLookupError):  # a fault point has ended it a moment ago
            os.killpg(worker.pid, signal.SIGSTOP)

        def thaw() -> None:
            self._killer.freezes += 1
            with suppress(ProcessLookupError):  # killed while it was frozen
                os.killpg(worker.pid, signal.SIGCONT)

        self._later.append((time.monotonic() + FREEZE_SECONDS, thaw))

    def _away(self, server: RedisServer | ForgetfulRedis) -> None:
        """End it, and start it again a moment later; at once if it was away already."""
        server.kill()
        back = time.monotonic() + self._random.random() * MAX_AWAY
        self._later.append((back, lambda: None if server.running else server.start()))

    def _switch(self) -> None:
        scope = self._random.choice(self._places.scopes)
        self._switch_now(scope, new_op_id())

    def _switch_now(self, scope: Scope, change_id: str) -> None:
        try:
            self._places.switch(scope, change_id)
        except StateUnavailable:
            again = time.monotonic() + 0.2
            self._later.append((again, lambda: self._switch_now(scope, change_id)))

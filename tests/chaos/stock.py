"""The same kills for plain Celery, to compare with: how many tasks are lost, how many doubled."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.redis_server import RedisServer
from tests.chaos.journal import Verdict

MAX_OUTSTANDING = 1500
QUIET_SECONDS = 30.0
"""Three visibility timeouts without any effect: nothing comes back any more."""


def run_stock(
    folder: Path, *, kills: int, pool: str = "threads", pause: float = 0.5, seed: int = 1
) -> tuple[Verdict, float]:
    """Kill plain Celery's workers as a campaign does; what it lost and doubled, and seconds."""
    server = RedisServer(folder / "redis")
    server.start()
    effects = folder / "effects"
    effects.touch()
    environment = os.environ | {"STOCK_BROKER_URL": server.url, "STOCK_EFFECTS": str(effects)}
    os.environ["STOCK_BROKER_URL"] = server.url
    from tests.chaos.stock_app import app, effect

    # The application keeps its connections, and an earlier campaign of this process had another.
    connection = app.connection_for_write(server.url)
    workers: list[ManagedProcess] = []
    started = time.monotonic()

    def launch(number: int) -> ManagedProcess:
        worker = ManagedProcess(
            f"s{number}",
            [
                *(sys.executable, "-m", "celery", "-A", "tests.chaos.stock_app", "worker"),
                *("-P", pool, "-c", "4", "--loglevel", "WARNING", "--without-mingle"),
                *("--hostname", f"s{number}@%h"),
            ],
            folder / f"s{number}.log",
            environment,
        )
        worker.start()
        return worker

    try:
        chance = random.Random(seed)
        workers = [launch(number) for number in range(2)]
        sent = done = 0
        while done < kills:
            next_blow = time.monotonic() + pause + chance.random() * pause
            while time.monotonic() < next_blow:
                if sent - _lines(effects) < MAX_OUTSTANDING:
                    for _ in range(20):
                        effect.apply_async((sent,), connection=connection)
                        sent += 1
                else:
                    time.sleep(0.01)
            worker = workers.pop(chance.randrange(len(workers)))
            worker.kill()
            done += 1
            workers.append(launch(done + 2))
        _wait_until_quiet(effects)
        found = Counter(int(line) for line in effects.read_text().splitlines())
        verdict = Verdict(commands=sent)
        verdict.lost = sent - len(found)
        verdict.doubled = sum(count - 1 for count in found.values())
        return verdict, time.monotonic() - started
    finally:
        for worker in workers:
            worker.kill()
        connection.release()
        server.stop()


def _wait_until_quiet(effects: Path) -> None:
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        now = _lines(effects)
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)


def _lines(effects: Path) -> int:
    return effects.read_bytes().count(b"\n")

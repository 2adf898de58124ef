"""The other queues, with the forms that each has for many calls at once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.queues.address import VARIABLE
from benchmarks.queues.contender import DATA, ROUSE, WORKERS, FairThreads, await_effects
from benchmarks.queues.effect import count
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import WORKER_READY_WITHIN

BATCH = 100
CEILING = "celery, 100 in one task"
"""As many puts as are submitted together, in one message, one task and one transaction, without
any guarantee for each: what a batch on this broker can cost at the least."""


@dataclass(frozen=True)
class Library:
    """A queue that runs a task of ours in workers that its own command starts."""

    worker: Sequence[str]
    """Arguments for the worker's command; `{url}` is the Redis."""
    many: dict[str, str]
    """Its forms for many calls: the function of its module, by the name of the row."""
    stops: bool = True
    """Whether its workers bear to be stopped while they wait for work."""


_HERE = "benchmarks.queues"
_BIN = Path(sys.executable).parent
LIBRARIES = {
    "rq": Library(
        f"rq worker-pool bench-rq -n {WORKERS} -q -u {{url}}".split(),
        {"rq, enqueue_many of 100": "send_many"},
    ),
    "taskiq": Library(
        f"taskiq worker {_HERE}.taskiq_task:broker --workers {WORKERS} "
        "--ack-type when_executed --log-level WARNING".split(),
        {},
        stops=False,  # its read times out meanwhile, and it starts anew
    ),
    "huey": Library(
        f"huey_consumer {_HERE}.huey_task.huey -q -w {WORKERS} -k process".split(),
        {"huey, map of 100": "send_map"},
    ),
    "dramatiq": Library(
        f"dramatiq {_HERE}.dramatiq_task --processes {WORKERS}".split(),
        {"dramatiq, group of 100": "send_group"},
    ),
    "celery": Library(
        f"celery -A {_HERE}.celery_task worker -c {WORKERS} -P prefork -l WARNING".split(),
        {
            "celery, group of 100": "send_group",
            "celery, chunks of 100": "send_chunk",
            CEILING: "send_together",
        },
    ),
}
MANY = [name for its in LIBRARIES.values() for name in its.many if name != CEILING]
"""The other queues' rows of many calls, of which each has its own effect and its own sync."""

_Send = Callable[[str, Sequence[str], str], None]


class Plain:
    """One form of a library's queue; see `Contender`."""

    def __init__(self, send: _Send, size: int, data: Path, crew: FairThreads) -> None:
        self.size = size
        self.crew = crew
        self._send = send
        self._data = data
        self._folder = data

    def begin(self, round_name: str, names: Sequence[str]) -> None:  # noqa: ARG002
        self.rouse(round_name)
        await_effects(lambda: count(self._folder), ROUSE)

    def rouse(self, round_name: str) -> None:
        """Send the commands that are not counted."""
        self._folder = self._data / round_name
        self._folder.mkdir(parents=True)
        self._send(str(self._folder), [f"rouse{number}" for number in range(ROUSE)], DATA)

    def send(self, names: Sequence[str]) -> None:
        self._send(str(self._folder), names, DATA)

    def effects(self) -> int:
        return count(self._folder) - ROUSE

    def moments(self) -> dict[str, int]:
        found = {path.name: path.stat().st_mtime_ns for path in self._folder.iterdir()}
        return {name: moment for name, moment in found.items() if not name.startswith("rouse")}


@contextmanager
def library(name: str, data: Path, redis: RedisServer) -> Iterator[dict[str, Plain]]:
    """Start the library's workers; its rows by name. All ends with the block. Raises
    Unavailable."""
    its = LIBRARIES[name]
    os.environ[VARIABLE] = redis.url
    program, *arguments = [part.format(url=redis.url) for part in its.worker]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    worker = ManagedProcess(
        name, [str(_BIN / program), *arguments], data / f"{name}.log", environment
    )
    with ExitStack() as ending:
        worker.start()
        ending.callback(worker.stop, timedelta(seconds=5))
        crew = FairThreads([worker.pid], stops=its.stops)
        ending.callback(crew.resume)  # what is stopped does not end
        module = importlib.import_module(f"{_HERE}.{name}_task")
        forms = {name: ("send", 1)} | {row: (form, BATCH) for row, form in its.many.items()}
        rows = {}
        for row, (form, size) in forms.items():
            folder = data / row.replace(" ", "-").replace(",", "")
            rows[row] = Plain(getattr(module, form), size, folder, crew)
        # Its first effects say that it consumes.
        rows[name].rouse("ready")
        worker.wait_until(lambda: rows[name].effects() == 0, WORKER_READY_WITHIN)
        yield rows

"""Where Signalbox's processor time goes: client and executor in this one process, no workers."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from benchmarks.routes import by
from benchmarks.testbed import puts
from signalbox.commands.ledger.script_reply import batched
from signalbox.commands.object_store import PutObject
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import MAX_RING, Ring, queue_of
from signalbox.producers.broker.publisher import make_app
from signalbox.producers.client.client import Client
from signalbox.producers.client.submission import Submission
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.routing.route import RouteTarget
from signalbox.workers.execution.command_log import configure_logging
from signalbox.workers.runtime import Runtime

_T = TypeVar("_T")
TENANT = "t_profile"
LINES = 25


def profile_signalbox(console: Console, data: Path, seconds: float) -> None:
    """Print, for single puts and 100 a message, the functions that take most themselves.

    Celery's consumer is not in it, and a profile shows its own thread alone: processor time a
    command is measured without one, and also names what other threads of this process took.
    """
    redis = RedisServer(data / "redis")
    redis.start()
    settings = Settings(state_url=redis.url, broker_url=redis.url, payload_dir=data / "payloads")
    state = connect(settings.state_url)
    runtime = Runtime(make_app(settings), settings, state, "profile")
    scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=TENANT, env="dev")
    config = {"base_dir": str(data / "stored")}
    try:
        runtime.registry.set(scope, RouteTarget("filesystem", dict(config), Mode.LAB), by())
        configure_logging(settings)
        # A worker's lines are part of its work.
        with (
            (data / "worker.log").open("w") as log,
            redirect_stderr(log),
            Client(settings) as client,
        ):
            for size in (1, 100):
                _profile(console, client, runtime, size, seconds)
    finally:
        runtime.close()
        redis.stop()


def _profile(console: Console, client: Client, runtime: Runtime, size: int, seconds: float) -> None:
    run = _Steps(client, runtime)
    for _ in range(20):
        run.both(size)
    # By processor time: what waits for Redis or the disk costs nothing.
    submit, execute = (cProfile.Profile(time.thread_time) for _ in range(2))
    spent = {"producer": _Spent(), "worker": _Spent()}
    end, calls = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        commands = puts(TENANT, size)
        sent = spent["producer"].over(lambda: run.submit(commands))  # noqa: B023
        spent["worker"].over(lambda: run.execute(sent))  # noqa: B023
        calls += 1
    for what, each in spent.items():
        own, other = (value / calls / size * 1e6 for value in (each.own, each.other))
        console.print(
            f"{what}, {size} a message: {own:.1f} µs a command in its own thread, "
            f"{other:.1f} µs in others"
        )
    end = time.monotonic() + seconds
    profiled = 0
    while time.monotonic() < end:
        commands = puts(TENANT, size)
        sent = submit.runcall(run.submit, commands)
        execute.runcall(run.execute, sent)
        profiled += size
    for what, profile in (("producer", submit), ("worker", execute)):
        console.rule(f"{what}, {size} a message, {profiled} commands")
        pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(LINES)


class _Spent:
    """Seconds of processor time of this thread, and of the process' other threads meanwhile."""

    def __init__(self) -> None:
        self.own = self.other = 0.0

    def over(self, step: Callable[[], _T]) -> _T:
        thread, process = time.thread_time(), time.process_time()
        result = step()
        own = time.thread_time() - thread
        self.own += own
        self.other += max(0.0, time.process_time() - process - own)
        return result


class _Steps:
    def __init__(self, client: Client, runtime: Runtime) -> None:
        self._client = client
        self._runtime = runtime

    def submit(self, commands: list[PutObject]) -> list[Submission]:
        return self._client.submit_many(commands)

    def execute(self, sent: list[Submission]) -> None:
        shards: dict[str, set[str]] = {}
        for each in sent:
            queue = queue_of(each.command, self._runtime.settings.tenant_shards)
            shards.setdefault(queue, set()).add(
                self._runtime.ledger.shards.of(each.receipt.ref),
            )
        rings = [
            Ring(tuple(run), queue)
            for queue, its in shards.items()
            for run in batched(sorted(its), MAX_RING)
        ]
        counts = Counter[str]()
        for ring in rings:
            counts.update(self._runtime.drains.run(ring))
        if counts.get("done", 0) != len(sent):
            raise RuntimeError(f"not all were done: {counts}")

    def both(self, size: int) -> None:
        self.execute(self.submit(puts(TENANT, size)))

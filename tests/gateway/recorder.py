"""A gateway without a stack: what reaches its services is recorded, and answered at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal

import fakeredis
import uvicorn

from signalbox.commands.error import InvalidCommand, SignalboxError
from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Record
from signalbox.commands.model import Command
from signalbox.commands.object_store import GetObject, ObjectInfo, PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.settings import Settings
from signalbox.commands.state import state_over
from signalbox.gateway.app import gated, make_app
from signalbox.gateway.fast_path import fast_handler
from signalbox.gateway.gate import FastPath
from signalbox.gateway.protocol import protocol_of
from signalbox.gateway.server import GatewayServer
from signalbox.gateway.settings import GatewaySettings
from signalbox.producers.client.run_result import Ran
from signalbox.routing.registry.registry import Registry
from tests.gateway.results import INFO, RESULTS


class Content:
    """Bytes as an object's content."""

    backend_type, route_revision = "filesystem", 1

    def __init__(self, data: bytes, first: int, last: int | None) -> None:
        end = len(data) if last is None else min(last + 1, len(data))
        self.info = info_of(data)
        self.first, self.size = first, end - first
        self._data = data[first:end]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data

    async def whole(self) -> bytes:
        return self._data

    async def __aenter__(self) -> Content:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


def info_of(data: bytes) -> ObjectInfo:
    return INFO.model_copy(update={"size": len(data)})


class RecordingServices:
    """Accepts everything, and keeps it."""

    def __init__(self, settings: Settings, own: GatewaySettings) -> None:
        self.settings, self.own = settings, own
        self.stopping = asyncio.Event()
        state = state_over(fakeredis.FakeRedis())
        self.client = SimpleNamespace(
            state=state,
            dead=DeadLetters(state, settings),
            replay=lambda refs: DeadLetters(state, settings).replay(refs),
        )
        self.registry = Registry(state, trust_of(settings))
        self.taken: list[Command] = []
        self.read_: list[Command] = []
        self.called = 0
        self.error: SignalboxError | None = None
        self.pending = False
        self.data = b"0123456789"
        self.held = asyncio.Event()
        """Outcomes come when it is set."""
        self.held.set()

    async def run(self, command: Command, wait: timedelta) -> Outcome | None:
        self.taken.append(command)
        if self.pending or wait <= timedelta(0):
            return None
        await self.held.wait()
        return self._outcome(command)

    async def run_many(
        self, commands: list[Command], wait: timedelta, tokens: Sequence[str] = ()
    ) -> list[Ran]:
        return [Ran(each, None, await self.run(each, wait), None) for each in commands]

    async def record(self, ref: str) -> Record | None:
        return None

    async def payload(
        self, chunks: AsyncIterator[bytes], *, size: int | None = None, sha256: str | None = None
    ) -> InlinePayload:
        return InlinePayload(data=b"".join([chunk async for chunk in chunks]))

    async def release(self, payload: InlinePayload) -> None:
        return

    async def read(self, command: Command, after: str | None = None) -> Outcome:
        self.read_.append(command)
        outcome = self._outcome(command)
        if command.op == "object_store.head":
            info = info_of(self.data).model_dump(mode="json")
            outcome = outcome.model_copy(update={"result": info})
        return outcome

    async def stream(self, command: GetObject, after: str | None = None) -> Content:
        self.read_.append(command)
        if self.error is not None:
            raise self.error
        if command.first is not None and command.first >= len(self.data):
            raise InvalidCommand("the range is past the end")
        return Content(self.data, command.first or 0, command.last)

    async def call(self, what: Callable[[], Any], *, slow: bool = False) -> Any:
        self.called += 1
        return await asyncio.to_thread(what)

    def stop(self) -> None:
        self.stopping.set()

    async def close(self) -> None:
        return

    @property
    def untouched(self) -> bool:
        """Nothing was executed, and no op_id was taken."""
        return not self.taken and not self.called

    def _outcome(self, command: Command) -> Outcome:
        result = RESULTS[command.op]
        if isinstance(command, PutObject):
            result = result | {"size": command.size}
        return Outcome(
            op_id=command.op_id,
            op=command.op,
            tenant_id=command.tenant_id,
            env=command.env,
            status=Status.DONE if self.error is None else Status.FAILED,
            result=result if self.error is None else None,
            error=self.error.detail() if self.error else None,
            backend_type="filesystem",
            route_revision=1,
            seq=1,
            attempt=1,
            worker="w1",
            claimed_at=datetime(2026, 1, 31, tzinfo=UTC),
            duration_ms=1.0,
        )


class Served:
    """A server on a port of its own, with a recording services."""

    def __init__(
        self,
        own: GatewaySettings,
        fast_path: FastPath = fast_handler,
        loop: Literal["auto", "asyncio"] = "auto",
    ) -> None:
        self.made: list[RecordingServices] = []

        def make(settings: Settings, its: GatewaySettings) -> Any:
            self.made.append(RecordingServices(settings, its))
            return self.made[-1]

        self.app = make_app(Settings(), own, make_desk=make)
        config = uvicorn.Config(
            gated(self.app, own, fast_path),
            host="127.0.0.1",
            port=0,
            loop=loop,
            http=protocol_of(own),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_keep_alive=int(own.idle_seconds.total_seconds()),
            timeout_graceful_shutdown=int(own.stop_seconds.total_seconds()),
        )
        self.server = GatewayServer(config, self.app, own)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._ahead = timedelta()

    def start(self) -> None:
        self._thread.start()
        while not self.server.started:
            assert self._thread.is_alive(), "the server did not start"
            self._thread.join(0.01)

    @property
    def services(self) -> RecordingServices:
        return self.made[-1]

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    def let_pass(self, span: timedelta) -> None:
        """Set its clock ahead, so that no test waits for a limit and none is over by itself."""
        loop = self.server.servers[0].get_loop()
        self._ahead += span
        ahead = self._ahead.total_seconds()

        def set_clock() -> None:
            loop.time = lambda: time.monotonic() + ahead  # type: ignore[method-assign]

        assert type(loop).__module__.startswith("asyncio"), "uvloop's clock cannot be set"
        loop.call_soon_threadsafe(set_clock)

    def tell_to_stop(self) -> None:
        self.server.should_exit = True

    def stop(self) -> None:
        self.tell_to_stop()
        self._thread.join(300)
        assert not self._thread.is_alive()


@contextmanager
def served(
    fast_path: FastPath = fast_handler,
    loop: Literal["auto", "asyncio"] = "auto",
    **settings: Any,
) -> Iterator[Served]:
    running = Served(GatewaySettings(**settings), fast_path, loop)
    running.start()
    try:
        yield running
    finally:
        running.stop()

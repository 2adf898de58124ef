"""Programs of this repository as processes of their own, started by a `fork_server`: in a tenth of
the time that an interpreter takes to import them."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from signalbox.producers.embedded.process import ManagedProcess
from tests.conformance.lasting import start_lasting

COMMAND_LINE = (
    *("celery.app.base", "celery.app.amqp", "celery.app.events", "celery.result"),
    *("kombu.transport.redis", "kombu.serialization", "pydantic_settings", "redis.asyncio"),
    *("rich.console", "rich.table", "rich.progress", "rich.traceback", "structlog", "tenacity"),
    *("signalbox.adapters.catalogue", "signalbox.commands.parse"),
    *("signalbox.producers.bulk.folder", "signalbox.producers.cli.connection"),
    *("signalbox.producers.cli.failure", "signalbox.producers.cli.safe_console"),
    *("signalbox.producers.client.client", "signalbox.routing.registry.registry"),
    *("typer._adapters", "typer.main"),
)
SERVICES = (
    "REMAP_SIGTERM=SIGQUIT",  # `signalbox worker` sets it, and billiard reads it when imported
    *COMMAND_LINE,
    *("billiard.pool", "celery.apps.worker", "celery.bin.base", "celery.bin.worker"),
    *("celery.concurrency.prefork", "celery.concurrency.thread", "celery.worker.autoscale"),
    *("celery.worker.components", "celery.worker.consumer", "celery.worker.strategy"),
    *("fastapi", "moto.moto_server.werkzeug_app", "moto.s3.responses", "psycopg", "uvicorn"),
    *("uvicorn.protocols.http.httptools_impl", "uvloop", "werkzeug.serving"),
    *("signalbox.adapters.filesystem.object_driver", "signalbox.gateway.server"),
    *("signalbox.workers.celery.consumer", "signalbox.workers.celery.pool"),
    *("signalbox.workers.celery.preloader", "signalbox.workers.celery.remote_control"),
    *("signalbox.workers.maintenance.archiver", "signalbox.workers.maintenance.cleaner"),
    *("signalbox.workers.maintenance.heartbeat", "signalbox.workers.maintenance.pacer"),
    *("signalbox.workers.maintenance.reconciler", "signalbox.workers.runtime"),
)
"""Those of workers, gateways and the stand-in for S3; without the modules that read settings when
imported, since these are each process's own."""


class Forked:
    """A process that the server started, as `subprocess.Popen` has its own. Its parent is the
    server: as long as this object is open, it lives on."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        streams: Sequence[int],
        *,
        imported: tuple[str, ...] = COMMAND_LINE,
        own_session: bool = False,
    ) -> None:
        self.args = [sys.executable, "-m", module, *arguments]
        self.returncode: int | None = None
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(start_lasting("-m", "tests.fork_server", *imported))
        call = [module, arguments, dict(environment), str(Path.cwd()), own_session]
        socket.send_fds(self._connection, [b" "], list(streams))
        self._connection.sendall(json.dumps(call).encode() + b"\n")
        self._said = b""
        self.pid = int(self._line(None) or "")

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; subprocess.TimeoutExpired if it runs on."""
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(line)
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and its parent waited for it
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _line(self, timeout: float | None) -> str | None:
        """The next one that the server says; None: not in time."""
        while b"\n" not in self._said:
            if not select.select([self._connection], [], [], timeout)[0]:
                return None
            if not (said := self._connection.recv(100)):
                raise ConnectionError("the fork server ended")
            self._said += said
        line, _, self._said = self._said.partition(b"\n")
        return line.decode()


class ForkedProcess(ManagedProcess):
    """A managed process that is forked, if it is a module's."""

    def start(self) -> None:
        python, option, module, *arguments = self._command
        if (python, option) != (sys.executable, "-m") or module == "celery":
            super().start()
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ if self._environment is None else self._environment
        with self.log.open("ab") as sink, open(os.devnull, "rb") as nothing:
            self._log_begins = sink.tell()
            forked = Forked(
                module,
                arguments,
                environment,
                [nothing.fileno(), sink.fileno(), sink.fileno()],
                imported=SERVICES,
                own_session=True,
            )
        self._process = cast("subprocess.Popen[bytes]", forked)


def write_command(folder: Path) -> None:
    """Put a `signalbox` there, for a shell's PATH, that is forked as well."""
    client = Path(__file__).with_name("fork_client.py")
    server = start_lasting("-m", "tests.fork_server", *COMMAND_LINE)
    words = [sys.executable, "-I", "-S", client, server, "signalbox.producers.cli.main"]
    command = folder / "signalbox"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    command.chmod(0o755)

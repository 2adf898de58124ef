"""Runs as a program: the command line, as a process of its own for each call, forked from a parent
that has imported most of it.

Each connection to its socket is one call: arguments, environment and folder as JSON, with the three
standard streams beside them. The answer is the number of the call's process, then its exit code.
Ends with its standard input.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module

from signalbox.commands import fault

IMPORTED = (
    *("celery.app.base", "celery.app.amqp", "celery.app.events", "celery.result"),
    *("kombu.transport.redis", "kombu.serialization", "pydantic_settings", "redis.asyncio"),
    *("rich.console", "rich.table", "rich.progress", "rich.traceback", "structlog", "tenacity"),
    *(
        "signalbox.adapters.catalogue",
        "signalbox.commands.parse",
        "signalbox.producers.client.client",
        "signalbox.routing.registry.registry",
    ),
    "typer.main",
)
"""What these keep of the environment in which they are imported is armed faults, and nothing else;
none has drawn random numbers by then."""


def serve(listener: socket.socket) -> None:
    # What has ended needs no one to ask for its exit code.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            answer(connection)
            os._exit(0)
        connection.close()


def answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as asked:
        _, streams, *_ = socket.recv_fds(connection, 1, 3)
        arguments, environment, folder = json.loads(asked.readline())
        child = os.fork()
        if child == 0:
            os._exit(call(arguments, environment, folder, streams))
        for stream in streams:
            os.close(stream)
        connection.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        with suppress(BrokenPipeError):  # whoever asked has gone
            connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def call(arguments: list[str], environment: dict[str, str], folder: str, streams: list[int]) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["signalbox", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 0
    try:
        from signalbox.producers.cli.main import main

        fault.arm(environment.get("SIGNALBOX_FAULTS", ""))
        main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException as error:  # noqa: BLE001 - as Python ends
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as Python ends: other threads first
    atexit._run_exitfuncs()
    for stream_ in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream_.flush()
    return code


if __name__ == "__main__":
    for module in IMPORTED:
        import_module(module)
    listener_ = socket.socket(socket.AF_UNIX)
    listener_.bind(sys.argv[1])
    listener_.listen(64)
    print("listening", flush=True)  # noqa: T201
    serve(listener_)

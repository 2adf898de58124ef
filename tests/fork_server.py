"""Runs as a program: programs of this repository, each as a process of its own, forked from a
parent that has imported most of what they need.

Its arguments are variables of its environment and modules that it imports; it prints its socket.
Each connection to that is one call: the program, its arguments, environment and folder as JSON,
with the three standard streams beside them. The answer is the number of the call's process, then
its exit code. Who closes the connection before that ends the process by SIGTERM. Ends with its
standard input.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from signalbox.commands import fault
from signalbox.commands.settings import Settings


def serve(listener: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, reap)
    gc.freeze()  # a collection in a child would copy all that it shares
    while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            answer(connection)
            os._exit(0)
        connection.close()


def reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def answer(connection: socket.socket) -> None:
    with connection.makefile("rb") as asked:
        _, streams, *_ = socket.recv_fds(connection, 1, 3)
        module, arguments, environment, folder, own_session = json.loads(asked.readline())
    child = os.fork()
    if child == 0:
        connection.close()
        os._exit(run(module, arguments, environment, folder, own_session, streams))
    for stream in streams:
        os.close(stream)
    with suppress(OSError):  # whoever asked has gone
        connection.sendall(f"{child}\n".encode())
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, connection.fileno()], [], [])[0]:
        os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    with suppress(OSError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def run(
    module: str,
    arguments: list[str],
    environment: dict[str, str],
    folder: str,
    own_session: bool,
    streams: list[int],
) -> int:
    """The call in this process, up to its exit code."""
    if own_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.execve = become  # type: ignore[assignment]
    code = 0
    try:
        start(module, arguments, environment)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)  # noqa: T201 - as Python does
    except BaseException as error:  # noqa: BLE001 - as Python ends
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # as Python ends: other threads first
    atexit._run_exitfuncs()
    for stream_ in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream_.flush()
    return code


def start(module: str, arguments: list[str], environment: dict[str, str]) -> None:
    """What `python -m` does."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["signalbox", *arguments]
    fault.arm(environment.get("SIGNALBOX_FAULTS", ""))
    if module == "signalbox.producers.cli.main":
        from signalbox.producers.cli.main import main

        main()
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def become(_: Any, command: list[str], environment: dict[str, str]) -> NoReturn:
    """What a program becomes by `os.execve` starts here."""
    _, _, module, *arguments = command
    start(module, arguments, environment)
    sys.exit()


def refuse_settings(*_: object, **__: object) -> None:
    raise RuntimeError("settings read by an import would be the fork server's, not each call's own")


if __name__ == "__main__":
    # What these keep of the environment in which they are imported is armed faults, and nothing
    # else; none has drawn random numbers by then.
    read_settings = Settings.__init__
    Settings.__init__ = refuse_settings  # type: ignore[method-assign]
    for each in sys.argv[1:]:
        if "=" in each:
            name, _, value = each.partition("=")
            os.environ[name] = value
        else:
            import_module(each)
    Settings.__init__ = read_settings  # type: ignore[method-assign]
    # A TemporaryDirectory would go with the first child.
    folder_ = tempfile.mkdtemp()
    with socket.socket(socket.AF_UNIX) as listener_:
        path = f"{folder_}/calls"
        listener_.bind(path)
        listener_.listen(64)
        print(path, flush=True)  # noqa: T201
        serve(listener_)
    shutil.rmtree(folder_)

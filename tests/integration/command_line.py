"""The command line as a process of its own, for tests of what it prints and how it exits.

`COMMAND` starts it as a shell does; `run` has it forked (`fork_server`), in a tenth of the time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from typer.testing import CliRunner, Result

from signalbox.producers.cli.main import app
from tests.forked import COMMAND_LINE, SERVICES, Forked
from tests.integration.conftest import TIMEOUT

COMMAND = [sys.executable, "-m", "signalbox.producers.cli.main"]


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """What became of it. `environment` is of settings: Python's own it has read by now."""
    its_input, our_input = os.pipe()
    our_output, its_output = os.pipe()
    our_errors, its_errors = os.pipe()
    its = (its_input, its_output, its_errors)
    settings = os.environ | {"COLUMNS": "200"} | environment
    imported = SERVICES if arguments[0] == "gateway" else COMMAND_LINE
    with ThreadPoolExecutor(3) as threads:
        process = Forked(
            "signalbox.producers.cli.main", arguments, settings, its, imported=imported
        )
        for stream in its:
            os.close(stream)
        threads.submit(_feed, our_input, stdin)
        streams = [threads.submit(_drain, stream) for stream in (our_output, our_errors)]
        try:
            code = process.wait(TIMEOUT.total_seconds())
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        output, errors = (stream.result() for stream in streams)
    return subprocess.CompletedProcess([*COMMAND, *arguments], code, output, errors)


def _feed(stream: int, content: bytes) -> None:
    with suppress(BrokenPipeError), open(stream, "wb") as pipe:
        pipe.write(content)


def _drain(stream: int) -> bytes:
    with open(stream, "rb") as pipe:
        return pipe.read()


def done(*arguments: str, stdin: bytes = b"") -> bytes:
    """What it printed; it must have exited with 0."""
    result = run(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def answer(*arguments: str, stdin: bytes = b"") -> Any:
    """What it printed as JSON; it must have exited with 0."""
    return json.loads(done(*arguments, "--json", stdin=stdin))


def here(*arguments: str) -> Result:
    """The same in this process: quicker, where many answers are asked for."""
    return CliRunner().invoke(app, list(arguments))


def options(config: dict[str, Any]) -> list[str]:
    """A route's config as `-c` options."""
    found: list[str] = []
    for name, value in config.items():
        text = value if isinstance(value, str) else json.dumps(value)
        found += ["-c", f"{name}={text}"]
    return found


def json_lines(documents: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)

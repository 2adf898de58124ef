"""The command line as a process of its own, for tests of what it prints and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from typer.testing import CliRunner, Result

from producers.cli.main import app
from tests.integration.conftest import PATIENCE

COMMAND = [sys.executable, "-m", "producers.cli.main"]


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=os.environ | {"COLUMNS": "200"} | environment,
        timeout=PATIENCE.total_seconds(),
    )


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

"""docs/keys.md: every command in order, as it is written there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from signalbox.commands.state import connect
from tests.forked import write_command
from tests.integration.test_operations_doc import steps

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "keys.md"
SET = "signalbox routes set object_store filesystem -t t_acme -e prod"
BEFORE = [
    f'{SET} -c base_dir="$PWD/data/acme" --reason "before anything was signed"',
    'signalbox policy set -t t_acme --max-objects 5 --reason "before anything was signed"',
]
THEFT = [
    "signalbox key new ops-3.key > ops-3.public",
    "signalbox principal add ops-2 --key ops-3.public --role operator --tenants t_acme "
    "--reason new",
    'SIGNALBOX_KEY_FILE="$PWD/ops-3.key" signalbox routes switch object_store filesystem -t t_acme '
    "-e prod -c base_dir=/srv/thief --reason thief",
]


class Shell:
    """The shell of an administrator, in a folder of its own."""

    def __init__(self, folder: Path, state_url: str) -> None:
        tools = folder / "bin"
        tools.mkdir()
        write_command(tools)
        path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        servers = {"SIGNALBOX_STATE_URL": state_url, "SIGNALBOX_BROKER_URL": state_url}
        self._folder = folder
        self._environment = os.environ | servers | {"PATH": path, "PYTHONPATH": str(ROOT)}
        self._exports: list[str] = []

    def run(self, command: str) -> None:
        command, _, remark = command.strip().partition("   # ")
        if command.startswith("export "):
            self._exports.append(command)
            return
        done = subprocess.run(
            ["bash", "-c", "\n".join([*self._exports, command])],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        output = done.stdout + done.stderr
        code, _, expected = remark.partition(": ")
        assert done.returncode == int(code or 0), f"{command}\n{output}"
        assert expected in output, f"{command}\n{output}"


@pytest.fixture
def shell(state_url: str, tmp_path: Path) -> Shell:
    with connect(state_url) as client:
        client.server().flushdb()
    return Shell(tmp_path, state_url)


def test_every_command_of_the_page_does_what_it_says(shell: Shell) -> None:
    theft = "<!-- test: ops is there again, with a route of a thief -->"
    found = list(steps(PAGE.read_text()))
    at = found.index(theft)
    for command in [*BEFORE, *found[:at], *THEFT, *found[at + 1 :]]:
        shell.run(command)

"""The runbook: every command of docs/operations.md, in order, as it is written there."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signalbox.producers.cli.main import main
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.routing.audit.archive_mark import ArchiveMark
from tests.forked import write_command
from tests.integration.backup import back_up, put_back
from tests.integration.conftest import TIMEOUT, RunningStack, start_stack, wait_until

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"

# What is to stand in an answer, for some of the commands: those that begin with these words.
ANSWERS = {
    'signalbox routes switch object_store filesystem -t t_acme -e prod -c base_dir="$NEW" --dry': [
        "verdict +allowed",
        "stays_behind +1 objects, 6 bytes",
    ],
    "signalbox routes check object_store -t t_acme -e prod --recount": ["stored +1 objects, 6 b"],
    "LOGNAME=bea signalbox routes unlock object_store -t t_acme -e prod --force": ["ann had lock"],
    "signalbox policy get -t t_acme": ["quotas +objects 2, commands_per_second 100"],
    "signalbox audit log -t t_acme": [
        "lock_forced",
        "ROUTE_LOCKED for filesystem old",
        "objects 2",
    ],
    "signalbox dead ls -t t_acme": ["QUOTA_EXCEEDED"],
    "signalbox dead replay": ["1 dead letters run again"],
    "signalbox outcome five": ['waits_for +{"code": "RATE_LIMITED"'],
    "signalbox audit log --archive -t t_bolt": [
        "POLICY_FORBIDS for s3 bolt-b",
        "regions: us-east-1",
    ],
    "signalbox audit log --archive --since 1d": ["a change that will be lost"],
    "signalbox object get hello -t t_acme -e prod": ["newer"],
    "signalbox routes check object_store -t t_bolt -e prod -m saas --prices": ["writes 0.0010"],
}


@dataclass
class Runbook:
    """A shell of an operator called ann, in a folder of its own."""

    running: RunningStack
    folder: Path
    environment: dict[str, str]
    exports: list[str] = field(default_factory=list)
    watching: subprocess.Popen[str] | None = None
    said: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> None:
        command, _, remark = command.partition("   # ")
        if command.startswith("export "):
            self.exports.append(command)
            return
        if command == "signalbox routes watch":
            self.watching = self._start(command)
            assert self.watching.stdout is not None
            assert "watching after" in self.watching.stdout.readline()
            return
        # What reads a pipe runs as it stands; the rest in this process, which is much quicker. So
        # does what asks the broker (Celery keeps connections, which a restart of it has closed),
        # and what writes content.
        alone = "|" in command or command.startswith(("signalbox status", "signalbox object get"))
        exit_code, output = self._shell(command) if alone else self._here(command)
        code, _, error = remark.partition(": ")
        assert exit_code == int(code or 0), f"{command}\n{output}"
        assert error in output, f"{command}\n{output}"
        self.said[command] = output

    def _shell(self, command: str) -> tuple[int, str]:
        process = self._start(command)
        output, _ = process.communicate(timeout=TIMEOUT.total_seconds())
        return process.returncode, output

    def _here(self, command: str) -> tuple[int, str]:
        """The shell says what the words are, and `main` does what it does in a process."""
        code, text = self._shell(f'signalbox() {{ printf \'%s\\0\' "$LOGNAME" "$@"; }}\n{command}')
        if "\0" not in text:
            return code, text
        os.environ["LOGNAME"], *words = text.split("\0")[:-1]
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            sys.argv[1:] = words
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(bool(end.code))
        return code, printed.getvalue()

    def _start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", "\n".join([*self.exports, command])],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def back_up(self) -> None:
        back_up(self.running.data / "redis", self.folder / "backup")

    def archive_then_go_back(self) -> None:
        registry = self.running.registry()
        mark, head = ArchiveMark(registry.client), registry.head()
        wait_until(lambda: mark.read().revision == head.revision, "all is archived")
        put_back(self.running.stack.redis, self.running.data / "redis", self.folder / "backup")
        assert registry.head().revision < head.revision


@pytest.fixture
def runbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runbook]:
    tools = tmp_path / "bin"
    tools.mkdir()
    write_command(tools)
    folder = tmp_path / "operator"
    folder.mkdir()
    with start_stack(tmp_path / "stack", workers=2) as running, S3StandIn(tmp_path / "s3") as s3:
        s3.create_bucket("bolt-a")
        path = f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        more = {"PATH": path, "PYTHONPATH": str(ROOT), "LOGNAME": "ann", "S3_URL": s3.endpoint_url}
        monkeypatch.setattr(sys, "argv", ["signalbox"])
        monkeypatch.chdir(folder)
        book = Runbook(running, folder, {**os.environ, **more})
        yield book
        if book.watching is not None and book.watching.poll() is None:
            book.watching.kill()
            book.watching.wait()


def steps(text: str) -> Iterator[str]:
    """Commands and remarks to the test, in order; a here-document belongs to its command."""
    end = ""
    command: list[str] = []
    for line in text.splitlines():
        if remark := re.fullmatch(r"<!-- test: (.*) -->", line):
            yield remark.group(0)
        if not line.startswith("    "):
            assert not end, f"no {end} in the code block"
            continue
        command.append(line[4:])
        if found := re.search(r"<<'(\w+)'", line):
            end = found.group(1)
        if not end or line.strip() == end:
            yield "\n".join(command)
            command, end = [], ""


def test_every_command_of_the_runbook_does_what_it_says(runbook: Runbook) -> None:
    hooks: dict[str, Callable[[], None]] = {
        "<!-- test: back up -->": runbook.back_up,
        "<!-- test: archive, then go back to the backup -->": runbook.archive_then_go_back,
    }
    for step in steps(PAGE.read_text()):
        if step in hooks:
            hooks.pop(step)()
        else:
            runbook.run(step)
    assert not hooks
    for beginning, expected in ANSWERS.items():
        found = [text for command, text in runbook.said.items() if command.startswith(beginning)]
        assert found, f"the runbook has no {beginning}"
        for pattern in expected:
            assert re.search(pattern, found[-1]), f"{pattern} is not in:\n{found[-1]}"
    verified = runbook.said["signalbox audit verify --archive"]
    assert "whole: " in verified
    assert "1 of them the registry had lost before a rebase" in verified
    assert runbook.watching is not None
    runbook.watching.terminate()
    watched, _ = runbook.watching.communicate()
    assert "switched object_store/t_acme/prod filesystem old -> filesystem new (ann: big" in watched

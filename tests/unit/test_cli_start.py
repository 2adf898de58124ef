"""What the command line imports: nothing slow before it is known that a command needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from signalbox.commands.schemas import FILE, make_schemas

SERVERS = ("celery", "kombu", "redis", "structlog", "tenacity", "asyncio", "signalbox.adapters")
MODELS = ("pydantic_settings", "signalbox.commands.model")
SLOW = (*SERVERS, *MODELS, "pydantic", "rich")

HEAD = """
import contextlib, io, json, os, sys
import typer
from signalbox.producers.cli.main import COMMANDS, command_of, main

def call(*words):
    sys.argv = ["signalbox", *words]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main()
    return said.getvalue()

"""
ASK_ALL_FOR_HELP = """
assert "object" in call("-h") and call("--version").startswith("signalbox ")
for name in COMMANDS:
    assert call(name, "-h").startswith(f"Usage: signalbox {name} ")
    for below in getattr(command_of(name), "commands", ()):
        assert call(name, below, "-h").startswith(f"Usage: signalbox {name} {below} ")
"""
COMPLETE = """
os.environ |= {"_SIGNALBOX_COMPLETE": "complete_bash", "COMP_WORDS": "signalbox object p"}
os.environ["COMP_CWORD"] = "2"
assert "presign-put" in call()
"""


def imported(tmp_path: Path, program: str, modules: tuple[str, ...]) -> list[str]:
    """Which of them a process has imported that ran the program."""
    tail = f"\nprint(json.dumps([name for name in {modules!r} if name in sys.modules]))"
    ended = subprocess.run(
        [sys.executable, "-c", HEAD + program + tail],
        env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: list[str] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("program", [ASK_ALL_FOR_HELP, COMPLETE], ids=["help", "completion"])
def test_help_and_completion_import_no_library_but_typer(tmp_path: Path, program: str) -> None:
    assert imported(tmp_path, program, SLOW) == []


def test_contexts_are_listed_without_models(tmp_path: Path) -> None:
    as_text = "assert 'default' in call('context', 'list')"
    assert imported(tmp_path, as_text, (*SERVERS, *MODELS, "pydantic")) == []
    assert imported(tmp_path, "assert 'default' in call('context', 'list', '--json')", SLOW) == []


def test_schemas_are_shown_without_models(tmp_path: Path) -> None:
    program = "assert 'payload' in call('schema', 'object_store.put')"
    assert imported(tmp_path, program, SLOW) == []
    program = "assert all(f'{kind}.' in call('schema') for kind in ('object_store', 'routing'))"
    assert imported(tmp_path, program, SLOW) == []


def test_backends_are_listed_without_models_and_drivers(tmp_path: Path) -> None:
    drivers = ("signalbox.adapters.port", "signalbox.adapters.filesystem", "boto3", "azure")
    modules = (*SERVERS[:-1], *MODELS, *drivers, "pydantic", "rich")
    for program in ("'yes' in call('backends')", "'presign_put' in call('backends', '--json')"):
        assert imported(tmp_path, f"assert {program}", modules) == []


def test_the_file_of_schemas_is_up_to_date() -> None:
    expected = make_schemas()
    assert FILE.read_text() == expected, "run: python -m signalbox.commands.schemas"


def test_a_command_that_runs_imports_what_it_needs(tmp_path: Path) -> None:
    assert imported(tmp_path, "call('context', 'show')", MODELS) == ["pydantic_settings"]

"""Commands that name no servers, tenant or env, against a stack that runs in the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command_line import done, run
from tests.integration.conftest import RunningStack, start_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("project") / ".signalbox", workers=1) as running:
        yield running


@pytest.fixture(autouse=True)
def _without_variables(
    stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in stack.stack.environment:
        monkeypatch.delenv(name)
    monkeypatch.chdir(stack.data.parent)


def test_a_running_stack_is_found_and_said_once(stack: RunningStack, tmp_path: Path) -> None:
    here = ["-t", "t_found", "-e", "dev"]
    set_ = run("routes", "set", "object_store", "filesystem", *here, "--reason", "first",
               "-c", f"base_dir={stack.data / 'found'}")  # fmt: skip
    assert set_.returncode == 0, set_.stderr
    assert stack.settings.state_url in set_.stdout.decode()
    large = b"x" * 300_000  # by the payload directory of the stack
    put = run("object", "put", "k", "-", *here, stdin=large)
    assert put.returncode == 0, put.stderr
    lines = put.stderr.decode().splitlines()
    assert lines == [f"using the stack in .signalbox: state {stack.settings.state_url}"]
    assert run("object", "get", "k", *here).stdout == large


def test_a_context_stands_in_for_options_and_is_named(stack: RunningStack) -> None:
    url = stack.settings.state_url
    done("context", "set", "mine", "--state-url", url, "--broker-url", url, "-t", "t_mine",
         "-e", "dev")  # fmt: skip
    done("context", "use", "mine")
    set_ = run("routes", "set", "object_store", "filesystem", "--reason", "first",
               "-c", f"base_dir={stack.data / 'mine'}")  # fmt: skip
    assert set_.returncode == 0, set_.stderr
    assert f"using context mine: tenant t_mine, env dev, state {url}" in set_.stderr.decode()
    assert b"t_mine" in set_.stdout
    done("object", "put", "k", "-", stdin=b"mine")
    got = run("object", "get", "k", "-t", "t_mine", "-e", "dev")
    assert got.stdout == b"mine"
    assert f"using context mine: state {url}" in got.stderr.decode()
    asked = run("object", "stat", "none", "--json")
    first, second = asked.stderr.decode().splitlines()
    assert json.loads(first)["using"]["tenant"] == "t_mine"
    assert json.loads(second)["error"]["code"] == "NOT_FOUND"


def test_the_mode_is_the_contexts_unless_it_is_given(stack: RunningStack) -> None:
    stack.route_to_folder("t_mode")
    done("context", "set", "sold", "-t", "t_mode", "-e", "dev", "-m", "saas")
    refused = run("--context", "sold", "object", "put", "k", "-")
    assert b"FORBIDDEN_BACKEND_CLASS" in refused.stderr
    done("--context", "sold", "object", "put", "k", "-", "-m", "lab")
    done("--context", "sold", "policy", "set", "--reason", "its mode is its own")
    assert json.loads(done("policy", "get", "-t", "t_mode", "--json"))["terms"]["mode"] == "lab"


def test_what_is_named_in_the_environment_needs_no_word(stack: RunningStack) -> None:
    variables = stack.stack.environment
    status = run("status", stdin=b"", **variables)
    assert (status.returncode, status.stderr) == (0, b"")
    chosen = run("--context", "default", "status", "--json", stdin=b"", **variables)
    assert (chosen.returncode, chosen.stderr) == (0, b"")


def test_a_context_that_is_gone_is_an_error(stack: RunningStack) -> None:
    gone = run("status", SIGNALBOX_CONTEXT="gone")
    assert gone.returncode == 1
    assert gone.stderr.startswith(b"NOT_FOUND there is no context 'gone'")

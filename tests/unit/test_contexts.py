"""Contexts: kept, chosen and shown, with nothing running."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from signalbox.commands.error import InvalidSetting, LocalFileError, SignalboxError
from signalbox.commands.settings import Settings
from signalbox.producers.cli.contexts import (
    Context,
    changed_contexts,
    complete_context,
    contexts_file,
    load_contexts,
)
from signalbox.producers.cli.main import app
from signalbox.producers.cli.selection import select
from signalbox.producers.embedded.running_stack import FILE, announced, find_running_stack

SERVERS = ["--state-url", "redis://state/1", "--broker-url", "amqp://broker//"]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without contexts or variables, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def done(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: str) -> SignalboxError:
    error = call(*arguments).exception
    assert isinstance(error, SignalboxError), error
    return error


def origins(**given: str) -> dict[str, tuple[str | None, str]]:
    return {name: (each.value, each.origin) for name, each in select(**given).values.items()}


def test_a_context_is_made_changed_used_and_removed() -> None:
    assert done("context", "set", "prod", *SERVERS, "-t", "t_acme")["in_use"] is False
    done("context", "set", "prod", "-e", "dev", "-m", "saas")
    assert done("context", "set", "prod", "-m", "") == {
        "name": "prod",
        "in_use": False,
        "state_url": "redis://state/1",
        "broker_url": "amqp://broker//",
        "tenant": "t_acme",
        "env": "dev",
    }
    shown = done("context", "use", "prod")
    assert shown["state_url"] == {"value": "redis://state/1", "from": "context prod"}
    assert shown["mode"] == {"value": "lab", "from": "default"}
    assert [(each["name"], each["in_use"]) for each in done("context", "list")] == [
        ("default", False),
        ("prod", True),
    ]
    assert refused("context", "delete", "prod").code == "CONFLICT"
    done("context", "delete", "prod", "--force")
    assert load_contexts().current == "default"
    assert refused("context", "use", "prod").code == "NOT_FOUND"


def test_the_file_is_the_users_alone_and_a_link_stays_one(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("{}")
    kept.chmod(0o644)
    contexts_file().parent.mkdir(parents=True)
    contexts_file().symlink_to(kept)
    done("context", "set", "a", "-t", "t_a")
    assert contexts_file().is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert load_contexts().by_name == {"a": Context(tenant="t_a")}


def test_changes_at_the_same_time_are_all_kept() -> None:
    def change(number: int) -> None:
        with changed_contexts() as contexts:
            contexts.by_name[f"c{number}"] = Context(tenant=f"t_{number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(40)))
    assert len(load_contexts().by_name) == 40


def test_a_change_that_fails_leaves_the_file_as_it_was() -> None:
    done("context", "set", "a", "-t", "t_a")
    before = contexts_file().read_bytes()
    assert refused("context", "set", "a", "-t", "../a").code == "INVALID_SCOPE"
    assert contexts_file().read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["default", "-t", "t_a"], "INVALID_COMMAND"),
        (["a b", "-t", "t_a"], "INVALID_COMMAND"),
        (["a", "-m", "free"], "INVALID_SETTING"),
        (["a", "--state-url", "redis://x/0"], "INVALID_SETTING"),
        (["a", "--state-url", "http://x", "--broker-url", "redis://x"], "INVALID_SETTING"),
        (["a", "--state-url", "redis+sentinel://x", "--broker-url", "redis://x"],
         "INVALID_SETTING"),
        (["a", "--state-url", "redis://x/0", "--broker-url", "pigeon://x"], "INVALID_SETTING"),
        (["a", "--state-password-file", "/none"], "INVALID_SETTING"),
    ],
)  # fmt: skip
def test_what_no_command_could_use_is_refused(arguments: list[str], code: str) -> None:
    assert refused("context", "set", *arguments).code == code
    assert not contexts_file().exists()


@pytest.mark.parametrize(
    "urls",
    [
        ["redis://:secret@x/0", "redis://x"],
        ["redis://x/0?password=secret", "redis://x"],
        ["redis://x/0", "amqp://user:secret@x"],
        ["redis://x/0", "sqs://key:sec@ret@"],
    ],
)
def test_a_password_is_kept_in_a_file_of_its_own(urls: list[str]) -> None:
    state, broker = urls
    error = refused("context", "set", "a", "--state-url", state, "--broker-url", broker)
    assert "-password-file" in f"{error}"
    assert "secret" not in f"{error}"


def test_the_password_is_read_when_it_is_needed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("p@ss/w:rd\n")
    set_ = ["context", "set", "a", "--state-url", "redis+sentinel://me@a:1,b:2/main/3",
            "--broker-url", "redis://x", "--state-password-file", str(secret)]  # fmt: skip
    assert "chmod 600" in f"{refused(*set_)}"
    secret.chmod(0o600)
    assert "p@ss" not in call(*set_).output
    selected = select("a")
    assert selected.settings.state_url == "redis+sentinel://me:p%40ss%2Fw%3Ard@a:1,b:2/main/3"
    assert selected.values["state_url"].value == "redis+sentinel://me:***@a:1,b:2/main/3"
    secret.unlink()
    with pytest.raises(LocalFileError, match="secret"):
        select("a")


def test_an_option_wins_over_a_variable_and_that_over_the_context_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done("context", "set", "a", *SERVERS, "--payload-dir", "/payloads", "-t", "t_a")
    done("context", "set", "b", "-t", "t_b")
    done("context", "use", "a")
    monkeypatch.setenv("SIGNALBOX_STATE_URL", "redis://:secret@mine/0")
    monkeypatch.setenv("SIGNALBOX_PAYLOAD_DIR", "")
    its = origins()
    assert its["state_url"] == ("redis://:***@mine/0", "SIGNALBOX_STATE_URL")
    assert its["broker_url"] == ("amqp://broker//", "context a")
    assert its["payload_dir"] == ("/payloads", "context a")
    assert select().settings.state_url == "redis://:secret@mine/0"
    monkeypatch.setenv("SIGNALBOX_CONTEXT", "b")
    assert (select().context, origins()["tenant"]) == ("b", ("t_b", "context b"))
    shown = json.loads(call("--context", "a", "context", "show", "--json").stdout)
    assert shown["chosen_by"] == "--context"
    assert shown["state_url"] == {"value": "redis://state/1", "from": "context a"}


def test_only_the_command_line_reads_contexts() -> None:
    done("context", "set", "a", *SERVERS, "-t", "t_a")
    done("context", "use", "a")
    assert Settings().state_url == "redis://127.0.0.1:6379/0"


def test_a_file_that_holds_no_contexts_is_named() -> None:
    contexts_file().parent.mkdir(parents=True)
    for content in ("", "[]", '{"contexts": {"a": {"pasword": "x"}}}', '{"contexts": {"a": 1}}',
                    '{"contexts": {"a": {"tenant": 1}}}', '{"current": 1}', "\x00"):  # fmt: skip
        contexts_file().write_text(content)
        with pytest.raises(InvalidSetting, match=r"contexts\.json"):
            load_contexts()
    assert complete_context("") == []
    assert call("--help").exit_code == 0


def test_an_option_that_nobody_gave_is_asked_for() -> None:
    ended = call("object", "ls")
    assert ended.exit_code == 2
    assert "context" in ended.output


def test_names_are_completed() -> None:
    for name in ("prod", "pre-prod", "lab"):
        done("context", "set", name, "-t", "t_a")
    for words in ("context use p", "context show p", "context delete p", "--context p"):
        completion = {
            "_SIGNALBOX_COMPLETE": "complete_bash",
            "COMP_WORDS": f"signalbox {words}",
            "COMP_CWORD": str(len(words.split())),
        }
        ended = CliRunner().invoke(app, prog_name="signalbox", env=completion)
        assert ended.stdout.split() == ["pre-prod", "prod"], words


def test_a_stack_is_found_only_while_it_runs(tmp_path: Path) -> None:
    variables = {"SIGNALBOX_STATE_URL": "redis://x/0"}
    assert find_running_stack(tmp_path) is None
    with announced(tmp_path, variables):
        assert find_running_stack(tmp_path) == variables
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        left = (tmp_path / FILE).read_text()
    assert find_running_stack(tmp_path) is None
    # As one leaves it that was killed.
    (tmp_path / FILE).write_text(left)
    assert find_running_stack(tmp_path) is None
    with announced(tmp_path, variables):
        assert find_running_stack(tmp_path) == variables


def test_the_stack_here_serves_where_neither_variable_nor_context_names_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".signalbox").mkdir()
    done("context", "set", "a", *SERVERS)
    done("context", "set", "b", "-t", "t_b")
    variables = {"SIGNALBOX_STATE_URL": "redis://x/0", "SIGNALBOX_BROKER_URL": "redis://y/0"}
    with announced(Path(".signalbox"), variables):
        found = ("redis://x/0", "the stack in .signalbox")
        assert origins()["state_url"] == found
        assert select().settings.broker_url == "redis://y/0"
        assert origins(name="b")["state_url"] == found
        assert origins(name="a")["state_url"] == ("redis://state/1", "context a")
        monkeypatch.setenv("SIGNALBOX_STATE_URL", "redis://mine/0")
        assert origins()["broker_url"] == ("redis://127.0.0.1:6379/0", "default")

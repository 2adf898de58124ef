"""The tables of `signalbox acl`: they hold every script, and print no password."""

from __future__ import annotations

import fnmatch
import hashlib
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from signalbox import commands, routing, workers
from signalbox.commands.error import InvalidSetting
from signalbox.commands.ledger.shard import Shards
from signalbox.commands.script import Script
from signalbox.commands.settings import Settings
from signalbox.producers.access.acl import read_passwords, roles_on, users
from signalbox.producers.access.rules import Use
from signalbox.producers.access.state_roles import LEDGER, STATE

SECRET = "s" * 32
OF_ALL_ROLES = Use()
for _use in STATE.values():
    OF_ALL_ROLES |= _use


def every_script() -> dict[str, Script]:
    found: dict[str, Script] = {}
    for package in (commands, routing, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name:
                its = vars(importlib.import_module(module.name))
                found |= {f"{module.name}.{n}": s for n, s in its.items() if isinstance(s, Script)}
    return found


def test_every_script_is_some_roles() -> None:
    known = {script.digest for script in OF_ALL_ROLES.scripts}
    missing = {name for name, script in every_script().items() if script.digest not in known}
    # Elections are beside the table's package: their commands stand there by name.
    assert missing == {"signalbox.workers.maintenance.election._LEAD"}
    lead = every_script()[missing.pop()]
    assert lead.commands == {"get", "set", "pttl"} <= STATE["worker"].all_commands


def test_the_commands_of_a_script_are_all_that_it_calls() -> None:
    for name, script in every_script().items():
        calls = re.findall(r"redis\.p?call\b.{0,30}", script.source, re.DOTALL)
        assert all(re.match(r"redis\.p?call\(\s*'[A-Z]+'", call) for call in calls), name
        assert script.commands


@pytest.mark.parametrize("number", [1, 16, 64, 256])
def test_the_ledgers_pattern_has_all_shards_and_no_other_keys(number: int) -> None:
    for tag in Shards(number).tags:
        assert fnmatch.fnmatchcase(tag, LEDGER)
        assert fnmatch.fnmatchcase(f"{tag}:op:t_a/prod/x", LEDGER)
    for other in ("{rt}", "{rt}:routes", "{ledger}:layout", "signalbox:pulses", "object_store.0"):
        assert not fnmatch.fnmatchcase(other, LEDGER)


def test_a_producer_names_no_key_of_the_registry() -> None:
    producer = STATE["producer"]
    assert not [key for key in (*producer.writes, *producer.reads) if key.startswith("{rt}")]


def test_a_reader_writes_nothing() -> None:
    assert STATE["reader"].writes == set()


def test_passwords_are_printed_as_digests_and_two_may_be_valid(tmp_path: Path) -> None:
    digest = "#" + hashlib.sha256(SECRET.encode()).hexdigest()
    file = tmp_path / "passwords"
    file.write_text(f"producer {SECRET}\n\nproducer {digest}\nadmin {'a' * 16}\n")
    found = users(roles_on("state", Settings()), read_passwords(file))
    assert found.keys() == {"admin", "producer"}
    assert found["producer"][:3] == ["on", digest, digest]
    assert SECRET not in str(found)


@pytest.mark.parametrize(
    "line", ["nobody " + SECRET, "producer", "producer short", "producer " + SECRET + " x"]
)
def test_a_wrong_line_is_named_without_its_password(tmp_path: Path, line: str) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"worker {SECRET}\n{line}\n")
    with pytest.raises(InvalidSetting, match="line 2") as refused:
        read_passwords(file)
    assert SECRET not in str(refused.value)


def test_on_redis_6_what_may_be_read_may_be_written_and_readers_are_refused(tmp_path: Path) -> None:
    its = {"worker": ["#x"], "reader": ["#x"]}
    roles = roles_on("state", Settings(broker_url="redis://other/0"))
    assert "%R~{rt}:*" in users(roles, its)["worker"]
    assert "~{rt}:*" in users(roles, its, with_reads=False)["worker"]
    broker = roles_on("broker", Settings(broker_url="redis://other/0"))
    with pytest.raises(InvalidSetting, match=r"6\.2"):
        users(broker, its, with_reads=False)


def test_one_server_for_both_has_users_that_may_do_both() -> None:
    both = roles_on("state", Settings(state_url="redis://a/0", broker_url="redis://u:p@a/1"))
    assert both == roles_on(
        "broker", Settings(state_url="redis://a/0", broker_url="redis://u:p@a/1")
    )
    assert "{l[0-9]*}*" in both["producer"].writes
    assert "object_store.*" in both["producer"].writes
    assert "/1.celery.pidbox" in both["worker"].channels


def test_a_broker_that_is_no_redis_has_no_such_users() -> None:
    with pytest.raises(InvalidSetting, match="no Redis"):
        roles_on("broker", Settings(broker_url="amqp://a//"))

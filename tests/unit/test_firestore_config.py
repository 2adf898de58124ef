"""The config of a Firestore route: what it must name, what it must not hold, what it leads to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.firestore.client import client_for
from signalbox.adapters.firestore.config import FirestoreConfig, read_config
from signalbox.adapters.firestore.table_driver import check_config
from signalbox.commands.error import InternalError, InvalidRouteConfig, Misconfigured
from signalbox.commands.scope import ResourceKind

KIND = ResourceKind.TABULAR_STORE
LAB = {"project": "signalbox-lab", "emulator_host": "127.0.0.1:1"}


def test_a_route_without_a_project_is_refused_and_says_what_to_set() -> None:
    with pytest.raises(InvalidRouteConfig, match="no project") as caught:
        check_config({"database": "orders"})
    assert "set `project`" in str(caught.value.next_step)
    assert caught.value.backend_type == "firestore"


@pytest.mark.parametrize("key", ["private_key", "token", "Credentials", "api_key", "password"])
def test_credentials_in_a_route_are_refused_without_repeating_them(key: str) -> None:
    with pytest.raises(InvalidRouteConfig, match="never stand in a route") as caught:
        check_config(LAB | {key: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    [
        {"colour": "green"},
        {"project": "a/b"},
        {"project": "Capital-Letters"},
        {"project": 7},
        {"database": "a/b"},
        {"database": "(other)"},
        {"emulator_host": "http://127.0.0.1:8080"},
        {"emulator_host": "127.0.0.1"},
        {"emulator_host": "127.0.0.1:70000"},
        {"emulator_host": "dns:///elsewhere:1"},
        {"prefix": "a/b"},
        {"prefix": "__x"},
        {"prefix": "a\n"},
        {"credentials_file": ""},
    ],
)
def test_what_cannot_work_is_refused_with_a_next_step(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig) as caught:
        check_config(LAB | extra)
    assert caught.value.next_step
    assert next(iter(extra)) in str(caught.value)


@pytest.mark.parametrize(
    "kind",
    [ResourceKind.TABULAR_STORE, ResourceKind.METRICS_STORE, ResourceKind.EVENT_STREAM],
)
def test_each_kind_checks_the_same_config_and_names_itself(kind: ResourceKind) -> None:
    backend = find_backend(kind, "firestore")
    backend.check_config(LAB | {"database": "orders-eu", "prefix": "sb_"})
    with pytest.raises(InvalidRouteConfig) as caught:
        backend.check_config({})
    assert caught.value.kind == kind


def test_one_channel_serves_all_projects_and_databases_of_one_way_in() -> None:
    first = client_for(read_config(LAB, KIND))
    assert client_for(read_config(LAB | {"project": "another-one"}, KIND)) is first
    assert client_for(read_config(LAB | {"database": "orders", "prefix": "x"}, KIND)) is first
    assert client_for(read_config(LAB | {"emulator_host": "127.0.0.1:2"}, KIND)) is not first


def test_a_key_file_that_is_missing_or_wrong_is_named_but_never_quoted(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"type": "service_account", "private_key": "hunter2"}')
    for path in (tmp_path / "missing.json", wrong):
        config = read_config({"project": "signalbox-lab", "credentials_file": str(path)}, KIND)
        with pytest.raises(Misconfigured, match=path.name) as caught:
            client_for(config)
        assert "hunter2" not in str(caught.value)


def test_no_environment_variable_leads_to_an_emulator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    missing = str(tmp_path / "missing.json")
    with pytest.raises(Misconfigured):
        client_for(read_config({"project": "signalbox-lab", "credentials_file": missing}, KIND))


def test_a_child_forked_from_a_process_with_a_client_is_refused_one() -> None:
    config = read_config(LAB, KIND)
    parents = client_for(config)
    child = os.fork()
    if child == 0:
        try:
            client_for(config)
        except InternalError as refused:
            os._exit(0 if refused.next_step else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client_for(config) is parents


def test_a_child_forked_before_there_was_a_client_makes_its_own() -> None:
    program = (
        "import os\n"
        "from signalbox.adapters.firestore.client import client_for\n"
        "from signalbox.adapters.firestore.config import read_config\n"
        f"config = read_config({LAB!r}, 'tabular_store')\n"
        "child = os.fork()\n"
        "client_for(config)\n"
        "if child:\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_the_catalogue_and_the_config_alone_load_no_sdk() -> None:
    program = (
        "import sys, signalbox.adapters.catalogue;"
        "import signalbox.adapters.firestore.config, signalbox.adapters.firestore.name;"
        "sys.exit(any(name in sys.modules for name in ('grpc', 'google.auth')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_config_key_is_on_the_page() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "backends.md").read_text()
    section = page.partition("## firestore")[2].partition("\n## ")[0]
    keys = section.partition("\n\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", keys, re.MULTILINE)) == set(FirestoreConfig.model_fields)

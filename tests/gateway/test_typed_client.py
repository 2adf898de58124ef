"""A client that is made of the OpenAPI document: its results have types that a checker knows."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from signalbox.gateway.openapi import document
from tests.gateway.conftest import Gateway
from tests.gateway.typed_client import source_of

PROGRAM = '''"""Stores, reads and routes."""

from made_client import Client


def run(client: Client, tenant: str) -> tuple[str, int, str, list[str]]:
    stored = client.objects_put(tenant=tenant, env="dev", key="made/by a client", body=b"hello")
    uri: str = stored["uri"]
    content: bytes = client.objects_get(tenant=tenant, env="dev", key="made/by a client")
    listed = client.objects_list_keys(tenant=tenant, env="dev", prefix="made/")
    size: int = listed["objects"][0]["size"]
    client.rows_upsert(tenant=tenant, env="dev", table="made", key="k", body={"a": 1})
    row = client.rows_get(tenant=tenant, env="dev", table="made", key="k")
    revision: int = row["revision"]
    route = client.routes_get_route(kind="object_store", tenant=tenant, env="dev")
    backend: str = route["backend_type"]
    command = {"op": "event_stream.append", "stream": "made", "event": {"type": "a.b"}}
    command |= {"tenant_id": tenant, "env": "dev"}
    answer = client.commands_run_commands(body={"commands": [command]})
    versions = []
    if "results" in answer:
        for end in answer["results"]:
            if end["state"] == "done" and end["outcome"]["op"] == "event_stream.append":
                result = end["outcome"]["result"]
                if result is not None:
                    version: int = result["version"]
                    versions.append(version)
    assert len(content) == size and uri and revision > 0
    return content.decode(), row["data"]["a"], backend, [str(each) for each in versions]
'''
WRONG = [
    ('row["revision"]', 'row["revisoin"]'),
    ('backend: str = route["backend_type"]', 'backend: int = route["backend_type"]'),
    ('result["version"]', 'result["rows"]'),
    ('stored["uri"]', 'stored["payload"]'),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "made_client.py").write_text(source_of(json.loads(document())))
    return folder


def checked(folder: Path, *programs: str) -> list[str]:
    """The errors that mypy finds in programs that use the client."""
    for number, program in enumerate(programs):
        (folder / f"program_{number}.py").write_text(program)
    its = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "."],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert its.returncode in (0, 1), its.stderr
    return its.stdout.splitlines()


def test_a_checker_knows_the_types_of_results(made: Path) -> None:
    wrong = [PROGRAM.replace(right, mistake) for right, mistake in WRONG]
    assert PROGRAM not in wrong
    errors = checked(made, PROGRAM, *wrong)
    found = {line.partition(":")[0] for line in errors if ": error:" in line}
    assert found == {f"program_{number}.py" for number in range(1, len(wrong) + 1)}, errors


def test_it_stores_reads_and_routes(made: Path, gateway: Gateway) -> None:
    client = _loaded(made / "made_client.py")
    sys.modules["made_client"] = client
    try:
        (made / "program.py").write_text(PROGRAM)
        program = _loaded(made / "program.py")
        with httpx.Client(base_url=gateway.base, timeout=120) as http:
            found = program.run(client.Client(http), gateway.routes("t_made"))
    finally:
        del sys.modules["made_client"]
    assert found == ("hello", 1, "filesystem", ["1"])


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

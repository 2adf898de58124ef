from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from signalbox.adapters.dynamodb import table
from signalbox.adapters.dynamodb.client import client_for
from signalbox.adapters.dynamodb.config import read_config
from tests.unit.dynamodb.counter import KIND, SCOPE


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "credentials.ini"
    path.write_text("[default]\naws_access_key_id = AKIDLAB\naws_secret_access_key = s3cr3t\n")
    return {"table": "storage", "region": "eu-west-1", "credentials_file": str(path)}


@pytest.fixture
def stub(config: dict[str, Any]) -> Iterator[Stubber]:
    with Stubber(client_for(read_config(config, KIND), SCOPE)) as stub:
        yield stub


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "PAUSE", 1e-4)

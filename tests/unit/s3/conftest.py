"""A service on a loopback port, and a route to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.s3.stand_in import StandIn, stand_in


@pytest.fixture
def service() -> Iterator[StandIn]:
    with stand_in() as service:
        yield service


@pytest.fixture
def config(tmp_path: Path, service: StandIn) -> dict[str, Any]:
    path = tmp_path / "credentials.ini"
    path.write_text("[default]\naws_access_key_id = LAB\naws_secret_access_key = lab\n")
    return {
        "bucket": "data",
        "region": "eu-west-1",
        "endpoint_url": service.endpoint,
        "credentials_file": str(path),
    }

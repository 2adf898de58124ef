"""Requests that schemathesis makes of the OpenAPI document, a seeded few: no answer surprises.

A long run, against a stack of one's own (`signalbox up`):

    .venv/bin/schemathesis run http://127.0.0.1:8010/openapi.json --max-examples 1000 \
        --exclude-path-regex '(tail|drain)$' --exclude-checks positive_data_acceptance
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from signalbox.gateway.app import make_app
from tests.gateway.recorder import Served, served

# What a name, key or op_id may be is more than a pattern of JSON Schema can say.
LEFT_OUT: list[Any] = [positive_data_acceptance]
schema: BaseSchema = schemathesis.openapi.from_dict(make_app().openapi()).exclude(
    path_regex="(tail|drain|status|readyz)$"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@schema.parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_answer_surprises(case: schemathesis.Case[Any], server: Served) -> None:
    base = f"http://127.0.0.1:{server.port}"
    case.call_and_validate(base_url=base, excluded_checks=LEFT_OUT)

"""Requests that schemathesis makes of the OpenAPI document, a seeded few: no answer surprises.

A long run, against a stack of one's own (`signalbox up`):

    SCHEMATHESIS_HOOKS=tests.gateway.schemathesis_hooks .venv/bin/schemathesis run \
        http://127.0.0.1:8010/openapi.json --max-examples 300 --workers 2 --no-shrink \
        --exclude-path-regex '(tail|drain)$' --exclude-checks positive_data_acceptance
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.meta import CoveragePhaseData
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from signalbox.commands.error import InternalError, Misconfigured, SignalboxError, Unavailable
from signalbox.gateway.app import make_app
from tests.gateway import schemathesis_hooks
from tests.gateway.page import operations
from tests.gateway.recorder import Served, served
from tests.size import size

# What a name, key or op_id may be is more than a pattern of JSON Schema can say.
LEFT_OUT: list[Any] = [positive_data_acceptance]
OPERATIONS = [
    (method, path)
    for method, path in operations()
    if not path.endswith(("tail", "drain", "status", "readyz"))
]
FEW = settings(
    max_examples=size(3, 12),
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MEANT = schemathesis_hooks.MEANT
"""Server errors that are no surprise."""
ALIKE = size(1, 1000)
"""Requests that probe the same parameter of a call in the same way, such as each wrong type."""


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One for all requests: each of its own would look for proxies anew."""
    with requests.Session() as one:
        one.trust_env = False
        yield one


@pytest.fixture(scope="module")
def schema() -> BaseSchema:
    load_all_checks()
    document = make_app().openapi()
    assert {(method, path) for path, item in document["paths"].items() for method in item} == set(
        operations()
    )
    return schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def feedback(schema: BaseSchema) -> FeedbackSources:
    return FeedbackSources(constants_value_source=make_constants_value_source(schema))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_answer_surprises(
    method: str,
    path: str,
    schema: BaseSchema,
    feedback: FeedbackSources,
    server: Served,
    session: requests.Session,
) -> None:
    """What `schema.parametrize()` does, but it makes the requests of all operations when tests are
    collected: seconds, in each process of `pytest -n`."""

    made: Counter[Any] = Counter()

    @FEW
    def no_answer_surprises(case: schemathesis.Case[Any]) -> None:
        assert case.meta is not None
        probed = case.meta.phase.data
        if isinstance(probed, CoveragePhaseData):
            what = (probed.scenario, probed.parameter_location, probed.parameter)
            made[what] += 1
            if made[what] > ALIKE:
                return
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{server.port}", session=session, excluded_checks=LEFT_OUT
        )

    build_operation_test(
        config=schema.config,
        operation=schema[path][method],
        test_func=no_answer_surprises,
        given_kwargs={},
        feedback=feedback,
    )()


@pytest.mark.parametrize("error", [*MEANT, InternalError, Misconfigured, Unavailable])
def test_a_server_error_is_a_surprise_unless_the_document_means_it(
    error: type[SignalboxError], schema: BaseSchema, server: Served, session: requests.Session
) -> None:
    place = {"tenant": "t_demo", "env": "dev", "table": "people", "key": "ann"}
    operation = schema["/v1/rows/{tenant}/{env}/{table}/{key}"]["put"]
    case = operation.Case(path_parameters=place, body={}, media_type="application/json")
    server.services.error = error("no")
    try:
        response = case.call(base_url=f"http://127.0.0.1:{server.port}", session=session)
        assert response.json()["error_code"] == error.code
        with nullcontext() if error in MEANT else pytest.raises(FailureGroup):
            case.validate_response(response, excluded_checks=LEFT_OUT)
        # Where the document does not mean it.
        other = schema["/v1/status"]["get"].Case()
        with pytest.raises(FailureGroup):
            other.validate_response(response, excluded_checks=LEFT_OUT)
    finally:
        server.services.error = None

"""Every way in which DynamoDB and botocore fail, as one of our errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ReadTimeoutError
from botocore.stub import Stubber

from signalbox.adapters.dynamodb.failure import SERVICE
from signalbox.adapters.failure import Reporter
from signalbox.commands import error as errors
from signalbox.commands.tabular_store import GetRow
from tests.unit.dynamodb.counter import SCOPE, WHO, make_call, open_store, upsert

ANSWERS: list[tuple[str, str, int, type[errors.SignalboxError]]] = [
    ("ResourceNotFoundException", "", 400, errors.Misconfigured),
    ("AccessDeniedException", "", 400, errors.PermissionDenied),
    ("UnrecognizedClientException", "", 400, errors.PermissionDenied),
    ("ExpiredTokenException", "", 400, errors.PermissionDenied),
    ("ProvisionedThroughputExceededException", "", 400, errors.Throttled),
    ("ThrottlingException", "", 400, errors.Throttled),
    ("RequestLimitExceeded", "", 400, errors.Throttled),
    ("ValidationException", "Item size has exceeded the maximum", 400, errors.TooLarge),
    ("ValidationException", "Type mismatch for key pk", 400, errors.Misconfigured),
    ("ItemCollectionSizeLimitExceededException", "", 400, errors.InsufficientStorage),
    ("InternalServerError", "", 500, errors.Unavailable),
    ("ServiceUnavailable", "", 503, errors.Unavailable),
    ("SomethingNew", "", 502, errors.Unavailable),
    ("SomethingNew", "", 400, errors.Misconfigured),
]


@pytest.mark.parametrize(("code", "message", "status", "kind"), ANSWERS)
def test_an_answer_is_one_of_our_errors_with_place_and_next_step(
    stub: Stubber,
    config: dict[str, Any],
    tmp_path: Path,
    code: str,
    message: str,
    status: int,
    kind: type[errors.SignalboxError],
) -> None:
    stub.add_client_error("get_item", code, f"{message} hunter2", status)
    with pytest.raises(kind) as caught:
        open_store(config).get(GetRow(**WHO, table_name="people", key="k"), make_call(tmp_path))
    assert caught.value.next_step
    assert (caught.value.tenant_id, caught.value.backend_type) == ("t_demo", "dynamodb")
    assert "hunter2" not in str(caught.value)


def test_no_answer_is_unavailable() -> None:
    with (
        pytest.raises(errors.Unavailable, match="no answer from DynamoDB"),
        Reporter(SERVICE, SCOPE).errors(),
    ):
        raise ReadTimeoutError(endpoint_url="https://secret")


def test_every_failure_of_botocore_has_an_error() -> None:
    with pytest.raises(errors.Misconfigured), Reporter(SERVICE, SCOPE).errors():
        raise BotoCoreError


def test_nothing_is_sent_without_a_lease(
    stub: Stubber, config: dict[str, Any], tmp_path: Path
) -> None:
    late = make_call(tmp_path, seconds=-1)
    with pytest.raises(errors.LeaseExpired):
        open_store(config).upsert(upsert(), late)
    [answer] = open_store(config).upsert_many([(upsert(), late)])
    assert isinstance(answer, errors.LeaseExpired)

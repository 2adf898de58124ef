"""Each command names the type of its result, and a client gives it in that type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, assert_type

import pytest

from signalbox import AsyncClient, Client, Command, GetObject, GetResult, GetRow, Row
from signalbox.commands.error import NotFound, ResultUnreadable
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.parse import known_ops
from signalbox.commands.result import Result
from signalbox.commands.routing import RouteCommand

ROW = {"key": "k", "revision": 3, "data": {"raw": {"$bytes": "AAE="}}}


def outcome(result: dict[str, Any] | None, error: ErrorDetail | None = None) -> Outcome:
    return Outcome(
        op_id="1",
        op="tabular_store.get",
        tenant_id="t_a",
        env="dev",
        status=Status.FAILED if error else Status.DONE,
        result=result,
        error=error,
        seq=1,
        attempt=1,
        worker="w",
        claimed_at=datetime.now(UTC),
        duration_ms=1.0,
    )


def test_all_but_changes_of_routes_name_a_type() -> None:
    for op, model in known_ops().items():
        if issubclass(model, RouteCommand):
            assert model.result_type is None
        else:
            assert model.result_type is not None, op
            assert issubclass(model.result_type, Result)


def test_a_result_comes_back_in_its_type() -> None:
    assert outcome(ROW).result_as(Row) == Row(key="k", revision=3, data={"raw": b"\x00\x01"})


def test_a_field_of_a_later_release_is_left_out() -> None:
    assert outcome(ROW | {"colour": "red"}).result_as(Row).revision == 3


def test_a_failure_raises_its_own_class() -> None:
    with pytest.raises(NotFound, match="no such row"):
        outcome(None, NotFound("no such row").detail()).result_as(Row)


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (None, "key: Field required"),
        ({"key": "k", "data": {}}, "revision: Field required"),
        (ROW | {"revision": "secret"}, "revision: "),
        (ROW | {"data": {"a": {"$decimal": "secret"}}}, "tagged value"),
    ],
    ids=["none", "older worker", "another type", "newer worker"],
)
def test_a_result_of_another_release_says_that_the_command_succeeded(
    result: dict[str, Any] | None, what: str
) -> None:
    with pytest.raises(ResultUnreadable, match=what) as refused:
        outcome(result).result_as(Row)
    error = refused.value
    assert "succeeded" in error.message
    assert "do not send it again" in (error.next_step or "")
    assert (error.kind, error.tenant_id, error.env) == ("tabular_store", "t_a", "dev")
    assert "secret" not in str(error)


async def what_type_checkers_know(client: Client, service: AsyncClient, any_: Command) -> None:
    """It is checked by `make check`, and never called."""
    assert_type(client.run(GetObject(tenant_id="t_a", env="dev", key="k")), GetResult)
    assert_type(await service.run(GetRow(tenant_id="t_a", env="dev", table_name="t", key="k")), Row)
    assert_type(client.run(any_), Any)

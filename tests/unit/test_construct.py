"""A model that is made of checked values is as one that was validated."""

from __future__ import annotations

from datetime import UTC, datetime

from signalbox.commands.documented import construct
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.object_store import GetObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import InlinePayload
from signalbox.commands.tabular_store import Row
from signalbox.workers.execution.outcome_builder import outcome_of
from signalbox.workers.execution.pipeline_types import Ended


def test_it_equals_a_validated_one_and_can_be_copied_and_written() -> None:
    fields = {"key": "k", "data": {"n": 1}, "revision": 7}
    made, validated = construct(Row, dict(fields)), Row.model_validate(fields)
    assert made == validated
    assert made.model_fields_set == validated.model_fields_set
    assert made.model_dump_json() == validated.model_dump_json()
    assert made.model_copy(update={"revision": 8}) == validated.model_copy(update={"revision": 8})


def test_what_counts_as_set_can_be_told() -> None:
    made = construct(InlinePayload, {"type": "inline", "data": b"x"}, {"data"})
    validated = InlinePayload(data=b"x")
    assert made == validated
    assert made.model_dump(exclude_unset=True) == validated.model_dump(exclude_unset=True)


def test_an_outcome_has_all_of_its_fields() -> None:
    claimed = Claimed(
        command=GetObject(tenant_id="t_a", env="dev", key="k"),
        token="",
        seq=1,
        mark=1,
        attempt=1,
        counted=1,
        deadline=0.0,
        claimed_at=datetime.now(UTC),
        fence=None,
    )
    outcome = outcome_of(Ended(claimed, result={}), "w")
    assert vars(outcome).keys() == Outcome.model_fields.keys()
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome

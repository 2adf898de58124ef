"""Each field of the models that a reader meets has a docstring, and the schema has it too."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, create_model

from signalbox.commands.documented import Documented, field_docs
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.event_stream import Event
from signalbox.commands.metrics_store import Point
from signalbox.commands.object_store import Condition
from signalbox.commands.outcome import Outcome
from signalbox.commands.parse import known_ops
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.result import Result
from signalbox.commands.scope import Scope
from signalbox.commands.tabular_store import Filter, RowCondition
from signalbox.routing.policy.policy import Allowed, Policy, Quotas, Terms
from signalbox.routing.policy.price import Prices
from signalbox.routing.registry.event import EventData, StreamEvent
from signalbox.routing.registry.strategy_lock import StrategyLock
from signalbox.routing.route import Route

MODELS: list[type[BaseModel]] = [
    *known_ops().values(),
    *(kind for kind in Result.__subclasses__() if kind.__module__.startswith("signalbox.")),
    Allowed,
    Condition,
    ErrorDetail,
    Event,
    EventData,
    Filter,
    InlinePayload,
    Outcome,
    Point,
    Policy,
    Prices,
    Quotas,
    Route,
    RowCondition,
    Scope,
    StagedPayload,
    StrategyLock,
    StreamEvent,
    Terms,
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_field_is_described_in_the_source_and_in_the_schema(model: type[BaseModel]) -> None:
    docs = field_docs(model)
    # `op` has its one value as its default: it needs no more words.
    fields = {name: field for name, field in model.model_fields.items() if name != "op"}
    for name, field in fields.items():
        assert name in docs or field.description, f"{model.__name__}.{name} has no docstring"
    properties = model.model_json_schema().get("properties", {})
    assert all(properties[name]["description"] for name in fields)


def test_a_model_without_source_has_a_schema_without_descriptions() -> None:
    made = create_model("Made", __base__=Documented, size=(int, 0))
    assert "description" not in made.model_json_schema()["properties"]["size"]

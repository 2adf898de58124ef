"""Each field of the models that a reader meets has a docstring, and the schema has it too."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, create_model

from signalbox.commands.documented import Documented, field_docs
from signalbox.routing.policy.policy import Allowed, Policy, Quotas, Terms
from signalbox.routing.policy.price import Prices
from signalbox.routing.registry.event import EventData, StreamEvent
from signalbox.routing.registry.lock import StrategyLock
from signalbox.routing.route import Route

MODELS: list[type[BaseModel]] = [
    Allowed,
    EventData,
    Policy,
    Prices,
    Quotas,
    Route,
    StrategyLock,
    StreamEvent,
    Terms,
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_field_is_described_in_the_source_and_in_the_schema(model: type[BaseModel]) -> None:
    docs = field_docs(model)
    assert docs.keys() >= model.model_fields.keys()
    properties = model.model_json_schema()["properties"]
    assert {name: properties[name]["description"] for name in model.model_fields} == {
        name: docs[name] for name in model.model_fields
    }


def test_a_model_without_source_has_a_schema_without_descriptions() -> None:
    made = create_model("Made", __base__=Documented, size=(int, 0))
    assert "description" not in made.model_json_schema()["properties"]["size"]

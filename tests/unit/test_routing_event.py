"""StreamEvents: their form, their hash, and the chain they make."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from signalbox.commands.scope import ResourceKind, Scope
from signalbox.routing.registry.event import EventData, Kind, StreamEvent, make_event
from signalbox.routing.route import route_of
from tests.hash_chain import first_broken

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_x", env="dev")
TARGET: dict[str, Any] = {
    "backend_type": "filesystem",
    "config": {"base_dir": "/ä", "flags": [], "large": 2**60, "ratio": 0.1},
    "mode": "lab",
}


def event_at(revision: int, prev: str = "", kind: Kind = "set", **data: Any) -> StreamEvent:
    said = {"actor": "ann", "reason": "r", "before": None, "after": TARGET, "change_id": "c"}
    return make_event(
        kind, SCOPE.field, EventData(**said | data), epoch="e", revision=revision, prev=prev
    )


def chain(length: int) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    for revision in range(1, length + 1):
        events.append(event_at(revision, events[-1].hash if events else ""))
    return events


def test_source_and_id_name_the_history_and_the_place_in_it() -> None:
    event = event_at(4)
    assert (event.source, event.id) == ("signalbox/routes/e", "e/4")
    assert (event.specversion, event.type) == ("1.0", "io.signalbox.route.set")
    assert event.subject == "object_store/t_x/dev"


def test_the_hash_is_sha256_over_canonical_json() -> None:
    event = event_at(1)
    document = json.loads(event.model_dump_json(exclude={"hash", "committed_at"}))
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert event.hash == hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_the_hash_survives_json_with_empty_lists_large_numbers_and_umlauts() -> None:
    event = event_at(1)
    again = StreamEvent.model_validate_json(event.model_dump_json())
    assert again.digest() == event.hash


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "other"},
        {"actor": "eve"},
        {"change_id": "d"},
        {"after": TARGET | {"mode": "saas"}},
        {"before": TARGET},
    ],
)
def test_whatever_is_altered_breaks_the_chain_at_that_event(change: dict[str, Any]) -> None:
    events = chain(5)
    data = events[2].data.model_copy(update=change)
    events[2] = events[2].model_copy(update={"data": data})
    assert first_broken(events) is events[2]


def test_a_missing_a_repeated_and_a_swapped_event_break_the_chain() -> None:
    events = chain(5)
    assert first_broken(events) is None
    assert first_broken([*events[:2], *events[3:]]) is events[3]
    assert first_broken([*events[:3], events[2]]) is events[2]
    assert first_broken([events[0], events[2], events[1]]) is events[2]


def test_a_part_of_a_history_is_whole_in_itself() -> None:
    assert first_broken(chain(5)[2:]) is None
    assert first_broken([]) is None


def test_a_refusal_changes_no_route_and_a_deletion_leaves_none() -> None:
    assert route_of(event_at(1, kind="refused", error={"code": "CONFLICT"})) is None
    assert route_of(event_at(1, kind="deleted", after=None)) == (SCOPE, None)
    changed = route_of(event_at(1))
    assert changed is not None
    assert changed[1] is not None
    assert changed[1].config == TARGET["config"]

"""Dead letters of what is no command: each under a name of its own, and all within bounds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import InvalidCommand
from signalbox.commands.ledger import ledger as its
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.parcels import Parcels
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.refused_message import refusal
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.commands.wire import Fault
from signalbox.workers.execution.completer import Completer

PARTS = 64 * 4
"""The shards of a new ledger, and the part of its shard that a source may have."""


@pytest.fixture
def settings(state_url: str, tmp_path: Path) -> Settings:
    connect(state_url).server().flushall()
    return Settings(state_url=state_url, payload_dir=tmp_path)


def completer(settings: Settings) -> Completer:
    state = connect(settings.state_url)
    payloads = DirectoryPayloadStore(settings.payload_dir or Path())
    ledger = Ledger(state, settings)
    return Completer(ledger, Parcels(state, settings, ledger), settings, payloads, "w")


def letters(settings: Settings) -> list[str]:
    found = DeadLetters(connect(settings.state_url), settings).find(Which())
    return sorted(letter.ref for letter in found)


def fault(ref: str, content: object) -> Fault:
    return Fault(ref, "object_store.put", content, InvalidCommand("odd"))


def totals(settings: Settings) -> dict[str, int]:
    return Ledger(connect(settings.state_url), settings).totals()


def test_malformed_messages_without_an_id_do_not_share_a_name(settings: Settings) -> None:
    for raw in (b"x", b"y", b"x"):
        completer(settings).bury([refusal(InvalidCommand("odd"), raw).fault()])
    names = letters(settings)
    assert len(names) == len(set(names)) == 3
    assert all(name.startswith("-/-/unnamed-") for name in names)


@pytest.mark.parametrize("ref", ["-/-/a", "t_demo/dev/a"])
def test_another_document_of_the_same_name_is_kept_beside_it(settings: Settings, ref: str) -> None:
    burier = completer(settings)
    burier.bury([fault(ref, {"odd": 1})])
    # Among others, one that comes again, and two with one name in one message.
    burier.bury([fault(ref, {"odd": 1}), fault(ref, {"odd": 2}), fault(ref, {"odd": 3})])
    burier.bury([fault(ref, {"odd": 2})])
    names = letters(settings)
    assert ref in names
    assert len(names) == 3
    assert all(name == ref or name.startswith(f"{ref}.") for name in names)
    assert totals(settings)["again"] == 2


def test_a_flood_is_bounded_in_number_and_counted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(its, "MAX_FAULTS", 10 * PARTS)
    burier = completer(settings)
    for number in range(25):
        burier.bury([fault(f"-/-/m{number:02}", {"odd": number})])
    assert letters(settings) == [f"-/-/m{number}" for number in range(15, 25)]
    counts = totals(settings)
    assert (counts["dropped"], counts["dead"], counts["dead_letters"]) == (15, 25, 10)


def test_a_flood_is_bounded_in_bytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(its, "MAX_FAULT_BYTES", 100_000 * PARTS)
    burier = completer(settings)
    for number in range(20):
        burier.bury([fault(f"-/-/m{number:02}", {"odd": "x" * 20_000})])
    assert letters(settings) == [f"-/-/m{number}" for number in range(16, 20)]
    assert totals(settings)["dropped"] == 16


def test_what_is_too_old_is_forgotten(settings: Settings) -> None:
    completer(settings).bury([fault("-/-/old", {"odd": 1})])
    brief = settings.model_copy(update={"refused_retention": timedelta(0)})
    ledger = Ledger(connect(settings.state_url), brief)
    assert letters(settings) == ["-/-/old"]
    deadline = 100
    while letters(settings) and deadline:
        ledger.forget_faults()
        deadline -= 1
    assert letters(settings) == []
    assert totals(settings)["dropped"] == 1


def test_a_large_document_is_cut(settings: Settings) -> None:
    completer(settings).bury([fault("-/-/large", {"odd": "x" * 10**6})])
    letter = DeadLetters(connect(settings.state_url), settings).get("-/-/large")
    assert letter is not None
    assert 50_000 < len(letter.document) < 200_000

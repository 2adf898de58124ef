"""The bulk forms of put and delete: one transaction, each item its own end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from signalbox.adapters.filesystem import object_index
from signalbox.adapters.filesystem.database import Database
from signalbox.adapters.filesystem.object_write import SMALL_BYTES
from signalbox.commands.error import (
    AlreadyExists,
    InsufficientStorage,
    SignalboxError,
    Unavailable,
)
from signalbox.commands.object_store import Condition, DeleteObject, DeleteResult, PutResult
from signalbox.commands.payload import DirectoryPayloadStore, StagedPayload
from signalbox.testing.desk import Desk, Turn
from signalbox.testing.turn import codes
from tests.unit.filesystem.lab import commits, delete_many, files, item, put_many


def test_a_bulk_stores_all_in_one_transaction(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    transactions: list[float] = []

    def writing(self: Database, seconds: float, real: Any = Database.writing) -> Any:
        transactions.append(seconds)
        return real(self, seconds)

    monkeypatch.setattr(Database, "writing", writing)
    answers = put_many(desk, [item(desk, f"d/{n}", b"%d" % n) for n in range(40)])
    assert len(transactions) == 1
    assert [answer.key for answer in answers if isinstance(answer, PutResult)] == [
        f"d/{n}" for n in range(40)
    ]
    assert [desk.read(f"d/{n}") for n in range(40)] == [b"%d" % n for n in range(40)]


def test_bad_items_do_not_spoil_the_others(desk: Desk, own: Path) -> None:
    desk.put("there", b"before")
    gone = desk.payloads.stage([b"x"])
    desk.payloads.remove(gone)
    staged = desk.payloads.stage([b"right"])
    wrong = staged.model_copy(update={"size": 4})
    answers = put_many(
        desk,
        [
            item(desk, "one"),
            item(desk, "there", condition=Condition(if_absent=True)),
            item(desk, "wrong", payload=wrong),
            item(desk, "gone", payload=gone),
            item(desk, "late", call=desk.call(seconds=-1)),
            item(desk, "swap", condition=Condition(if_match="x")),
            item(desk, "two"),
        ],
    )
    assert [answer.code if isinstance(answer, SignalboxError) else "" for answer in answers] == [
        "",
        "ALREADY_EXISTS",
        "INTEGRITY_MISMATCH",
        "PAYLOAD_MISSING",
        "LEASE_EXPIRED",
        "PRECONDITION_FAILED",
        "",
    ]
    assert all(
        answer.tenant_id == "t_a" for answer in answers if isinstance(answer, SignalboxError)
    )
    assert desk.keys() == ["one", "there", "two"]
    assert len(files(own)) == 3


def test_a_key_that_comes_twice_takes_effect_in_order(desk: Desk, own: Path) -> None:
    once = Condition(if_absent=True)
    answers = put_many(
        desk,
        [
            item(desk, "a", b"one", condition=once),
            item(desk, "a", b"two", condition=once),
            item(desk, "a", b"three"),
        ],
    )
    assert isinstance(answers[1], AlreadyExists)
    assert isinstance(answers[2], PutResult)
    assert desk.read("a") == b"three"
    assert desk.head("a").etag == answers[2].etag
    assert len(files(own)) == 1


def test_a_bulk_repeats_what_was_done_already(desk: Desk, own: Path) -> None:
    turns = [Turn() for _ in range(3)]
    first = put_many(desk, [item(desk, f"{n}", call=desk.call(t)) for n, t in enumerate(turns[:2])])
    again = put_many(
        desk, [item(desk, f"{n}", call=desk.call(t, takeover=True)) for n, t in enumerate(turns)]
    )
    assert again[:2] == first
    assert desk.keys() == ["0", "1", "2"]
    assert len(files(own)) == 3


def test_a_failure_of_the_index_is_that_of_the_whole_bulk(
    desk: Desk, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(*_: Any) -> None:
        raise apsw.FullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(object_index, "store", store)
        answers = put_many(desk, [item(desk, f"{n}") for n in range(4)])
    assert all(isinstance(answer, InsufficientStorage) for answer in answers)
    assert desk.keys() == []
    assert files(own) == []


def test_an_empty_bulk_is_nothing(desk: Desk) -> None:
    assert put_many(desk, []) == []


@pytest.mark.small
def test_a_bulk_of_deletes_is_one_transaction(desk: Desk, own: Path) -> None:
    put_many(desk, [item(desk, f"{n}", bytes(SMALL_BYTES + n % 2)) for n in range(40)])
    items = [(DeleteObject(**desk.place, key=f"{n}"), desk.call()) for n in range(50)]
    with commits(own / object_index.NAME) as count:
        answers = delete_many(desk, items)
    assert count() == 1
    assert answers == [DeleteResult(key=f"{n}") for n in range(50)]
    assert desk.keys() == files(own) == []


def test_nothing_of_a_key_runs_behind_a_put_that_comes_again(desk: Desk, own: Path) -> None:
    gone = desk.payloads.stage([b"x"])
    answers = put_many(
        desk,
        [
            item(desk, "a", b"one"),
            item(desk, "a", payload=gone, call=replace(desk.call(), payloads=Away())),
            item(desk, "a", b"two"),
            item(desk, "b", call=desk.call(seconds=-1)),
            item(desk, "b", b"two"),
            item(desk, "c"),
        ],
    )
    assert codes(answers) == ["OK", "UNAVAILABLE", "UNAVAILABLE", *["LEASE_EXPIRED"] * 2, "OK"]
    assert desk.read("a") == b"one"
    assert desk.keys() == ["a", "c"]
    assert len(files(own)) == 2


def test_a_takeover_is_judged_by_what_the_bulk_did_before_it(desk: Desk) -> None:
    first, second = Turn(), Turn()
    [known] = put_many(desk, [item(desk, "elsewhere", b"one", call=desk.call(first))])
    assert isinstance(known, PutResult)
    swap = Condition(if_match=known.etag)
    items = [
        item(desk, "a", b"one", call=desk.call(first, takeover=True)),
        item(desk, "a", b"two", call=desk.call(second, takeover=True), condition=swap),
    ]
    assert codes(put_many(desk, items)) == ["OK", "OK"]
    assert desk.read("a") == b"two"


class Away(DirectoryPayloadStore):
    """A payload store that cannot be reached."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def open(self, payload: StagedPayload) -> Any:
        raise Unavailable("away")

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
from signalbox.testing.object_caller import Acceptance, ObjectCaller
from signalbox.testing.store_caller import codes
from tests.unit.filesystem.object_files import commits, delete_many, files, item, put_many


def test_a_bulk_stores_all_in_one_transaction(
    objects: ObjectCaller, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions: list[float] = []

    def writing(self: Database, seconds: float, real: Any = Database.writing) -> Any:
        transactions.append(seconds)
        return real(self, seconds)

    monkeypatch.setattr(Database, "writing", writing)
    answers = put_many(objects, [item(objects, f"d/{n}", b"%d" % n) for n in range(40)])
    assert len(transactions) == 1
    assert [answer.key for answer in answers if isinstance(answer, PutResult)] == [
        f"d/{n}" for n in range(40)
    ]
    assert [objects.read(f"d/{n}") for n in range(40)] == [b"%d" % n for n in range(40)]


def test_bad_items_do_not_spoil_the_others(objects: ObjectCaller, own: Path) -> None:
    objects.put("there", b"before")
    gone = objects.payloads.stage([b"x"])
    objects.payloads.remove(gone)
    staged = objects.payloads.stage([b"right"])
    wrong = staged.model_copy(update={"size": 4})
    answers = put_many(
        objects,
        [
            item(objects, "one"),
            item(objects, "there", condition=Condition(if_absent=True)),
            item(objects, "wrong", payload=wrong),
            item(objects, "gone", payload=gone),
            item(objects, "late", call=objects.call(seconds=-1)),
            item(objects, "swap", condition=Condition(if_match="x")),
            item(objects, "two"),
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
    assert objects.keys() == ["one", "there", "two"]
    assert len(files(own)) == 3


def test_a_key_that_comes_twice_takes_effect_in_order(objects: ObjectCaller, own: Path) -> None:
    once = Condition(if_absent=True)
    answers = put_many(
        objects,
        [
            item(objects, "a", b"one", condition=once),
            item(objects, "a", b"two", condition=once),
            item(objects, "a", b"three"),
        ],
    )
    assert isinstance(answers[1], AlreadyExists)
    assert isinstance(answers[2], PutResult)
    assert objects.read("a") == b"three"
    assert objects.head("a").etag == answers[2].etag
    assert len(files(own)) == 1


def test_a_bulk_repeats_what_was_done_already(objects: ObjectCaller, own: Path) -> None:
    turns = [Acceptance() for _ in range(3)]
    first = put_many(
        objects, [item(objects, f"{n}", call=objects.call(t)) for n, t in enumerate(turns[:2])]
    )
    again = put_many(
        objects,
        [item(objects, f"{n}", call=objects.call(t, takeover=True)) for n, t in enumerate(turns)],
    )
    assert again[:2] == first
    assert objects.keys() == ["0", "1", "2"]
    assert len(files(own)) == 3


def test_a_failure_of_the_index_is_that_of_the_whole_bulk(
    objects: ObjectCaller, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store(*_: Any) -> None:
        raise apsw.FullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(object_index, "store", store)
        answers = put_many(objects, [item(objects, f"{n}") for n in range(4)])
    assert all(isinstance(answer, InsufficientStorage) for answer in answers)
    assert objects.keys() == []
    assert files(own) == []


def test_an_empty_bulk_is_nothing(objects: ObjectCaller) -> None:
    assert put_many(objects, []) == []


@pytest.mark.small
def test_a_bulk_of_deletes_is_one_transaction(objects: ObjectCaller, own: Path) -> None:
    put_many(objects, [item(objects, f"{n}", bytes(SMALL_BYTES + n % 2)) for n in range(40)])
    items = [(DeleteObject(**objects.scope_fields, key=f"{n}"), objects.call()) for n in range(50)]
    with commits(own / object_index.NAME) as count:
        answers = delete_many(objects, items)
    assert count() == 1
    assert answers == [DeleteResult(key=f"{n}") for n in range(50)]
    assert objects.keys() == files(own) == []


def test_nothing_of_a_key_runs_behind_a_put_that_comes_again(
    objects: ObjectCaller, own: Path
) -> None:
    gone = objects.payloads.stage([b"x"])
    answers = put_many(
        objects,
        [
            item(objects, "a", b"one"),
            item(objects, "a", payload=gone, call=replace(objects.call(), payloads=Away())),
            item(objects, "a", b"two"),
            item(objects, "b", call=objects.call(seconds=-1)),
            item(objects, "b", b"two"),
            item(objects, "c"),
        ],
    )
    assert codes(answers) == ["OK", "UNAVAILABLE", "UNAVAILABLE", *["LEASE_EXPIRED"] * 2, "OK"]
    assert objects.read("a") == b"one"
    assert objects.keys() == ["a", "c"]
    assert len(files(own)) == 2


def test_a_takeover_is_judged_by_what_the_bulk_did_before_it(objects: ObjectCaller) -> None:
    first, second = Acceptance(), Acceptance()
    [known] = put_many(objects, [item(objects, "elsewhere", b"one", call=objects.call(first))])
    assert isinstance(known, PutResult)
    swap = Condition(if_match=known.etag)
    items = [
        item(objects, "a", b"one", call=objects.call(first, takeover=True)),
        item(objects, "a", b"two", call=objects.call(second, takeover=True), condition=swap),
    ]
    assert codes(put_many(objects, items)) == ["OK", "OK"]
    assert objects.read("a") == b"two"


class Away(DirectoryPayloadStore):
    """A payload store that cannot be reached."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def open(self, payload: StagedPayload) -> Any:
        raise Unavailable("away")

"""A bulk comes to what its commands come to one by one, whatever they demand and find."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.filesystem.object_write import SMALL_BYTES
from signalbox.adapters.port import AdapterContext, Call, Growth
from signalbox.commands.error import SignalboxError
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    PutObject,
)
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import DeleteRow, GetRow, RowCondition, UpsertRow
from signalbox.testing.store_caller import Acceptance, codes
from tests.unit.filesystem.object_files import call_of, files, rows

pytestmark = pytest.mark.small

HERE = {"tenant_id": "t_a", "env": "dev"}
Item = tuple[Any, Call]


@dataclass
class Dice:
    """Commands as they come, with what could be known of earlier answers."""

    random: random.Random
    known: list[Any]
    """ETags or revisions that were answered."""

    def chance(self, of: float) -> bool:
        return self.random.random() < of

    def seen(self) -> Any:
        return self.random.choice(self.known) if self.known else None


def put(dice: Dice) -> PutObject:
    size = dice.random.choice([0, 3, SMALL_BYTES, SMALL_BYTES + 1])
    condition = Condition()
    if dice.chance(0.2):
        condition = Condition(if_absent=True)
    elif dice.chance(0.3):
        condition = Condition(if_match=dice.seen())
    payload = InlinePayload(data=dice.random.randbytes(size))
    return PutObject(**HERE, key=dice.random.choice("abc"), payload=payload, condition=condition)


def delete(dice: Dice) -> DeleteObject:
    if_match = dice.seen() if dice.chance(0.3) else None
    return DeleteObject(**HERE, key=dice.random.choice("abc"), if_match=if_match)


def upsert(dice: Dice) -> UpsertRow:
    condition = RowCondition()
    if dice.chance(0.2):
        condition = RowCondition(if_absent=True)
    elif dice.chance(0.3):
        condition = RowCondition(if_revision=dice.seen())
    table, key = dice.random.choice("tu"), dice.random.choice(["a", "b", "é", "x"])
    data = {"n": dice.random.random()}
    return UpsertRow(**HERE, table_name=table, key=key, data=data, condition=condition)


def delete_row(dice: Dice) -> DeleteRow:
    table, key = dice.random.choice("tu"), dice.random.choice(["a", "b", "é", "x"])
    if_revision = dice.seen() if dice.chance(0.3) else None
    return DeleteRow(**HERE, table_name=table, key=key, if_revision=if_revision)


def append(dice: Dice) -> AppendEvent:
    event = Event(id=f"e{dice.random.randrange(30)}", type="t", data={})
    expected = dice.random.randrange(12) if dice.chance(0.3) else None
    stream = dice.random.choice("st")
    return AppendEvent(**HERE, stream=stream, event=event, expected_version=expected)


def ingest(dice: Dice) -> IngestPoints:
    labels = {"host": dice.random.choice("ab")}
    at = f"2026-01-01T00:00:0{dice.random.randrange(5)}Z"
    points = [Point(series="cpu", timestamp=at, value=dice.random.random(), labels=labels)]
    return IngestPoints(**HERE, points=points)


OBJECT = "SELECT key, size, etag, sha256, mark, seq, file LIKE '#%' FROM objects"
CASES: dict[ResourceKind, tuple[list[Callable[[Dice], Command]], str, list[str]]] = {
    ResourceKind.OBJECT_STORE: (
        [put, delete],
        "objects.db",
        [
            OBJECT,
            "SELECT key, mark, seq FROM tombstones",
            "SELECT key, data FROM objects LEFT JOIN contents ON file = '#' || id ORDER BY key",
            "SELECT count(*) FROM contents",
        ],
    ),
    ResourceKind.TABULAR_STORE: (
        [upsert, delete_row],
        "tables.db",
        [
            "SELECT name, key, seq, gone IS NULL, data, mark FROM rows JOIN tables ON tab = number "
            "ORDER BY name, key"
        ],
    ),
    ResourceKind.EVENT_STREAM: (
        [append],
        "events.db",
        [
            "SELECT name, version, id, mark FROM events JOIN streams ON stream = number "
            "ORDER BY name, version"
        ],
    ),
    ResourceKind.METRICS_STORE: (
        [ingest],
        "metrics.db",
        ["SELECT time, name, seq, value FROM points JOIN labels ON number = labels ORDER BY 1, 2"],
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", CASES)
def test_a_bulk_comes_to_what_its_commands_come_to(
    tmp_path: Path, kind: ResourceKind, seed: int
) -> None:
    makers, database, questions = CASES[kind]
    dice = Dice(random.Random(f"{kind} {seed}"), [])
    with (
        closing(_open(kind, tmp_path / "one")) as one,
        closing(_open(kind, tmp_path / "many")) as many,
    ):
        for verb, items in _bulks(dice, makers):
            copies = [(command, replace(call, growth=Growth())) for command, call in items]
            alone = _singly(one, verb, items)
            bulk = getattr(many, f"{verb}_many")(copies)
            assert [_said(answer) for answer in bulk] == [_said(answer) for answer in alone]
            assert [call.growth for _, call in copies] == [call.growth for _, call in items]
            found = (getattr(a, "etag", None) or getattr(a, "revision", None) for a in alone)
            dice.known += filter(None, found)
    folders = [tmp_path / name / "base/tenants/t_a/dev" for name in ("one", "many")]
    for question in questions:
        alone, bulk = (rows(folder, question, database) for folder in folders)
        assert bulk == alone
    assert len({len(files(folder)) for folder in folders}) == 1


def _bulks(
    dice: Dice, makers: Sequence[Callable[[Dice], Command]]
) -> Iterator[tuple[str, list[Item]]]:
    """Bulks of one verb each; some commands are late, some come again, some out of order."""
    before: list[Item] = []
    for _ in range(14):
        make = dice.random.choice(makers)
        items = []
        for _ in range(dice.random.choice([1, 2, 5, 9])):
            command = make(dice)
            again = [(c, call) for c, call in before if c.op == command.op]
            if again and dice.chance(0.2):
                command, call = dice.random.choice(again)
                call = replace(call, takeover=dice.chance(0.7), growth=Growth())
            else:
                seconds = -1 if dice.chance(0.1) else 3600
                call = call_of(command, seq=Acceptance().seq, seconds=seconds)
            before.append((command, call))
            items.append((command, call))
        if dice.chance(0.3):
            dice.random.shuffle(items)
        yield items[0][0].verb, items


def _singly(store: Any, verb: str, items: Sequence[Item]) -> list[Any]:
    """One by one, none of them behind a temporary error on its key."""
    answers: list[Any] = []
    stopped: dict[str, SignalboxError] = {}
    for command, call in items:
        if command.order_key in stopped:
            answers.append(stopped[command.order_key])
            continue
        try:
            answers.append(getattr(store, verb)(command, call))
        except SignalboxError as error:
            answers.append(error)
            if error.temporary and command.order_key:
                stopped[command.order_key] = error
    return answers


def _said(answer: Any) -> Any:
    if isinstance(answer, SignalboxError):
        assert answer.tenant_id == "t_a"
        return answer.code
    said = answer.model_dump()
    # Of the folder in which it is.
    said.pop("uri", None)
    return said


def _open(kind: ResourceKind, directory: Path) -> Any:
    scope = Scope(kind=kind, **HERE)
    config = {"base_dir": str(directory / "base")}
    return find_backend(kind, "filesystem").open(AdapterContext(scope, Mode.LAB, config))


@pytest.mark.parametrize(
    ("kind", "write", "read"),
    [
        (
            ResourceKind.OBJECT_STORE,
            lambda key: PutObject(**HERE, key=key, payload=InlinePayload(data=key.encode())),
            lambda key: HeadObject(**HERE, key=key),
        ),
        (
            ResourceKind.TABULAR_STORE,
            lambda key: UpsertRow(**HERE, table_name=key[0], key=key, data={"key": key}),
            lambda key: GetRow(**HERE, table_name=key[0], key=key),
        ),
    ],
)
def test_a_bulk_of_reads_finds_what_each_finds(
    tmp_path: Path,
    kind: ResourceKind,
    write: Callable[[str], Command],
    read: Callable[[str], Command],
) -> None:
    keys = ["t1", "t2", "u1", "té"]
    with closing(_open(kind, tmp_path)) as store:
        assert getattr(store, f"{read('t1').verb}_many")([]) == []
        for command in map(write, keys):
            getattr(store, command.verb)(command, call_of(command))
        items = [(command, call_of(command)) for command in map(read, [*keys, "v1", "t", "t1"])]
        verb = items[0][0].verb
        alone = _singly(store, verb, items)
        bulk = getattr(store, f"{verb}_many")(items)
    assert [_said(answer) for answer in bulk] == [_said(answer) for answer in alone]
    assert codes(bulk) == ["OK"] * 4 + ["NOT_FOUND"] * 2 + ["OK"]
    assert [answer.key for answer in bulk if not isinstance(answer, SignalboxError)] == [
        *keys,
        "t1",
    ]


def test_a_bulk_of_gets_gives_what_each_gives(tmp_path: Path) -> None:
    contents = {"small": b"small", "empty": b"", "large": b"x" * (SMALL_BYTES + 1)}
    gets = [GetObject(**HERE, key=key) for key in [*contents, "none", "small"]]
    gets += [
        GetObject(**HERE, key=key, first=first, last=last)
        for key in contents
        for first, last in ((0, 2), (3, None), (SMALL_BYTES, SMALL_BYTES), (2**40, None))
    ]
    with closing(_open(ResourceKind.OBJECT_STORE, tmp_path)) as store:
        for key, content in contents.items():
            command = PutObject(**HERE, key=key, payload=InlinePayload(data=content))
            store.put(command, call_of(command))
        items = [(command, call_of(command)) for command in gets]
        alone, bulk = _singly(store, "get", items), store.get_many(items)
        read = [_read(answer) for answer in bulk]
        assert read == [_read(answer) for answer in alone]
    assert [each[0] for each in read[:5]] == [*contents.values(), "NOT_FOUND", b"small"]
    assert len({str(each) for each in read}) > 8


def _read(answer: Any) -> tuple[Any, ...]:
    if isinstance(answer, SignalboxError):
        assert answer.tenant_id == "t_a"
        return (answer.code,)
    with closing(answer.body) as body:
        return (body.read(), answer.first, answer.size, answer.info)

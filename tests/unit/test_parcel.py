"""Parcels as blobs: what comes out is what went in, or a typed error."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from signalbox.commands.error import InvalidCommand, LedgerDamaged, SignalboxError, UnknownCommand
from signalbox.commands.event_stream import AppendEvent, Event
from signalbox.commands.ledger import parcel
from signalbox.commands.ledger.columnar import Shape
from signalbox.commands.ledger.framing import Heap, enframe, unframe
from signalbox.commands.ledger.parcel import LARGEST, Row, ordinary, seal, sift
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.commands.model import Command
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    PutObject,
    RegisterObject,
)
from signalbox.commands.parse import known_ops, load_command
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.commands.routing import ControlCommand, DeleteRoute
from signalbox.commands.tabular_store import Filter, QueryRows, UpsertRow
from tests.unit.drawn_commands import OF_OP, commands

PLACE: dict[str, Any] = {"tenant_id": "t_x", "env": "dev"}
SMALL = [
    PutObject(**PLACE, op_id="one", key="a", payload=InlinePayload(data=b"\0\xff")),
    UpsertRow(**PLACE, op_id="two", table_name="t", key="r", data={"n": 1, "b": b"\1"}),
    PutObject(**PLACE, op_id="three", key="b", payload=InlinePayload(data=b"")),
]
GOLDEN = (
    "53427031000002ec000000027b22736368656d61223a22676f6c64656e222c2273656374696f6e73223a5b7b2261"
    "74223a5b302c325d2c22726f7773223a7b226f70223a7b2273616d65223a226f626a6563745f73746f72652e7075"
    "74227d2c2276223a7b2273616d65223a317d2c226f705f6964223a5b226f6e65222c227468726565225d2c227465"
    "6e616e745f6964223a7b2273616d65223a22745f78227d2c22656e76223a7b2273616d65223a22646576227d2c22"
    "6d6f6465223a7b2273616d65223a226c6162227d2c22646561646c696e65223a7b2273616d65223a6e756c6c7d2c"
    "226b6579223a5b2261222c2262225d2c227061796c6f6164223a7b227461626c65223a7b2274797065223a7b2273"
    "616d65223a22696e6c696e65227d2c2264617461223a7b22726177223a302c2273697a6573223a5b322c305d7d7d"
    "7d2c22636f6e74656e745f74797065223a7b2273616d65223a226170706c69636174696f6e2f6f637465742d7374"
    "7265616d227d2c226d65746164617461223a5b7b7d2c7b7d5d2c22636f6e646974696f6e223a7b227461626c6522"
    "3a7b2269665f616273656e74223a7b2273616d65223a66616c73657d2c2269665f6d61746368223a7b2273616d65"
    "223a6e756c6c7d7d7d7d7d2c7b226174223a5b315d2c22726f7773223a7b226f70223a5b22746162756c61725f73"
    "746f72652e757073657274225d2c2276223a5b315d2c226f705f6964223a5b2274776f225d2c2274656e616e745f"
    "6964223a5b22745f78225d2c22656e76223a5b22646576225d2c226d6f6465223a5b226c6162225d2c2264656164"
    "6c696e65223a5b6e756c6c5d2c227461626c655f6e616d65223a5b2274225d2c226b6579223a5b2272225d2c2264"
    "617461223a7b22746167676564223a5b7b226e223a312c2262223a7b22246279746573223a2241513d3d227d7d5d"
    "7d2c22636f6e646974696f6e223a7b227461626c65223a7b2269665f616273656e74223a5b66616c73655d2c2269"
    "665f7265766973696f6e223a5b6e756c6c5d7d7d7d7d5d7d00fffe5a4f1f"
)


def put(content: bytes = b"", **fields: Any) -> PutObject:
    return PutObject(**PLACE, **{"key": "k", "payload": InlinePayload(data=content)} | fields)


def models(value: Any) -> Iterator[BaseModel]:
    """A model and all models in it, in order."""
    if isinstance(value, BaseModel):
        yield value
        for _, entry in value:
            yield from models(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from models(entry)


def assert_as_validated(found: Command, put_in: Command) -> None:
    text = put_in.model_dump_json()
    validated = load_command(put_in.op, text)
    assert found == put_in == validated
    # Equal for more than Python: 0.0 and -0.0, 1 and True, the zone of a time.
    assert repr(found) == repr(validated)
    assert found.model_dump_json() == text
    assert found.fingerprint() == put_in.fingerprint()
    assert (found.order_key, found.size, found.ref) == (put_in.order_key, put_in.size, put_in.ref)
    for one, other in zip(models(found), models(validated), strict=True):
        assert type(one) is type(other)
        assert list(one.__dict__) == list(other.__dict__)
        # `allow_scan` is left out of JSON while it is false.
        left_out = {"allow_scan"}
        assert one.model_fields_set - left_out == other.model_fields_set - left_out
        assert one.__pydantic_extra__ == other.__pydantic_extra__
        assert one.__pydantic_private__ == other.__pydantic_private__
    assert copy.deepcopy(found) == found == found.model_copy()


def unseal(blob: bytes, skip: Collection[int], *, trusting: bool = True) -> list[Row]:
    """The commands of a blob. Raises the error of the first that cannot be read."""
    rows, unreadable = sift(blob, skip, trusting=trusting)
    for row in unreadable:
        raise row.error
    return rows


def of_another_release(blob: bytes) -> bytes:
    """The same parcel under another schema's tag."""
    document, heap = unframe(b"SBp1", blob)
    beside = Heap()
    beside.put([heap])
    return enframe(b"SBp1", document | {"schema": "another"}, beside)


@settings(max_examples=30, deadline=None)
@given(st.lists(commands, max_size=8))
@example(SMALL * 2)
def test_what_comes_out_is_what_validation_would_give(drawn: list[Command]) -> None:
    blob = seal(drawn)
    for given_blob in (blob, of_another_release(blob)):
        rows = unseal(given_blob, ())
        assert [row.position for row in rows] == list(range(len(drawn)))
        for row, command in zip(rows, drawn, strict=True):
            assert_as_validated(row.command, command)


@pytest.mark.parametrize("strategy", OF_OP, ids=str)
def test_many_of_one_op_come_out_as_they_went_in(strategy: st.SearchStrategy[Command]) -> None:
    @settings(max_examples=15, deadline=None)
    @given(st.lists(strategy, min_size=2, max_size=5))
    def many(drawn: list[Command]) -> None:
        for trusting in (True, False):
            rows = unseal(seal(drawn), (), trusting=trusting)
            for row, command in zip(rows, drawn, strict=True):
                assert_as_validated(row.command, command)

    many()


@settings(max_examples=30, deadline=None)
@given(st.lists(commands, min_size=1, max_size=5))
def test_every_op_but_those_about_routes_is_drawn_and_ordinary(drawn: list[Command]) -> None:
    assert all(ordinary(command) for command in drawn)


def test_commands_are_drawn_for_every_op_that_may_be_in_a_parcel() -> None:
    ops = {op for op, model in known_ops().items() if not issubclass(model, ControlCommand)}
    assert len(OF_OP) == len(ops) == len(parcel._schema()[0])


def test_rows_share_nothing_that_could_be_changed() -> None:
    rows = unseal(seal([put(), put()]), ())
    first, second = (row.command for row in rows)
    assert isinstance(first, PutObject)
    assert isinstance(second, PutObject)
    assert first.metadata is not second.metadata


def test_text_of_an_enumeration_is_text() -> None:
    class Colour(StrEnum):
        RED = "red"

    command = UpsertRow(**PLACE, table_name="t", key="k", data={"colour": Colour.RED})
    assert_as_validated(unseal(seal([command]), ())[0].command, command)


@settings(max_examples=30, deadline=None)
@given(st.lists(commands, max_size=6), st.sets(st.integers(0, 6)))
def test_rows_that_were_left_out_at_the_submit_do_not_come_out(
    drawn: list[Command], skip: set[int]
) -> None:
    blob = seal(drawn)
    kept = [position for position in range(len(drawn)) if position not in skip]
    for given_blob in (blob, of_another_release(blob)):
        rows = unseal(given_blob, skip)
        assert [row.position for row in rows] == kept
        assert [row.command for row in rows] == [drawn[position] for position in kept]


def test_a_blob_keeps_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, _ = parcel._schema()
    monkeypatch.setattr(parcel, "_schema", lambda: (shapes, "golden"))
    # Not the bytes: builds of zlib deflate differently.
    tag = bytes.fromhex(GOLDEN)[:4]
    assert unframe(tag, seal(SMALL)) == unframe(tag, bytes.fromhex(GOLDEN))
    assert [row.command for row in unseal(bytes.fromhex(GOLDEN), ())] == SMALL


def test_a_blob_of_an_earlier_release_is_read() -> None:
    rows = unseal(bytes.fromhex(GOLDEN), {1})
    assert [(row.position, row.command) for row in rows] == [(0, SMALL[0]), (2, SMALL[2])]


def test_every_cut_is_noticed() -> None:
    blob = seal(SMALL)
    for end in range(len(blob)):
        with pytest.raises(LedgerDamaged):
            unseal(blob[:end], ())
    with pytest.raises(LedgerDamaged):
        unseal(blob + b"\0", ())


def test_every_changed_byte_is_noticed() -> None:
    blob = seal(SMALL)
    for position, byte in enumerate(blob):
        for change in (1, 0x20, 0x80, 0xFF):
            changed = blob[:position] + bytes([byte ^ change]) + blob[position + 1 :]
            with pytest.raises(LedgerDamaged):
                unseal(changed, ())


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=40))
@example(b"")
def test_what_is_no_parcel_is_called_damaged(blob: bytes) -> None:
    for text in (blob, b"SBp1" + blob):
        with pytest.raises(LedgerDamaged):
            unseal(text, ())


documents = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["same", "object_store.put", "raw"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["at", "rows", "op", "same", "table", "lengths", "raw", "sizes", "tagged"]
            ),
            inner,
            max_size=4,
        )
    ),
)


@settings(max_examples=30, deadline=None)
@given(documents, st.booleans(), st.booleans())
@example({"at": [0], "rows": {"op": ["object_store.put"]}}, True, False)
@example({"at": [[]], "rows": {"op": ["object_store.put"]}}, False, True)
def test_what_has_a_checksum_and_is_no_parcel_is_called_damaged(
    section: Any, own: bool, trusting: bool
) -> None:
    schema = parcel._schema()[1] if own else "another"
    for document in (section, {"schema": schema, "sections": [section]}):
        try:
            rows, unreadable = sift(enframe(b"SBp1", document, Heap()), {7}, trusting=trusting)
        except LedgerDamaged:
            continue
        assert (rows, unreadable) == ([], [])


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("position", [None, "0", -1, 0.0, True, {"n": 0}])
def test_what_stands_at_no_position_is_damaged(position: Any, own: bool) -> None:
    """A number is made of it: who takes the parcel must not stumble over that."""
    document, _ = unframe(b"SBp1", seal([HeadObject(**PLACE, key="k")]))
    document["sections"][0]["at"] = [position]
    if not own:
        document["schema"] = "another"
    with pytest.raises(LedgerDamaged):
        sift(enframe(b"SBp1", document, Heap()), ())


def test_a_command_that_another_release_has_and_this_one_lacks_keeps_nothing_else_back() -> None:
    blob = seal(SMALL)
    document, heap = unframe(b"SBp1", of_another_release(blob))
    beside = Heap()
    beside.put([heap])
    document["sections"][1]["rows"]["op"] = ["tabular_store.merge"]
    blob = enframe(b"SBp1", document, beside)
    with pytest.raises(UnknownCommand):
        unseal(blob, ())
    assert [row.position for row in unseal(blob, {1})] == [0, 2]
    rows, (unreadable,) = sift(blob, ())
    assert [row.position for row in rows] == [0, 2]
    assert (unreadable.position, unreadable.op) == (1, "tabular_store.merge")
    assert unreadable.ref == "t_x/dev/two"
    assert isinstance(unreadable.error, UnknownCommand)
    assert unreadable.document["data"] == {"n": 1, "b": {"$bytes": "AQ=="}}


def test_a_row_of_another_release_is_checked() -> None:
    document, _ = unframe(b"SBp1", seal([HeadObject(**PLACE, key="k")]))
    document["sections"][0]["rows"]["key"] = ["../k"]
    with pytest.raises(SignalboxError) as caught:
        unseal(enframe(b"SBp1", document | {"schema": "another"}, Heap()), ())
    assert caught.value.code == "INVALID_KEY"


UNMADE: list[dict[str, Any]] = [
    {"key": "../k"},
    {"key": 1},
    {"op_id": "/"},
    {"tenant_id": "t_x/dev"},
    {"mode": None},
    {"payload": InlinePayload(data=b"").model_copy(update={"type": "staged"})},
    {"content_type": "a\r\nb"},
    {"metadata": {"signalbox-mark": "1"}},
    {"metadata": {"n": ["1"]}},
    {"condition": Condition.model_construct(if_absent=True, if_match="1")},
]


@pytest.mark.parametrize("fields", UNMADE, ids=str)
@pytest.mark.parametrize("alone", [True, False])
def test_what_nobody_could_make_is_found_where_who_sealed_is_not_trusted(
    fields: dict[str, Any], alone: bool
) -> None:
    """Alike in all rows or in one of them, which keeps no other back."""
    bad = put().model_copy(update=fields)
    blob = seal([bad, bad.model_copy()] if alone else [put(), bad, put(b"2")])
    _, trusted = sift(blob, ())
    assert not trusted
    rows, unreadable = sift(blob, (), trusting=False)
    assert [row.position for row in rows] == ([] if alone else [0, 2])
    assert [row.position for row in unreadable] == ([0, 1] if alone else [1])


def test_a_column_that_is_missing_is_not_made_up() -> None:
    """An op_id would be another one at each look."""
    document, _ = unframe(b"SBp1", seal([put()]))
    del document["sections"][0]["rows"]["op_id"]
    with pytest.raises(LedgerDamaged):
        sift(enframe(b"SBp1", document, Heap()), (), trusting=False)


@pytest.mark.parametrize(
    "command",
    [
        put(payload=StagedPayload(ref="a" * 32, size=3, sha256="0" * 64)),
        put(bytes(LARGEST + 1)),
        put(condition=Condition(if_match="\ud800")),
        DeleteObject(**PLACE, key="k", if_match="x" * (LARGEST + 1)),
        DeleteObject(**PLACE, key="k", if_match="\ud800"),
        RegisterObject(**PLACE, key="k", metadata={f"n{n}": "x" * 1000 for n in range(70)}),
        UpsertRow(**PLACE, table_name="t", key="k", data={"a": ["x" * LARGEST]}),
        QueryRows(**PLACE, table_name="t", filters=[Filter(column="c", value="x" * 70_000)]),
        AppendEvent(**PLACE, stream="s", event=Event(type="e", data={"a": b"x" * LARGEST})),
        IngestPoints(
            **PLACE,
            points=[
                Point(series="s", timestamp=datetime.now(UTC) + timedelta(n), value=n)
                for n in range(1000)
            ],
        ),
        DeleteRoute(**PLACE, resource_kind="object_store", reason="r", actor="a"),
    ],
    ids=lambda command: command.op,
)
def test_what_is_not_ordinary(command: Command) -> None:
    assert not ordinary(command)


@pytest.mark.parametrize(
    "command",
    [
        put(payload=StagedPayload(ref="a" * 32, size=3, sha256="0" * 64)),
        put(condition=Condition(if_match="\ud800")),
        DeleteRoute(**PLACE, resource_kind="object_store", reason="r", actor="a"),
    ],
    ids=["staged", "half a surrogate pair", "about a route"],
)
def test_what_cannot_stand_in_a_parcel_is_refused(command: Command) -> None:
    with pytest.raises(InvalidCommand):
        seal([put(), command])


def test_the_largest_is_ordinary() -> None:
    assert ordinary(put(bytes(LARGEST)))


def test_the_tag_follows_types_limits_and_names() -> None:
    class Few(StrEnum):
        A = "a"

    class More(StrEnum):
        A = "a"
        B = "b"

    def described(kind: Any, **limits: Any) -> str:
        return Shape(create_model("Made", size=(kind, Field(**limits)))).description()

    More.__name__ = More.__qualname__ = "Few"
    tags = [described(int), described(int | None), described(int, ge=1), described(Few)]
    tags += [described(More), Shape(PutObject).description()]
    assert len(set(tags)) == len(tags)
    assert not any(" at 0x" in tag for tag in tags)


def test_a_time_of_another_zone_comes_out_in_utc() -> None:
    deadline = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=3)))
    command = GetObject(**PLACE, key="k", deadline=deadline)
    assert_as_validated(unseal(seal([command]), ())[0].command, command)

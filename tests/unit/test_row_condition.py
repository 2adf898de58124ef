"""What a write comes to over what it finds: its own, overtaken, refused, or to be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signalbox.adapters.port import Call
from signalbox.adapters.row_condition import Trace, demand, kept_mark
from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.tabular_store import DeleteRow, RowCondition, UpsertRow

PLACE: dict[str, Any] = {"tenant_id": "t_a", "env": "dev", "table_name": "people", "key": "ann"}
NOTHING = Trace()
OLDER, NEWER = Trace(4, gone=False), Trace(6, gone=False)
REPLAYED = Trace(6, gone=False, mark="3")
"""Written by the second acceptance of the command that was accepted first as number 3."""


def call(seq: int, mark: str | None = None, *, takeover: bool = False) -> Call:
    return Call(mark or str(seq), seq, takeover, 0.0, DirectoryPayloadStore(Path("unused")))


def upsert(**condition: Any) -> UpsertRow:
    return UpsertRow(**PLACE, data={}, condition=RowCondition(**condition))


def delete(if_revision: int | None = None) -> DeleteRow:
    return DeleteRow(**PLACE, if_revision=if_revision)


@pytest.mark.parametrize(
    ("trace", "own"),
    [
        (NOTHING, False),
        (OLDER, False),
        (NEWER, False),
        (Trace(3), True),
        (Trace(9), True),
        (REPLAYED, True),
        (Trace(3, mark="2"), False),
    ],
)
def test_a_trace_is_of_the_command_with_its_mark_or_its_number(trace: Trace, own: bool) -> None:
    assert trace.is_of(call(9, "3", takeover=True)) is own


@pytest.mark.parametrize("gone", [False, True])
def test_only_what_is_newer_and_of_another_command_supersedes(gone: bool) -> None:
    assert Trace(6, gone).supersedes(call(5))
    assert not Trace(4, gone).supersedes(call(5))
    assert not Trace(5, gone).supersedes(call(5))
    # A frozen worker wakes up in the first acceptance of what was replayed since.
    assert not Trace(6, gone, mark="3").supersedes(call(3))


def test_the_mark_is_kept_only_where_the_number_does_not_say_it() -> None:
    assert kept_mark(call(5)) is None
    assert kept_mark(call(5, "3")) == "3"


def test_what_the_command_itself_left_is_asked_for_no_condition() -> None:
    demand(upsert(if_absent=True), Trace(5, gone=False), call(5))
    demand(upsert(if_revision=4), Trace(5, gone=False), call(5))
    demand(delete(if_revision=4), Trace(5), call(5))
    demand(upsert(if_absent=True), REPLAYED, call(9, "3", takeover=True))


def test_a_takeover_that_was_overtaken_is_asked_for_no_condition() -> None:
    demand(upsert(if_absent=True), NEWER, call(5, takeover=True))
    demand(delete(if_revision=4), NEWER, call(5, takeover=True))
    with pytest.raises(AlreadyExists):
        demand(upsert(if_absent=True), NEWER, call(5))


def test_a_condition_that_does_not_hold_is_refused_with_what_is_there() -> None:
    with pytest.raises(PreconditionFailed, match="revision 4"):
        demand(upsert(if_revision=3), OLDER, call(5))
    for trace in (NOTHING, Trace(4)):
        demand(upsert(if_absent=True), trace, call(5))
        with pytest.raises(PreconditionFailed, match="no row"):
            demand(upsert(if_revision=4), trace, call(5))
        with pytest.raises(PreconditionFailed, match="no row"):
            demand(delete(if_revision=4), trace, call(5, takeover=True))
    demand(upsert(if_revision=4), OLDER, call(5))

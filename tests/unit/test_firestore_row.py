"""What a write comes to over what it finds: done before, overtaken, refused, or to be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.firestore.message import new_document, set_value
from adapters.firestore.row import Trace, is_done
from adapters.port import Call
from commands.error import AlreadyExists, PreconditionFailed
from commands.payload import DirectoryPayloadStore
from commands.tabular_store import DeleteRow, RowCondition, UpsertRow

PLACE: dict[str, Any] = {"tenant_id": "t_a", "env": "dev", "table_name": "people", "key": "ann"}
NOTHING = Trace.of(None)


def found(seq: int, *, gone: bool = False) -> Trace:
    document = new_document("name")
    set_value(document.fields["seq"], seq)
    if gone:
        set_value(document.fields["gone"], True)
    return Trace.of(document)


def call(seq: int, *, takeover: bool = False) -> Call:
    return Call("op", seq, takeover, 0.0, DirectoryPayloadStore(Path("unused")))


def upsert(**condition: Any) -> UpsertRow:
    return UpsertRow(**PLACE, data={}, condition=RowCondition(**condition))


def delete(if_revision: int | None = None) -> DeleteRow:
    return DeleteRow(**PLACE, if_revision=if_revision)


@pytest.mark.parametrize("trace", [NOTHING, found(4), found(4, gone=True)])
def test_a_newer_write_is_to_be_done(trace: Trace) -> None:
    assert not is_done(trace, upsert(), call(5))
    assert not is_done(trace, delete(), call(5))


@pytest.mark.parametrize("takeover", [False, True])
@pytest.mark.parametrize("trace", [found(6), found(6, gone=True)])
def test_an_older_write_changes_nothing(trace: Trace, takeover: bool) -> None:
    assert is_done(trace, upsert(), call(5, takeover=takeover))
    assert is_done(trace, delete(), call(5, takeover=takeover))


def test_what_the_command_itself_left_is_its_result_whatever_its_condition() -> None:
    assert is_done(found(5), upsert(if_absent=True), call(5, takeover=True))
    assert is_done(found(5), upsert(if_revision=4), call(5))
    assert is_done(found(5, gone=True), delete(if_revision=4), call(5))


def test_a_takeover_that_was_overtaken_is_asked_for_no_condition() -> None:
    assert is_done(found(6), upsert(if_absent=True), call(5, takeover=True))
    assert is_done(found(6), delete(if_revision=4), call(5, takeover=True))
    with pytest.raises(AlreadyExists):
        is_done(found(6), upsert(if_absent=True), call(5))


def test_a_condition_that_does_not_hold_is_refused_with_what_is_there() -> None:
    with pytest.raises(PreconditionFailed, match="revision 4"):
        is_done(found(4), upsert(if_revision=3), call(5))
    for trace in (NOTHING, found(4, gone=True)):
        assert not is_done(trace, upsert(if_absent=True), call(5))
        with pytest.raises(PreconditionFailed, match="no row"):
            is_done(trace, upsert(if_revision=4), call(5))
        with pytest.raises(PreconditionFailed, match="no row"):
            is_done(trace, delete(if_revision=4), call(5, takeover=True))
    assert not is_done(found(4), upsert(if_revision=4), call(5))

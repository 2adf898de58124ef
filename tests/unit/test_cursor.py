"""Cursors: each goes on with the question that it came from, and with no other."""

from __future__ import annotations

import base64

import pytest

from signalbox.adapters.row_query import page_of
from signalbox.commands.error import InvalidCommand
from signalbox.commands.tabular_store import QueryRows, Row
from tests.unit.test_row_query import ask


def test_a_cursor_belongs_to_its_question() -> None:
    rows = [Row(key=key, data={"a": 1}, revision=1) for key in "abc"]
    cursor = page_of(ask(limit=1), rows).next_cursor
    assert [row.key for row in page_of(ask(cursor=cursor, limit=50), rows).rows] == ["b", "c"]
    other = QueryRows(tenant_id="t_b", env="dev", table_name="t", cursor=cursor)
    for question in (other, ask(cursor=cursor, descending=True), ask(cursor=cursor, order_by="a")):
        with pytest.raises(InvalidCommand):
            page_of(question, rows)


@pytest.mark.parametrize("cursor", ["", "?", "AAAA", "bnVsbA==", "\ud800", "W10="])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCommand):
        page_of(ask().model_copy(update={"cursor": cursor}), [])


def test_a_deeply_nested_cursor_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(InvalidCommand):
        page_of(ask().model_copy(update={"cursor": deep}), [])

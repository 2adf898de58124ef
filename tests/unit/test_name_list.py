"""Lists of names: what a service answers is held against what was asked, and so is a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from signalbox.adapters.cursor import make_cursor
from signalbox.adapters.failure import Service
from signalbox.adapters.name_list import (
    MAX_POSITION,
    NamePage,
    NameQuery,
    NotListed,
    list_names,
    page_by_name,
)
from signalbox.adapters.port import TimeLimit
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import (
    IntegrityMismatch,
    InternalError,
    InvalidCommand,
    ScanRefused,
    SignalboxError,
    Unavailable,
)
from signalbox.commands.tabular_store import ListTables


class Limit:
    deadline = lease_clock() + 60

    def remaining(self) -> float:
        return 60


class Answers:
    """A driver that answers this page to any question."""

    def __init__(self, names: Sequence[str], position: str | None = None) -> None:
        self.page = NamePage(names, position)
        self.asked: list[NameQuery] = []
        self.service = Service("some", "Some", lambda _: InternalError("none"))

    def names(self, query: NameQuery, limit: TimeLimit) -> NamePage:
        self.asked.append(query)
        if not query.allow_scan and query.prefix == "scan":
            raise NotListed("There is no list.")
        return self.page


def listing(prefix: str = "", **fields: object) -> ListTables:
    named = {"tenant_id": "t_a", "env": "dev", "prefix": prefix, "limit": 3}
    return ListTables.model_validate(named | fields)


def test_a_page_is_sorted_and_its_cursor_leads_on() -> None:
    driver = Answers(["b", "é", "B"], "token")
    names, cursor = list_names(driver, listing(), Limit())
    assert names == ["B", "b", "é"]
    driver.page = NamePage(["c"], None)
    assert list_names(driver, listing(cursor=cursor, allow_scan=True), Limit()) == (["c"], "")
    assert [each.position for each in driver.asked] == [None, "token"]


@pytest.mark.parametrize(
    ("names", "position", "error"),
    [
        (["aa", "b"], None, IntegrityMismatch),
        (["a1", "a2", "a3", "a4"], None, IntegrityMismatch),
        (["a1", "a1"], None, IntegrityMismatch),
        (["a\n"], None, IntegrityMismatch),
        (["a\ud800"], None, IntegrityMismatch),
        (["a" * 300], None, IntegrityMismatch),
        ([7], None, IntegrityMismatch),
        ([], "here", Unavailable),
    ],
)
def test_an_answer_to_another_question_is_an_error(
    names: list[Any], position: str | None, error: type[SignalboxError]
) -> None:
    command = listing("a")
    cursor = make_cursor(command, "here")
    with pytest.raises(error) as caught:
        list_names(Answers(names, position), listing("a", cursor=cursor), Limit())
    assert caught.value.next_step


@pytest.mark.parametrize(
    "position", ["", "a\0b", "a\nb", "\ud800", "x" * (MAX_POSITION + 1), None, 5, ["a"]]
)
def test_a_position_that_no_driver_made_is_asked_of_none(position: object) -> None:
    driver = Answers([])
    with pytest.raises(InvalidCommand):
        list_names(driver, listing(cursor=make_cursor(listing(), position)), Limit())
    assert driver.asked == []


def test_a_scan_that_is_not_allowed_says_how_it_is() -> None:
    driver = Answers(["scan1"])
    with pytest.raises(ScanRefused, match="Some has none") as caught:
        list_names(driver, listing("scan"), Limit())
    assert "There is no list. Or read it all the same: allow_scan" in str(caught.value.next_step)
    assert list_names(driver, listing("scan", allow_scan=True), Limit()) == (["scan1"], "")


def test_a_page_by_name_goes_on_behind_its_last() -> None:
    assert page_by_name(["a", "b"], 2) == NamePage(["a", "b"], None)
    assert page_by_name(["a", "b", "c"], 2) == NamePage(["a", "b"], "b")

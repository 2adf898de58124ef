"""Lists of the names of tables, series and streams: whole, in pages, and of one scope alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pydantic import ValidationError

from signalbox.adapters.catalogue import Backend
from signalbox.commands.error import InvalidCommand, ScanRefused, SignalboxError
from signalbox.commands.event_stream import ListStreams
from signalbox.commands.listing import ListNames, NamesResult
from signalbox.commands.metrics_store import ListSeries
from signalbox.commands.name import check_name
from signalbox.commands.scope import ResourceKind
from signalbox.commands.tabular_store import ListTables
from signalbox.testing.hostile import SPELLINGS
from signalbox.testing.metrics_caller import MetricsCaller, point
from signalbox.testing.store_caller import OpenAt
from signalbox.testing.stream_caller import StreamCaller
from signalbox.testing.table_caller import TableCaller

KINDS = (ResourceKind.TABULAR_STORE, ResourceKind.METRICS_STORE, ResourceKind.EVENT_STREAM)
UNSORTED = {"firestore", "dynamodb"}
"""Their pages do not continue in the order of the names."""


class Names:
    """The names of one scope."""

    def __init__(self, kind: ResourceKind, open_at: OpenAt, **scope: str) -> None:
        self.kind = kind
        callers = {
            ResourceKind.TABULAR_STORE: TableCaller,
            ResourceKind.METRICS_STORE: MetricsCaller,
            ResourceKind.EVENT_STREAM: StreamCaller,
        }
        self.caller = open_at(callers[kind], **scope)

    def add(self, *names: str) -> None:
        """Store something under each name."""
        for name in names:
            if self.kind is ResourceKind.TABULAR_STORE:
                self.caller.upsert("k", {"n": 1}, table=name)
            elif self.kind is ResourceKind.METRICS_STORE:
                self.caller.ingest(point(series=name))
            else:
                self.caller.append({"n": 1}, stream=name)

    def page(self, **fields: Any) -> tuple[list[str], str | None]:
        """Return one page and its cursor."""
        command: type[ListNames]
        command, verb = {
            ResourceKind.TABULAR_STORE: (ListTables, "tables"),
            ResourceKind.METRICS_STORE: (ListSeries, "series"),
            ResourceKind.EVENT_STREAM: (ListStreams, "streams"),
        }[self.kind]
        asked = command(**self.caller.scope_fields, **({"allow_scan": True} | fields))
        result: NamesResult = getattr(self.caller.store, f"list_{verb}")(asked, self.caller.call())
        return getattr(result, verb), result.next_cursor

    def pages(self, **fields: Any) -> Iterator[list[str]]:
        """Yield all pages."""
        cursor: str | None = None
        while True:
            names, cursor = self.page(cursor=cursor, **fields)
            yield names
            if cursor is None:
                return

    def all(self, **fields: Any) -> list[str]:
        """Return the names of all pages."""
        return [name for page in self.pages(**fields) for name in page]


OpenNames = Callable[..., Names]


@pytest.fixture
def open_names(backend: Backend, open_at: OpenAt) -> OpenNames:
    return lambda **scope: Names(backend.kind, open_at, **scope)


@pytest.fixture
def names(open_names: OpenNames) -> Names:
    return open_names()


def in_order(names: list[str]) -> list[str]:
    return sorted(names, key=str.encode)


def test_a_scope_without_anything_has_no_names(names: Names) -> None:
    assert names.page() == ([], None)
    assert names.page(prefix="a", limit=1) == ([], None)


def test_a_name_is_listed_once_whatever_it_has(names: Names) -> None:
    names.add("b", "a", "b", "b")
    assert in_order(names.all()) == ["a", "b"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_have_each_name_once(names: Names, backend: Backend, limit: int) -> None:
    stored = ["n10", "N", "n", "n1", "é", "n 1", "n/1"]
    names.add(*stored)
    pages = list(names.pages(limit=limit))
    assert all(len(page) <= limit and page == in_order(page) for page in pages)
    listed = [name for page in pages for name in page]
    assert in_order(listed) == in_order(stored)
    if backend.backend_type not in UNSORTED:
        assert listed == in_order(stored)
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


def test_a_prefix_lists_the_names_that_begin_with_it(names: Names) -> None:
    names.add("a", "ab", "aB", "a%", "a_c", "a*", "b", "éa", "é", "e\u0301", "日本")
    for prefix, found in {
        "a": ["a", "a%", "a*", "aB", "a_c", "ab"],
        "ab": ["ab"],
        "a_": ["a_c"],
        "a%": ["a%"],
        "*": [],
        "A": [],
        "é": ["é", "éa"],
        "e": ["e\u0301"],
        "日": ["日本"],
        "日本語": [],
    }.items():
        assert in_order(names.all(prefix=prefix)) == in_order(found), prefix
        assert in_order(names.all(prefix=prefix, limit=1)) == in_order(found), prefix


def test_names_that_are_stored_during_a_walk_disturb_it_not(names: Names) -> None:
    stored = [f"n{number:02}" for number in range(10)]
    names.add(*stored)
    first, cursor = names.page(limit=4)
    names.add("n00", "n005", "n055")
    listed = list(first)
    while cursor is not None:
        page, cursor = names.page(limit=4, cursor=cursor)
        listed += page
    assert set(listed) >= set(stored)
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("group", SPELLINGS)
def test_hostile_names_are_listed_as_they_are_and_to_nobody_else(
    open_names: OpenNames, tenant: str, group: str
) -> None:
    mine, near = open_names(), open_names(tenant=f"{tenant}b")
    other_env = open_names(env="dev2")
    near.add("own")
    other_env.add("own2")
    spelled = [name.replace("VICTIM", near.caller.tenant) for name in SPELLINGS[group].values()]
    kept = []
    for name in dict.fromkeys(spelled):
        with suppress(SignalboxError, ValidationError):
            check_name(name)
            mine.add(name)
            kept.append(name)
    assert kept
    assert in_order(mine.all()) == in_order(kept)
    assert in_order(mine.all(limit=3)) == in_order(kept)
    assert near.all() == ["own"]
    assert other_env.all() == ["own2"]
    # Every fourth: where a list is a scan, each reads what all tests have stored.
    for prefix in kept[::4]:
        below = [name for name in kept if name.startswith(prefix)]
        assert in_order(mine.all(prefix=prefix)) == in_order(below)
        assert near.all(prefix=prefix) == []


def test_a_cursor_of_another_list_is_refused(names: Names) -> None:
    names.add("a", "b", "c")
    _, cursor = names.page(limit=1)
    assert cursor is not None
    for forged in ("x", "", base64.b64encode(b"[]").decode(), cursor[:-4]):
        with pytest.raises((InvalidCommand, ValidationError)):
            names.page(cursor=forged)
    with pytest.raises(InvalidCommand):
        names.page(prefix="a", cursor=cursor)


@pytest.mark.parametrize("position", ["../", "\0", "tenants/t_other", 5, None, ["a"], "z" * 4000])
def test_a_forged_position_reaches_nothing_more(
    open_names: OpenNames, tenant: str, position: Any
) -> None:
    names, near = open_names(), open_names(tenant=f"{tenant}b")
    names.add("a", "b", "c")
    near.add("victim")
    _, cursor = names.page(limit=1)
    binding, _ = json.loads(base64.urlsafe_b64decode(str(cursor)))
    forged = base64.urlsafe_b64encode(json.dumps([binding, position]).encode()).decode()
    found: list[str] = []
    with suppress(InvalidCommand):
        found, _ = names.page(cursor=forged, limit=1000)
    assert set(found) <= {"a", "b", "c"}


def test_a_list_has_its_answer_or_says_that_it_scans(names: Names, backend: Backend) -> None:
    names.add("a", "b")
    try:
        assert in_order(names.all(allow_scan=False)) == ["a", "b"]
    except ScanRefused as refused:
        detail = refused.detail()
        assert (detail.tenant_id, detail.env) == (names.caller.tenant, names.caller.env)
        assert (detail.kind, detail.backend_type) == (backend.kind, backend.backend_type)
        assert "allow_scan" in str(detail.next_step)

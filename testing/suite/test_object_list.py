"""Lists of objects: content, order, and pages without losses or repetitions."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest

from signalbox.commands.error import InvalidCommand
from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import ObjectCaller

KIND = ResourceKind.OBJECT_STORE
VARIANTS = False  # boto3 makes the list requests of every engine

TREE = ["a", "a-b", "a/b", "a/b/c", "a/b/d", "a0", "b/c/d/e", "b/c2", "c"]


@pytest.fixture
def tree(objects: ObjectCaller) -> ObjectCaller:
    for key in TREE:
        objects.put(key, key.encode())
    return objects


def test_an_empty_store_lists_nothing(objects: ObjectCaller) -> None:
    page = objects.page()
    assert (page.objects, page.prefixes, page.next_cursor) == ([], [], None)


def test_a_list_tells_size_etag_and_time(objects: ObjectCaller) -> None:
    result = objects.put("a", b"four")
    (info,) = objects.page().objects
    head = objects.head("a")
    assert (info.key, info.size, info.etag) == ("a", 4, result.etag)
    assert abs((info.modified - head.modified).total_seconds()) < 1


def test_keys_come_in_byte_order(tree: ObjectCaller) -> None:
    assert tree.keys() == sorted(TREE, key=str.encode)


def test_order_is_that_of_utf_8_bytes_not_of_utf_16_or_of_a_language(objects: ObjectCaller) -> None:
    # UTF-16 has U+1F600 before U+FF5E; languages have ä beside a and ignore case.
    keys = ["B", "a", "ä", "z", "\uff5e", "\U0001f600", "a ", "a!", "a/", "a0"]
    for key in keys:
        objects.put(key.replace("a/", "a/x"))
    expected = sorted((key.replace("a/", "a/x") for key in keys), key=str.encode)
    assert objects.keys() == expected
    assert [page.objects[0].key for page in objects.pages(limit=1)] == expected


def test_segments_that_end_in_dots_stand_where_their_bytes_put_them(objects: ObjectCaller) -> None:
    """Azure drops dots at the end of a segment, so they are spelled otherwise there."""
    keys = [
        *("a", "a.", "a.!", "a..", "a.!.", "a.!!", "a. ", "a.-", "a.b", "a.~", "a!", "a-"),
        *("a./b", "a.!/b", "a../b", "a. /b", "a.-/b", "a.!.b", "a..b", "a...b", "a/b", "a/b./c"),
        *("a.\\/b", "a.[", "a.[/b", "a.\uffff", "a.\uffff/b", "a.\U0001f600/b", "a.+/b", "a.,"),
    ]
    for key in keys:
        objects.put(key, key.encode())
    expected = sorted(keys, key=str.encode)
    assert objects.keys() == expected
    assert [page.objects[0].key for page in objects.pages(limit=1)] == expected
    for prefix in ("a.", "a./", "a.!", "a..", "a../", "a.!/", "a/b.", "a. "):
        assert objects.keys(prefix) == [key for key in expected if key.startswith(prefix)]
    assert all(objects.read(key) == key.encode() for key in keys)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a", ["a", "a-b", "a/b", "a/b/c", "a/b/d", "a0"]),
        ("a/", ["a/b", "a/b/c", "a/b/d"]),
        ("a/b/", ["a/b/c", "a/b/d"]),
        ("a/b/c", ["a/b/c"]),
        ("b/c2", ["b/c2"]),
        ("x", []),
        ("A", []),
    ],
)
def test_a_prefix_may_end_anywhere_in_a_key(
    tree: ObjectCaller, prefix: str, expected: list[str]
) -> None:
    assert tree.keys(prefix) == expected


@pytest.mark.parametrize("wild", ["%", "_", "*", "?", "["])
def test_a_prefix_has_no_wild_cards(objects: ObjectCaller, wild: str) -> None:
    objects.put("plain")
    objects.put(f"{wild}x")
    assert objects.keys(wild) == [f"{wild}x"]


@pytest.mark.parametrize(
    ("prefix", "keys", "prefixes"),
    [
        ("", ["a", "a-b", "a0", "c"], ["a/", "b/"]),
        ("a", ["a", "a-b", "a0"], ["a/"]),
        ("a/", ["a/b"], ["a/b/"]),
        ("a/b/", ["a/b/c", "a/b/d"], []),
        ("b/", ["b/c2"], ["b/c/"]),
        ("b/c", ["b/c2"], ["b/c/"]),
    ],
)
def test_a_delimiter_folds_what_is_deeper(
    tree: ObjectCaller, prefix: str, keys: list[str], prefixes: list[str]
) -> None:
    page = tree.page(prefix, delimiter="/")
    assert [info.key for info in page.objects] == keys
    assert page.prefixes == prefixes
    assert page.next_cursor is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 8, 9, 10])
def test_pages_of_any_size_hold_every_key_once(tree: ObjectCaller, limit: int) -> None:
    pages = list(tree.pages(limit=limit))
    assert [info.key for page in pages for info in page.objects] == sorted(TREE, key=str.encode)
    assert all(len(page.objects) == limit for page in pages[:-1])
    assert 1 <= len(pages[-1].objects) <= limit


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
def test_pages_of_any_size_hold_every_prefix_once(tree: ObjectCaller, limit: int) -> None:
    pages = list(tree.pages(delimiter="/", limit=limit))
    assert [info.key for page in pages for info in page.objects] == ["a", "a-b", "a0", "c"]
    assert [prefix for page in pages for prefix in page.prefixes] == ["a/", "b/"]
    assert all(len(page.objects) + len(page.prefixes) == limit for page in pages[:-1])


def test_a_last_full_page_has_no_cursor(tree: ObjectCaller) -> None:
    assert tree.page(limit=len(TREE)).next_cursor is None


def test_many_keys_below_one_prefix_are_one_entry(objects: ObjectCaller) -> None:
    for number in range(30):
        objects.put(f"deep/{number:02}")
    objects.put("z")
    page = objects.page(delimiter="/", limit=1)
    assert (page.objects, page.prefixes) == ([], ["deep/"])
    (last,) = objects.page(delimiter="/", limit=1, cursor=page.next_cursor).objects
    assert last.key == "z"


def test_a_cursor_goes_on_though_its_key_is_deleted_and_others_come(objects: ObjectCaller) -> None:
    for key in ("a", "b", "c", "d"):
        objects.put(key)
    page = objects.page(limit=2)
    objects.delete("b")
    objects.put("a1")
    assert objects.keys(cursor=page.next_cursor) == ["c", "d"]
    # A cursor is not used up.
    assert objects.keys(cursor=page.next_cursor) == ["c", "d"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "ünicode",
        "../../../etc",
        "AAAA",
        base64.urlsafe_b64encode(b"{}").decode(),
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
        base64.urlsafe_b64encode(json.dumps(["x", "a"]).encode()).decode(),
    ],
    ids=lambda cursor: cursor[:12] or "empty",
)
def test_a_forged_cursor_is_refused(tree: ObjectCaller, cursor: str) -> None:
    with pytest.raises(InvalidCommand):
        tree.page(cursor=cursor)


@pytest.mark.parametrize(
    "position",
    [
        *(None, 0, True, [], {}, ["a"], "\ud800", "\n", "\0", "x\r\nHost: y"),
        *("x", "2!8!", "2!92!MDAw", "a" * 2000, "\uffff", "../../x", "%00", "<a>", "A" * 64),
    ],
    ids=lambda position: ascii(position)[:12],
)
def test_a_cursor_with_another_place_says_nothing_of_a_backend_that_is_down(
    tree: ObjectCaller, position: Any
) -> None:
    """Whatever stands in it, it reaches no more than its question, or is refused for good."""
    cursor = tree.page("a/", limit=2).next_cursor
    assert cursor is not None
    binding, _ = json.loads(base64.urlsafe_b64decode(cursor))
    forged = base64.urlsafe_b64encode(json.dumps([binding, position]).encode()).decode()
    with suppress(InvalidCommand):
        keys = tree.keys("a/", cursor=forged)
        assert isinstance(position, str)
        assert set(keys) <= {"a/b", "a/b/c", "a/b/d"}


@pytest.mark.parametrize("other", [{"prefix": "a"}, {"delimiter": "/"}])
def test_a_cursor_of_another_list_is_refused(tree: ObjectCaller, other: dict[str, str]) -> None:
    cursor = tree.page(limit=2).next_cursor
    with pytest.raises(InvalidCommand):
        tree.page(cursor=cursor, **other)

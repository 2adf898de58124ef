"""Keys are names and not paths: every allowed key is returned unchanged and stays distinct."""

from __future__ import annotations

import unicodedata

import pytest

from signalbox.commands.error import InvalidKey, NotFound
from signalbox.commands.scope import ResourceKind
from signalbox.testing.object_caller import ObjectCaller

KIND = ResourceKind.OBJECT_STORE

ODD_KEYS = [
    "with space",
    " leading and trailing ",
    "plus+plus",
    "percent%",
    "percent%2Fslash",
    "percent%2525",
    "question?mark=1",
    "hash#mark",
    "and&and",
    "semi;colon:at@",
    "quote'quote\"quote",
    "back\\slash",
    "..\\..\\up",
    "tilde~a1b2c3",
    "~",
    "*[x]{y}|<z>",
    "$HOME `id` $(id)",
    "-rf",
    ".hidden",
    ".tmp",
    "...",
    "a/.../b",
    "objects.db",
    "objects.db-wal",
    "raw/raw",
    "tenants/t_other/dev/raw/a",
    "assets/a",
    "CON",
    "file.",
    "ß",
    "日本語/キー",
    "🚂/🛤",
    "a\u0301",
    "\u200b",
    "\u202etxt.exe",
    "\ufeff",
    "\U0010ffff",
    "\ue000",
]
LONGEST = 1024


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_comes_back_as_it_was(objects: ObjectCaller, key: str) -> None:
    result = objects.put(key, key.encode())
    assert result.key == key
    assert objects.read(key) == key.encode()
    assert objects.head(key).key == key
    assert objects.keys() == [key]
    assert objects.keys(prefix=key) == [key]
    objects.delete(key)
    assert objects.keys() == []


def test_odd_keys_stand_side_by_side(objects: ObjectCaller) -> None:
    for key in ODD_KEYS:
        objects.put(key, key.encode())
    assert objects.keys() == sorted(ODD_KEYS, key=str.encode)
    assert {objects.read(key).decode() for key in ODD_KEYS} == set(ODD_KEYS)
    assert len({objects.uri(key) for key in ODD_KEYS}) == len(ODD_KEYS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("é", unicodedata.normalize("NFD", "é"), id="composed and decomposed"),
        pytest.param("a%2Fb", "a/b", id="percent and slash"),
        pytest.param("a%20b", "a b", id="percent and space"),
        pytest.param("a+b", "a b", id="plus and space"),
        pytest.param("a", "a/b", id="object and folder"),
        pytest.param("a/b", "a/b/c", id="object and folder below"),
        pytest.param("Key", "key", id="case"),
        pytest.param("a", "a ", id="space at the end"),
        pytest.param("a\\b", "a/b", id="backslash and slash"),
        pytest.param("x" * 300 + "1", "x" * 300 + "2", id="difference far in"),
        pytest.param("d/" * 40 + "1", "d/" * 40 + "2", id="difference far down"),
    ],
)
def test_two_keys_are_two_objects(objects: ObjectCaller, one: str, other: str) -> None:
    objects.put(one, b"one")
    with pytest.raises(NotFound):
        objects.head(other)
    objects.put(other, b"other")
    assert (objects.read(one), objects.read(other)) == (b"one", b"other")
    objects.delete(one)
    assert objects.keys() == [other]
    assert objects.read(other) == b"other"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("x" * 900, id="one segment"),
        pytest.param("é" * 450, id="one segment of two-byte characters"),
        pytest.param("/".join(["x" * 255] * 3), id="segments as long as file names may be"),
    ],
)
def test_a_long_key_is_kept_whole(objects: ObjectCaller, key: str) -> None:
    objects.put(key, b"long")
    assert objects.read(key) == b"long"
    assert objects.keys() == [key]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("/".join("x" * 450), id="450 segments"),
        pytest.param("x" * LONGEST, id="one segment"),
        pytest.param("x" + "/x" * (LONGEST // 2 - 1) + "x", id="many segments"),
        pytest.param("é" * (LONGEST // 2), id="two-byte characters"),
    ],
)
def test_the_longest_key_is_kept_whole_or_refused_in_so_many_words(
    objects: ObjectCaller, key: str
) -> None:
    refusal: InvalidKey | None = None
    try:
        objects.put(key, b"longest")
    except InvalidKey as refused:
        refusal = refused
    if refusal is None:
        assert objects.read(key) == b"longest"
        assert objects.keys() == [key]
    else:
        # The backend's own limit counts what stands before the key.
        assert "bytes" in str(refusal)
        assert refusal.next_step
        assert objects.keys() == []


def test_an_object_can_be_deleted_while_others_are_below_its_key(objects: ObjectCaller) -> None:
    for key in ("a", "a/b", "a/b/c"):
        objects.put(key, key.encode())
    objects.delete("a/b")
    assert objects.keys() == ["a", "a/b/c"]
    assert objects.read("a/b/c") == b"a/b/c"

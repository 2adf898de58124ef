"""Keys as blob names of Azure: nothing is lost, nothing is confused, and the order stays."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.adapters.azure_blob.name import to_key, to_name, to_prefix

ODD = st.text(
    st.sampled_from('a.!~ -0[]\\/"#\ufffc\ufffd\ufffe\uffff\U00010000\U0010ffff'), max_size=9
)


@given(ODD)
def test_a_key_comes_back_from_its_name(key: str) -> None:
    assert to_key(to_name(key)) == key


@given(ODD)
def test_a_name_holds_nothing_that_azure_changes(key: str) -> None:
    name = to_name(key)
    assert not any(segment.endswith(".") for segment in name.split("/"))
    assert not set(name) & {"\\", "\ufffe", "\uffff"}


@given(ODD, ODD)
def test_two_keys_have_two_names_in_the_same_order(one: str, other: str) -> None:
    names = [to_name(one), to_name(other)]
    assert (names[0] == names[1]) == (one == other)
    in_utf_16 = [name.encode("utf-16-be") for name in names]
    assert (in_utf_16[0] < in_utf_16[1]) == (one.encode() < other.encode())


@pytest.mark.parametrize("letters", ["./ a.", ".! -/0", "./\ufffc\ufffd\uffff", "./[\\\U00010000"])
def test_all_short_keys_have_names_in_their_order_that_end_in_no_dot(letters: str) -> None:
    keys = sorted(
        {"".join(text) for size in range(6) for text in product(letters, repeat=size)},
        key=str.encode,
    )
    names = [to_name(key) for key in keys]
    assert names == sorted(set(names), key=lambda name: name.encode("utf-16-be"))
    assert [to_key(name) for name in names] == keys
    assert not any(segment.endswith(".") for name in names for segment in name.split("/"))


@pytest.mark.parametrize("key", ["v1.0/b. c/d.", "Dr. No/ a./..b/c. ", "a./b./c../d", "x. !"])
def test_only_what_ends_a_segment_is_spelled_otherwise(key: str) -> None:
    assert to_key(to_name(key)) == key
    assert to_name(f"{key}e").replace("..\ufffd\ufffc/", "./") == f"{key}e"


@given(ODD, ODD)
def test_a_prefix_is_one_of_the_name_too(prefix: str, rest: str) -> None:
    assert to_name(prefix + rest).startswith(to_prefix(prefix))


@pytest.mark.parametrize("key", ["docs/a.txt", "v1.2/x y+z%20.bin", "ü/日本"])
def test_an_ordinary_key_is_its_own_name(key: str) -> None:
    assert to_name(key) == key

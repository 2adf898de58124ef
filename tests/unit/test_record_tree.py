"""The tree over the registry's records: what it shows, and that nothing else has its root."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.routing.registry.record_tree import (
    DEPTH,
    EMPTY_ROOT,
    TreePath,
    empty_path,
    tree_fields,
)

SUBJECTS = st.text("abc/_0", min_size=1, max_size=6)
RECORDS = st.lists(st.tuples(SUBJECTS, st.text("0123456789abcdef", min_size=1, max_size=4)))


def path(stored: dict[str, bytes], subject: str) -> TreePath:
    return TreePath.read(subject, [stored.get(name) for name in tree_fields(subject)])


def build(records: list[tuple[str, str]]) -> tuple[str, dict[str, bytes]]:
    root, stored = EMPTY_ROOT, dict[str, bytes]()
    for subject, digest in records:
        root, changed = path(stored, subject).with_record(digest)
        stored |= changed
    return root, stored


def test_a_tree_without_records_has_the_empty_root() -> None:
    assert empty_path("a").root() == EMPTY_ROOT
    assert empty_path("a").digest is None
    assert len(tree_fields("a")) == len(set(tree_fields("a"))) == DEPTH + 1


@given(RECORDS, SUBJECTS)
def test_each_subject_is_shown_with_its_newest_record_or_none(
    records: list[tuple[str, str]], other: str
) -> None:
    root, stored = build(records)
    for subject in {*dict(records), other}:
        found = path(stored, subject)
        assert found.root() == root
        assert found.digest == dict(records).get(subject)


@given(RECORDS, st.data())
def test_the_order_of_records_of_different_subjects_does_not_matter(
    records: list[tuple[str, str]], data: st.DataObject
) -> None:
    newest = list(dict(records).items())
    assert build(data.draw(st.permutations(newest)))[0] == build(records)[0]


@given(st.dictionaries(SUBJECTS, st.just("1"), min_size=1), st.data())
def test_another_record_or_none_has_another_root(
    records: dict[str, str], data: st.DataObject
) -> None:
    root, stored = build(list(records.items()))
    subject = data.draw(st.sampled_from(sorted(records)))
    found = path(stored, subject)
    for digests in ({**found.digests, subject: "2"}, {**found.digests, "x": "1"}, {}):
        assert TreePath(subject, digests, found.beside).root() != root
    for height in range(DEPTH):
        beside = list(found.beside)
        beside[height] = bytes(32)
        assert TreePath(subject, found.digests, beside).root() != root


@pytest.mark.parametrize("leaf", [b"[]", b"1", b"{", b"\xff"])
def test_what_is_no_leaf_is_refused(leaf: bytes) -> None:
    with pytest.raises(ValueError):
        TreePath.read("a", [leaf, *[None] * DEPTH])

"""Manifests: whatever is changed of a command, its place or its path, the proof does not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox.commands.error import SignatureInvalid
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.manifest import (
    MANIFEST,
    Group,
    GroupProof,
    Manifest,
    RowProof,
    Stated,
    Times,
    read_manifest,
    read_proof,
)
from signalbox.commands.proof.statement import verify
from signalbox.commands.proof.tree import SIZE, climb, group_hash, leaf, levels, node, path

KEY = PrivateKey.new()
TIMES = Times(1_000, 2_000, 1_300)
TEXTS = st.lists(st.binary(max_size=20), min_size=1, max_size=9)


def signed(groups: list[Group]) -> tuple[Manifest, Stated]:
    manifest = Manifest.sign(groups, KEY, "here", TIMES)
    statement = verify(
        manifest.token, typ=MANIFEST, audience="here", key_of={KEY.kid: KEY.public}.get
    )
    return manifest, read_manifest(statement)


def refused(check: object, *arguments: object) -> None:
    with pytest.raises(SignatureInvalid):
        check(*arguments)  # type: ignore[operator]


@given(st.lists(TEXTS, min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_each_command_and_each_parcel_is_proven_through_its_text(groups: list[list[bytes]]) -> None:
    made = [Group(texts, b"content %d" % at) for at, texts in enumerate(groups)]
    manifest, stated = signed(made)
    for at, group in enumerate(made):
        whole = read_proof(manifest.parcel(at).to_text())
        assert isinstance(whole, GroupProof)
        whole.check(stated.root, stated.groups, b"content %d" % at)
        for index, text in enumerate(groups[at]):
            proof = read_proof(whole.row(group, index).to_text())
            assert proof == manifest.command(at, index)
            assert isinstance(proof, RowProof)
            proof.check(stated.root, stated.groups, text)


@given(st.lists(TEXTS, min_size=1, max_size=5), st.data())
@settings(deadline=None, max_examples=200)
def test_what_was_changed_is_refused(groups: list[list[bytes]], data: st.DataObject) -> None:
    made = [Group(texts, bytes([at])) for at, texts in enumerate(groups)]
    manifest, stated = signed(made)
    at = data.draw(st.integers(0, len(made) - 1))
    index = data.draw(st.integers(0, len(groups[at]) - 1))
    proof, text = manifest.command(at, index), groups[at][index]
    parts: list[str] = ["text", "group", "count", "digest", "index", "groups", "longer", "token"]
    parts += ["above"] * bool(proof.above) + ["path"] * bool(proof.path)
    part = data.draw(st.sampled_from(parts))
    root, number = stated.root, stated.groups
    if part == "text":
        text = data.draw(st.binary(max_size=20).filter(lambda other: other != text))
    elif part == "digest":
        proof = replace(proof, digest=flipped(data, proof.digest))
    elif part in ("above", "path"):
        changed: dict[str, Any] = {part: flipped(data, getattr(proof, part))}
        proof = replace(proof, **changed)
    elif part == "longer":
        proof = replace(proof, path=proof.path + bytes(SIZE))
    elif part == "groups":
        number = data.draw(st.integers(-1, 40).filter(lambda n: n != number))
        if _same_way(at, stated.groups, number):
            return  # what is signed says the number; the path alone need not
    elif part == "token":
        root = flipped(data, root)
    else:
        value = getattr(proof, part)
        other = data.draw(st.integers(0, 40).filter(lambda n: n != value))
        if part == "index" and other < proof.count and groups[at][other] == text:
            return
        changed = {part: other}
        proof = replace(proof, **changed)
    refused(proof.check, root, number, text)


def _same_way(index: int, size: int, other: int) -> bool:
    """Whether a leaf's way to the root looks the same in a tree of another size."""

    def way(size: int) -> list[int]:
        at, found = index, []
        while size > 1:
            if at ^ 1 < size:
                found.append(at % 2)
            at, size = at // 2, (size + 1) // 2
        return found

    return index < other and way(size) == way(other)


def flipped(data: st.DataObject, content: bytes) -> bytes:
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    return bytes(b ^ (1 << bit % 8) if at == bit // 8 else b for at, b in enumerate(content))


def test_a_node_does_not_stand_for_a_command() -> None:
    texts = [b"a", b"b", b"c", b"d"]
    manifest, stated = signed([Group(texts)])
    inner = leaf(b"a") + leaf(b"b")
    tree = levels([leaf(text) for text in texts])
    for text in (inner, b"\1" + inner, b"\0a", node(leaf(b"a"), leaf(b"b"))):
        for count in (2, 4):
            forged = replace(manifest.command(0, 0), count=count, path=tree[1][1])
            refused(forged.check, stated.root, stated.groups, text)


def test_a_group_does_not_stand_for_a_command_nor_a_command_for_a_group() -> None:
    groups = [Group([b"a"], b"x"), Group([b"b"], b"y")]
    manifest, stated = signed(groups)
    body = (1).to_bytes(4, "big") + groups[0].digest + leaf(b"a")
    assert groups[0].hash != leaf(body)
    refused(manifest.command(0, 0).check, stated.root, stated.groups, body)
    assert group_hash(1, groups[0].digest, leaf(b"a")) == groups[0].hash


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_the_last_command_is_not_there_twice(size: int) -> None:
    """A tree that doubles an odd last leaf has the same root as one in which it stands twice."""
    texts = [b"%d" % at for at in range(size)]
    manifest, stated = signed([Group(texts)])
    twice, other = signed([Group([*texts, texts[-1]])])
    assert other.root != stated.root
    refused(twice.command(0, size).check, stated.root, stated.groups, texts[-1])
    refused(
        replace(manifest.command(0, size - 1), index=size).check,
        stated.root,
        stated.groups,
        texts[-1],
    )


def test_the_order_of_commands_is_signed() -> None:
    manifest, stated = signed([Group([b"a", b"b", b"c"])])
    turned, _ = signed([Group([b"b", b"a", b"c"])])
    refused(turned.command(0, 0).check, stated.root, stated.groups, b"b")
    refused(replace(manifest.command(0, 0), index=1).check, stated.root, stated.groups, b"a")


def test_a_parcel_is_its_content_at_its_place() -> None:
    manifest, stated = signed([Group([b"a"], b"x"), Group([b"a"], b"y"), Group([b"c"], b"z")])
    manifest.parcel(0).check(stated.root, stated.groups, b"x")
    refused(manifest.parcel(0).check, stated.root, stated.groups, b"y")
    refused(manifest.parcel(1).check, stated.root, stated.groups, b"x")
    refused(replace(manifest.parcel(1), group=0).check, stated.root, stated.groups, b"x")


@given(st.text(max_size=60))
@example(" ")
@example("token ")
def test_what_is_no_proof_is_refused(text: str) -> None:
    try:
        found = read_proof(text)
    except SignatureInvalid:
        return
    assert found == text, "at most a token, whatever it is"


def test_a_path_is_that_of_rfc_6962() -> None:
    """The tree of seven leaves in its section 2.1.3."""
    hashes = [leaf(bytes([at])) for at in range(7)]
    a, b, c, d, e, f, j = hashes
    g, h, i = node(a, b), node(c, d), node(e, f)
    k, l_ = node(g, h), node(i, j)
    tree = levels(hashes)
    assert tree[-1] == [node(k, l_)]
    assert path(tree, 0) == b + h + l_
    assert path(tree, 3) == c + g + l_
    assert path(tree, 4) == f + j + k
    assert path(tree, 6) == i + k
    assert climb(j, 6, 7, i + k) == tree[-1][0]

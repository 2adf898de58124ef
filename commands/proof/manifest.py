"""Manifests: one signature for all commands of a submission, and proofs that each was among them.

A submission has groups: a parcel, or a command with a record of its own. The manifest states the
root over all groups and their number; the hashes are those of `tree.py`. All numbers are signed, so
neither can a node stand for a command, nor a command for itself twice. A parcel is proven by its
content alone, without a hash of each command; a command that has left its parcel, by the path from
its own JSON.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from signalbox.commands.proof.keys import PrivateKey, decode, encode
from signalbox.commands.proof.statement import Statement, sign
from signalbox.commands.proof.tree import (
    MAX_SIZE,
    SIZE,
    climb,
    group_hash,
    leaf,
    levels,
    path,
    refuse,
)

MANIFEST = "signalbox-manifest"
"""The `typ` of a manifest."""
NO_CONTENT = bytes(SIZE)
"""In place of the content's digest in a group that is no parcel."""
_GROUP, _ROW = struct.Struct(">cIBI32s"), struct.Struct(">cIBI32sIB")


@dataclass(frozen=True, slots=True)
class Times:
    """When a manifest counts, in seconds since 1970."""

    issued: int
    """When it was signed, by the signer's clock."""
    expires: int
    """When it ends: claimed later, a command does not run."""
    accept_until: int
    """Until when the ledger must have accepted what it is about: no number is of a later time."""

    def claims(self) -> dict[str, int]:
        """The claims that say so."""
        return {"iat": self.issued, "exp": self.expires, "acc": self.accept_until}


@dataclass(frozen=True)
class Group:
    """What a manifest is about: a parcel, or one command without."""

    texts: Sequence[bytes]
    """The JSON of each command."""
    content: bytes | None = None
    """The parcel's; None if it is none."""

    @cached_property
    def levels(self) -> list[list[bytes]]:
        """The tree over its commands, from the leaves up."""
        return levels([leaf(text) for text in self.texts])

    @cached_property
    def digest(self) -> bytes:
        """Of the content."""
        return NO_CONTENT if self.content is None else hashlib.sha256(self.content).digest()

    @property
    def hash(self) -> bytes:
        """In the tree over all groups."""
        return group_hash(len(self.texts), self.digest, self.levels[-1][0])


@dataclass(frozen=True, slots=True)
class GroupProof:
    """That a parcel is one of the groups of a manifest."""

    token: str
    """The manifest, a compact JWS."""
    group: int
    """Which of them it is."""
    above: bytes
    """The path from the group to the root."""
    count: int
    """Number of its commands, those that were left out of it included."""
    root: bytes
    """Root of the tree over these."""

    def to_text(self) -> str:
        """The proof as one line of ASCII."""
        head = _GROUP.pack(b"g", self.group, len(self.above) // SIZE, self.count, self.root)
        return f"{self.token} {encode(head + self.above)}"

    def check(self, root: bytes, groups: int, content: bytes) -> None:
        """Raise SignatureInvalid unless the content is that of the group below this root."""
        digest = hashlib.sha256(content).digest()
        own = group_hash(self.count, digest, self.root)
        if climb(own, self.group, groups, self.above) != root:
            refuse("the parcel is not the one that was signed")

    def row(self, group: Group, index: int) -> RowProof:
        """The proof of one command when it leaves the parcel, of which `group` is made again."""
        return RowProof(
            self.token,
            self.group,
            self.above,
            self.count,
            group.digest,
            index,
            path(group.levels, index),
        )


@dataclass(frozen=True, slots=True)
class RowProof:
    """That a command is one of those of a manifest."""

    token: str
    """The manifest, a compact JWS."""
    group: int
    """The group in which it was signed."""
    above: bytes
    """The path from that to the root."""
    count: int
    """Number of the group's commands."""
    digest: bytes
    """Of the group's content."""
    index: int
    """The command's place in the group."""
    path: bytes
    """The path from the command to the root of the group's."""

    def to_text(self) -> str:
        """The proof as one line of ASCII."""
        steps = len(self.above) // SIZE, len(self.path) // SIZE
        head = _ROW.pack(b"r", self.group, steps[0], self.count, self.digest, self.index, steps[1])
        return f"{self.token} {encode(head + self.above + self.path)}"

    def check(self, root: bytes, groups: int, text: bytes) -> None:
        """Raise SignatureInvalid unless the command's JSON is what stands at its place."""
        inner = climb(leaf(text), self.index, self.count, self.path)
        own = group_hash(self.count, self.digest, inner)
        if climb(own, self.group, groups, self.above) != root:
            refuse("the command is not the one that was signed")


@dataclass(frozen=True)
class Manifest:
    """A signed manifest with all that it is about, for who made it."""

    groups: Sequence[Group]
    """What it is about."""
    token: str
    """The compact JWS."""
    tree: list[list[bytes]] = field(repr=False)
    """The tree over the groups, from the leaves up."""

    @classmethod
    def sign(
        cls, groups: Sequence[Group], key: PrivateKey, audience: str, times: Times
    ) -> Manifest:
        """Sign what states these groups."""
        tree = levels([group.hash for group in groups])
        claims = {"aud": audience, **times.claims()}
        claims |= {"root": encode(tree[-1][0]), "groups": len(groups)}
        return cls(groups, sign(key, MANIFEST, claims), tree)

    def parcel(self, group: int) -> GroupProof:
        """The proof of a whole group."""
        its = self.groups[group]
        above = path(self.tree, group)
        return GroupProof(self.token, group, above, len(its.texts), its.levels[-1][0])

    def command(self, group: int, index: int) -> RowProof:
        """The proof of one command."""
        return self.parcel(group).row(self.groups[group], index)


def read_proof(text: str) -> GroupProof | RowProof | str:
    """Read what `to_text` wrote; a token alone is given back. Raises SignatureInvalid."""
    token, space, rest = text.partition(" ")
    if not space:
        return token
    try:
        content = decode(rest.encode("ascii"))
        if content[:1] == b"g":
            _, group, above, count, root = _GROUP.unpack_from(content)
            paths = _paths(content[_GROUP.size :], above)
            return GroupProof(token, group, paths[0], count, root)
        if content[:1] != b"r":
            raise ValueError("of no kind that is known")
        _, group, above, count, digest, index, steps = _ROW.unpack_from(content)
        paths = _paths(content[_ROW.size :], above, steps)
        return RowProof(token, group, paths[0], count, digest, index, paths[1])
    except (ValueError, struct.error):
        refuse("the proof is malformed")


def _paths(content: bytes, *steps: int) -> list[bytes]:
    found = []
    for count in steps:
        found.append(content[: SIZE * count])
        content = content[SIZE * count :]
    if content or any(len(part) != SIZE * n for part, n in zip(found, steps, strict=True)):
        raise ValueError("not as long as it says")
    return found


@dataclass(frozen=True, slots=True)
class Stated:
    """What a verified manifest says."""

    root: bytes
    """Over all groups."""
    groups: int
    """Their number."""
    accept_until: float
    """As in `Times`."""


def read_manifest(statement: Statement) -> Stated:
    """What a verified statement says as a manifest, but for its times. Raises SignatureInvalid."""
    claims = statement.claims
    root, groups, accept_until = (claims.get(name) for name in ("root", "groups", "acc"))
    try:
        found = decode(root.encode("ascii")) if isinstance(root, str) else b""
    except ValueError:
        found = b""
    if len(found) != SIZE or type(groups) is not int or not 0 < groups <= MAX_SIZE:
        refuse("it names no root and number of groups")
    if type(accept_until) is not int:
        refuse("it does not say until when it may be accepted")
    return Stated(found, groups, accept_until)

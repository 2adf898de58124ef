"""Manifests: one signature for all commands of a submission, and proofs that each was among them.

A submission consists of groups: each is a parcel, or a command with a record of its own. The
manifest states the root over all groups and their number, with the hashes of `tree.py`. Since all
numbers are signed, a node cannot be presented as a command, nor a command twice. A parcel is proven
by its content, without a hash of each command. A command that has left its parcel is proven by the
path from its own JSON.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
"""Stands for the content's digest in a group that is not a parcel."""
_GROUP, _ROW = struct.Struct(">cIBI32s"), struct.Struct(">cIBI32sIB")


@dataclass(frozen=True, slots=True)
class Times:
    """When a manifest is valid, in seconds since 1970."""

    issued: int
    """When it was signed, by the signer's clock."""
    expires: int
    """When it expires: a command that is claimed later does not run."""
    accept_until: int
    """Until when the ledger must have accepted the commands; later numbers are refused."""

    def claims(self) -> dict[str, int]:
        """Return the claims of these times."""
        return {"iat": self.issued, "exp": self.expires, "acc": self.accept_until}


class Group:
    """A group of a manifest: a parcel, or one command with a record of its own."""

    __slots__ = ("count", "digest", "levels")

    def __init__(self, texts: Iterable[bytes], content: bytes | None = None) -> None:
        """Make the group of commands with this JSON, and the content of their parcel, if it is one.

        Of the texts only hashes are kept, so that each may be made in the memory of the last.
        """
        leaves = [leaf(text) for text in texts]
        self.count = len(leaves)
        """Number of its commands."""
        self.levels = levels(leaves)
        """The tree over the commands, from the leaves up."""
        self.digest = NO_CONTENT if content is None else hashlib.sha256(content).digest()
        """Digest of the content."""

    @property
    def hash(self) -> bytes:
        """Hash of the group in the tree over all groups."""
        return group_hash(self.count, self.digest, self.levels[-1][0])


@dataclass(frozen=True, slots=True)
class GroupProof:
    """Proves that a parcel is one of the groups of a manifest."""

    token: str
    """The manifest, a compact JWS."""
    group: int
    """Index of the group."""
    above: bytes
    """The path from the group to the root."""
    count: int
    """Number of its commands, including those that were left out of the parcel."""
    root: bytes
    """Root of the tree over its commands."""

    def to_text(self) -> str:
        """Return the proof as one line of ASCII."""
        head = _GROUP.pack(b"g", self.group, len(self.above) // SIZE, self.count, self.root)
        return f"{self.token} {encode(head + self.above)}"

    def check(self, root: bytes, groups: int, content: bytes) -> None:
        """Raise SignatureInvalid unless the content is that of the group below this root."""
        digest = hashlib.sha256(content).digest()
        own = group_hash(self.count, digest, self.root)
        if climb(own, self.group, groups, self.above) != root:
            refuse("the parcel is not the one that was signed")

    def row(self, group: Group, index: int) -> RowProof:
        """Return the proof of a command that leaves the parcel, whose group is computed again."""
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
    """Proves that a command is one of those of a manifest."""

    token: str
    """The manifest, a compact JWS."""
    group: int
    """Index of the group in which it was signed."""
    above: bytes
    """The path from that group to the root."""
    count: int
    """Number of the group's commands."""
    digest: bytes
    """Digest of the group's content."""
    index: int
    """Index of the command in the group."""
    path: bytes
    """The path from the command to the root of the group's commands."""

    def to_text(self) -> str:
        """Return the proof as one line of ASCII."""
        steps = len(self.above) // SIZE, len(self.path) // SIZE
        head = _ROW.pack(b"r", self.group, steps[0], self.count, self.digest, self.index, steps[1])
        return f"{self.token} {encode(head + self.above + self.path)}"

    def check(self, root: bytes, groups: int, text: bytes) -> None:
        """Raise SignatureInvalid unless the command's JSON is the one at its index."""
        inner = climb(leaf(text), self.index, self.count, self.path)
        own = group_hash(self.count, self.digest, inner)
        if climb(own, self.group, groups, self.above) != root:
            refuse("the command is not the one that was signed")


@dataclass(frozen=True)
class Manifest:
    """A signed manifest with its groups, as its author has it."""

    groups: Sequence[Group]
    """The groups that it signs."""
    token: str
    """The compact JWS."""
    tree: list[list[bytes]] = field(repr=False)
    """The tree over the groups, from the leaves up."""

    @classmethod
    def sign(
        cls, groups: Sequence[Group], key: PrivateKey, audience: str, times: Times
    ) -> Manifest:
        """Sign a manifest of these groups."""
        tree = levels([group.hash for group in groups])
        claims = {"aud": audience, **times.claims()}
        claims |= {"root": encode(tree[-1][0]), "groups": len(groups)}
        return cls(groups, sign(key, MANIFEST, claims), tree)

    def parcel(self, group: int) -> GroupProof:
        """Return the proof of a whole group."""
        its = self.groups[group]
        above = path(self.tree, group)
        return GroupProof(self.token, group, above, its.count, its.levels[-1][0])

    def command(self, group: int, index: int) -> RowProof:
        """Return the proof of one command."""
        return self.parcel(group).row(self.groups[group], index)


def read_proof(text: str) -> GroupProof | RowProof | str:
    """Read what `to_text` wrote; a token alone is returned unchanged. Raises SignatureInvalid."""
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
    """The content of a verified manifest."""

    root: bytes
    """Root over all groups."""
    groups: int
    """Number of groups."""
    accept_until: float
    """As in `Times`."""


def read_manifest(statement: Statement) -> Stated:
    """Read a verified statement as a manifest; checks no times. Raises SignatureInvalid."""
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

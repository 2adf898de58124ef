"""The tree over all records of the registry; each signed event contains its root.

It is a sparse Merkle tree: a record's subject determines its leaf, each leaf has the digests of few
subjects, and a node is the hash of the two below it. With the nodes beside the path to the root,
the newest event alone proves that a record is the newest of its subject, or that there is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signalbox.commands.proof.statement import canonical
from signalbox.routing.registry.keys import TAG

IN_TREE = ("set", "switched", "policy_set", "deleted")
"""Kinds of the events that change the tree."""
TREE = f"{TAG}:tree"
"""Key of the tree: a hash of nodes (`n<depth>:<index>`, 32 bytes) and leaves (`leaf:<index>`)."""
DEPTH = 16
"""Nodes between the root and a leaf; there are 2 to that power leaves."""
FIELDS = DEPTH + 1
"""Number of fields that a path is read from."""


def _leaf(digests: Mapping[str, str]) -> bytes:
    return hashlib.sha256(b"\x00" + canonical(digests)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _empty() -> list[bytes]:
    nodes = [_leaf({})]
    for _ in range(DEPTH):
        nodes.append(_node(nodes[-1], nodes[-1]))
    return nodes[::-1]


EMPTY_NODES = _empty()
"""The node of each depth that has no record below it."""
EMPTY_ROOT = EMPTY_NODES[0].hex()
"""The root of a tree without records, as 64 hexadecimal digits."""


def tree_fields(subject: str) -> list[str]:
    """Return the `FIELDS` fields of `TREE` that `TreePath.read` needs."""
    index = _index(subject)
    beside = [f"n{depth}:{(index >> (DEPTH - depth)) ^ 1}" for depth in range(DEPTH, 0, -1)]
    return [f"leaf:{index}", *beside]


@dataclass(frozen=True)
class TreePath:
    """A leaf and the nodes beside its path to the root."""

    subject: str
    """The subject whose leaf it is."""
    digests: Mapping[str, str]
    """Digest of the newest record of each subject of this leaf."""
    beside: Sequence[bytes]
    """The nodes beside the path, from the leaf upwards."""

    @classmethod
    def read(cls, subject: str, answer: Sequence[bytes | None]) -> TreePath:
        """Read the values of `tree_fields`. Raises ValueError for an invalid leaf."""
        leaf, *beside = answer
        try:
            digests = json.loads(leaf) if leaf is not None else {}
        except RecursionError:
            raise ValueError("not a leaf") from None
        if not isinstance(digests, dict):
            raise ValueError("not a leaf")
        nodes = [
            node if node is not None else EMPTY_NODES[DEPTH - height]
            for height, node in enumerate(beside)
        ]
        return cls(subject, digests, nodes)

    @property
    def digest(self) -> str | None:
        """Digest of the subject's newest record, None if it has none."""
        return self.digests.get(self.subject)

    def root(self) -> str:
        """Compute the root, as 64 hexadecimal digits."""
        return self._nodes()[-1].hex()

    def with_record(self, digest: str) -> tuple[str, dict[str, bytes]]:
        """Return the root and the changed fields of the tree in which the subject has `digest`."""
        changed = TreePath(self.subject, {**self.digests, self.subject: digest}, self.beside)
        index = _index(self.subject)
        nodes = changed._nodes()
        fields = {f"n{DEPTH - height}:{index >> height}": nodes[height] for height in range(DEPTH)}
        return nodes[-1].hex(), fields | {f"leaf:{index}": canonical(changed.digests)}

    def _nodes(self) -> list[bytes]:
        """Return the nodes of the path, from the leaf to the root."""
        index, nodes = _index(self.subject), [_leaf(self.digests)]
        for height, other in enumerate(self.beside):
            left, right = (other, nodes[-1]) if index >> height & 1 else (nodes[-1], other)
            nodes.append(_node(left, right))
        return nodes


def empty_path(subject: str) -> TreePath:
    """Return the path of a subject in a tree without records."""
    return TreePath.read(subject, [None] * (DEPTH + 1))


def _index(subject: str) -> int:
    return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:4]) >> (32 - DEPTH)

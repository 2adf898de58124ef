"""Merkle trees as in RFC 6962, section 2.1, with a third kind of hash that joins two trees.

    command   H(0x00 | its JSON)
    node      H(0x01 | left | right); the last of an odd number goes up as it is
    group     H(0x02 | number of its commands | digest of its content | root of its commands)

H is SHA-256. The verifier knows the size of each tree, so the length of a path, and the position of
each hash in it, are given.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import NoReturn

from signalbox.commands.error import SignatureInvalid

SIZE = 32
"""Bytes of a hash."""
MAX_SIZE = 1 << 20
"""Maximum number of leaves."""
_COUNT = struct.Struct(">I")


def leaf(text: bytes) -> bytes:
    """Return the hash of a command."""
    return hashlib.sha256(b"\0" + text).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above these two."""
    return hashlib.sha256(b"\1" + left + right).digest()


def group_hash(count: int, digest: bytes, root: bytes) -> bytes:
    """Return the hash of a group."""
    return hashlib.sha256(b"\2" + _COUNT.pack(count) + digest + root).digest()


def levels(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return the levels of the tree over one or more hashes, from these up to the root."""
    found = [list(hashes)]
    while (size := len(below := found[-1])) > 1:
        above = [node(below[at], below[at + 1]) for at in range(0, size - 1, 2)]
        found.append([*above, below[-1]] if size % 2 else above)
    return found


def path(tree: Sequence[Sequence[bytes]], index: int) -> bytes:
    """Return the hashes beside the path from a leaf to the root, from the leaf upwards."""
    found = []
    for level in tree[:-1]:
        if index ^ 1 < len(level):
            found.append(level[index ^ 1])
        index //= 2
    return b"".join(found)


def climb(own: bytes, index: int, size: int, beside: bytes) -> bytes:
    """Return the root to which a leaf and its path lead. Raises SignatureInvalid (wrong path)."""
    if not 0 <= index < size <= MAX_SIZE:
        refuse("the proof names a leaf that the tree does not have")
    at = 0
    while size > 1:
        if index ^ 1 < size:
            other = beside[at : at + SIZE]
            own = node(other, own) if index % 2 else node(own, other)
            at += SIZE
        index, size = index // 2, (size + 1) // 2
    if at != len(beside):
        refuse("the proof's path has another length")
    return own


def refuse(reason: str) -> NoReturn:
    """Raise SignatureInvalid."""
    raise SignatureInvalid(
        f"the signature does not count: {reason}",
        next_step="submit the command again, under its op_id, by a client with a key; and look for "
        "who else writes to the ledger",
    )

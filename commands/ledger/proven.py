"""Stores a proof together with what it proves, in one value, so that no script depends on it.

In a record, the proof is a second line of `cmd`, after the command's JSON, which has no line break.
In a parcel, it precedes the content in a frame: `SBs1`, its length (4 bytes, big-endian), and the
proof. Unsigned values have neither.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from signalbox.commands.error import LedgerDamaged, SignatureInvalid
from signalbox.commands.ledger.framing import damaged
from signalbox.commands.ledger.parcel import texts
from signalbox.commands.proof.manifest import Group, GroupProof, read_proof

_TAG, _LENGTH = b"SBs1", struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Signed:
    """The JSON of a command with a proof, which may be valid or not."""

    text: bytes
    """The JSON as it was signed."""
    proof: str
    """The proof, as `manifest.read_proof` reads it."""


def digest_of(message: str) -> str:
    """Return the digest by which the ledger remembers a signed message."""
    return hashlib.sha256(message.encode()).hexdigest()


def with_proof(text: str, proof: str) -> str:
    """Return a record's `cmd`."""
    return f"{text}\n{proof}" if proof else text


def split_proof(text: bytes) -> tuple[bytes, Signed | None]:
    """Return the JSON of a record's `cmd`, with its proof if it has one."""
    document, found, proof = text.partition(b"\n")
    return document, Signed(document, proof.decode("ascii", "replace")) if found else None


def enclose(content: bytes, proof: str) -> bytes:
    """Return a parcel's content with a proof."""
    if not proof:
        return content
    return b"".join([_TAG, _LENGTH.pack(len(proof)), proof.encode("ascii"), content])


def disclose(content: bytes) -> tuple[bytes, str]:
    """Return a parcel's content, and its proof or ''. Raises LedgerDamaged."""
    if not content.startswith(_TAG):
        return content, ""
    start = len(_TAG) + _LENGTH.size
    if len(content) < start:
        raise damaged("is cut short")
    end = start + _LENGTH.unpack_from(content, len(_TAG))[0]
    if len(content) < end:
        raise damaged("is cut short")
    return content[end:], content[start:end].decode("ascii", "replace")


Proofs = Callable[[int], Signed | None]
"""Returns the signed JSON of a command that leaves a parcel, with its proof, by its position."""


def proofs_of(content: bytes, proof: str) -> Proofs:
    """Return the `Proofs` of a parcel's commands.

    They are None if the parcel's proof cannot be read: then the commands are not proven either.
    """
    try:
        whole, signed = read_proof(proof), texts(content)
    except (SignatureInvalid, LedgerDamaged):
        whole, signed = "", []
    group = Group(signed, content)

    def of(position: int) -> Signed | None:
        if not isinstance(whole, GroupProof) or not 0 <= position < len(signed):
            return None
        return Signed(signed[position], whole.row(group, position).to_text())

    return of

"""How a proof stands behind what it proves, in the same value: no script knows of it.

In a record it is a second line of `cmd`, behind the command's JSON, which has no line break. Before
a parcel's content it stands in a frame: `SBs1`, its length (4 bytes, big-endian), and the proof.
What nobody signed has neither.
"""

from __future__ import annotations

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
    """The JSON of a command that has a proof, whether that counts or not."""

    text: bytes
    """The JSON as it was signed."""
    proof: str
    """As `manifest.read_proof` reads it."""


def with_proof(text: str, proof: str) -> str:
    """A record's `cmd`."""
    return f"{text}\n{proof}" if proof else text


def split_proof(text: bytes) -> tuple[bytes, Signed | None]:
    """The JSON of a record's `cmd`, and with its proof if it has one."""
    document, found, proof = text.partition(b"\n")
    return document, Signed(document, proof.decode("ascii", "replace")) if found else None


def enclose(content: bytes, proof: str) -> bytes:
    """A parcel's content with a proof."""
    if not proof:
        return content
    return b"".join([_TAG, _LENGTH.pack(len(proof)), proof.encode("ascii"), content])


def disclose(content: bytes) -> tuple[bytes, str]:
    """A parcel's content alone, and its proof or ''. Raises LedgerDamaged."""
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
"""Of commands that leave a parcel, by position."""


def proofs_of(content: bytes, proof: str) -> Proofs:
    """For commands that leave a parcel, by position: the JSON that was signed, with its own proof.

    None where the parcel's proof is none: such a command is not proven either.
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

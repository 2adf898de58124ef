"""The arguments of the scripts that end and open parcels."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from signalbox.commands.ledger.entry import Action, Finish, Parcel
from signalbox.commands.ledger.parcel_outcome import seal_outcomes
from signalbox.commands.ledger.proven import proofs_of, with_proof
from signalbox.commands.ledger.record_fields import RecordFields, record_fields
from signalbox.commands.ledger.usage import together
from signalbox.commands.ref import Ref

MAX_ANNOUNCED = 64 * 1024
"""Maximum bytes of outcomes that are announced; beyond it, only the refs are."""


def end_arguments(parcel: Parcel, done: Sequence[Finish], told: Mapping[Ref, Finish]) -> list[Any]:
    """What end_parcels.lua reads of one; `told` is what becomes of each command that has ended."""
    refs = [finish.ref for finish in done]
    outcomes = [(parcel.rows[f.ref].position, f.outcome) for f in done if f.outcome is not None]
    sealed = seal_outcomes(outcomes) if outcomes else b""
    use = together([finish.usage for finish in done if finish.usage is not None])
    return [
        parcel.name,
        b"%d " % parcel.clock + sealed if outcomes else b"",
        len(done),
        "\n".join(refs) if len(sealed) > MAX_ANNOUNCED else "",
        use.packed() if use else "",
        *(len(parcel.keys), *parcel.keys),
        *unpack_arguments(parcel, parcel.rows.keys() - set(refs), told),
    ]


def unpack_arguments(
    parcel: Parcel, refs: Collection[Ref], told: Mapping[Ref, Finish]
) -> list[Any]:
    """Return the arguments of unpack.lua for these commands, and for unreadable ones."""
    proof_of = proofs_of(parcel.content, parcel.proof) if parcel.proof and refs else None
    rest = []
    for ref, row in parcel.rows.items():
        if ref not in refs:
            continue
        fields = record_fields(row.command)
        if proof_of is not None and (signed := proof_of(row.position)) is not None:
            # The JSON of the release that signed it.
            fields = fields._replace(text=with_proof(signed.text.decode(), signed.proof))
        if ref in told and told[ref].action is Action.REFUSE:
            fields = fields._replace(fingerprint="")
        rest.append((row.position, fields))
    rest += [
        (bad.position, RecordFields(bad.ref, "", bad.op, "", json.dumps(bad.document), 0))
        for bad in parcel.unreadable
    ]
    flat: list[Any] = [len(rest)]
    for position, fields in sorted(rest):
        flat += [position, *fields]
    return flat

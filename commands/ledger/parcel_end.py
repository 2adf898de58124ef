"""What the scripts that end and open parcels are given."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from signalbox.commands.ledger.entry import Finish, Parcel
from signalbox.commands.ledger.parcel_outcome import seal_outcomes
from signalbox.commands.ledger.record_fields import RecordFields, record_fields
from signalbox.commands.ledger.usage import together
from signalbox.commands.ref import Ref

MAX_ANNOUNCED = 64 * 1024
"""Bytes of outcomes that are announced; of what is larger only the refs are."""


def end_arguments(parcel: Parcel, done: Sequence[Finish]) -> list[Any]:
    """What end_parcels.lua reads of one."""
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
        *unpack_arguments(parcel, parcel.rows.keys() - set(refs)),
    ]


def unpack_arguments(parcel: Parcel, refs: Collection[Ref]) -> list[Any]:
    """What unpack.lua reads of these, and of what is unreadable."""
    rest = [
        (row.position, record_fields(row.command))
        for ref, row in parcel.rows.items()
        if ref in refs
    ]
    rest += [
        (bad.position, RecordFields(bad.ref, "", bad.op, "", json.dumps(bad.document), 0))
        for bad in parcel.unreadable
    ]
    flat: list[Any] = [len(rest)]
    for position, fields in sorted(rest):
        flat += [position, *fields]
    return flat

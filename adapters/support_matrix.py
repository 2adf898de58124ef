"""The support matrix of kinds and backends, as README and `signalbox backends` show it."""

from __future__ import annotations

from signalbox.adapters.capability import Capability
from signalbox.adapters.catalogue import catalogue
from signalbox.commands.vocabulary import ResourceKind

_WORDS = {
    Capability.CONDITIONAL_PUT: "conditional put",
    Capability.CONDITIONAL_DELETE: "conditional delete",
}


def backend_types() -> list[str]:
    """Return the backend types in the order of the catalogue."""
    return list(dict.fromkeys(entry.backend_type for entry in catalogue()))


def support_table() -> list[list[str]]:
    """Return header and rows: `yes` or a dash for each kind, then for each option of object
    stores."""
    cells = {(entry.kind, entry.backend_type): entry for entry in catalogue()}
    names = backend_types()
    labs = {entry.backend_type for entry in catalogue() if entry.lab_only}
    rows = [["", *(f"{name} (lab)" if name in labs else name for name in names)]]
    rows += [
        [kind, *("yes" if (kind, name) in cells else "–" for name in names)]
        for kind in ResourceKind
    ]
    for capability in Capability:
        row = [f"· {_WORDS.get(capability, capability.replace('_', ' '))}"]
        for name in names:
            entry = cells.get((ResourceKind.OBJECT_STORE, name))
            row.append("yes" if entry and capability in entry.capabilities else "–")
        rows.append(row)
    return rows


def markdown() -> str:
    """Return the table as Markdown."""
    header, *rows = support_table()
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

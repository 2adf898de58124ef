"""The support matrix of kinds and backends, as README and `signalbox backends` show it."""

from __future__ import annotations

from signalbox.adapters.catalogue import Backend, catalogue
from signalbox.adapters.port import Capability
from signalbox.commands.error import BackendNotInstalled
from signalbox.commands.scope import ResourceKind

_WORDS = {
    Capability.CONDITIONAL_PUT: "conditional put",
    Capability.CONDITIONAL_DELETE: "conditional delete",
}


def backend_types() -> list[str]:
    """Return the backend types in the order of the catalogue."""
    return list(dict.fromkeys(entry.backend_type for entry in catalogue()))


def support_table() -> list[list[str]]:
    """Return header and rows.

    `yes` or a dash for each kind, then for each option of object stores; `not installed` where the
    backend's packages are missing in this process, so that its options are unknown.
    """
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
            row.append(_offer(entry, capability) if entry else "–")
        rows.append(row)
    return rows


def _offer(entry: Backend, capability: Capability) -> str:
    try:
        return "yes" if capability in entry.capabilities else "–"
    except BackendNotInstalled:
        return "not installed"


def markdown() -> str:
    """Return the table as Markdown."""
    header, *rows = support_table()
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""The table of docs/security.md: what was tried at which entrance, how often."""

from __future__ import annotations

from collections.abc import Mapping

ENTRANCES = ("broker", "HTTP", "record in the ledger", "parcel in the ledger", "registry")
ROWS: dict[str, tuple[str, ...]] = {
    "no signature; also as a takeover, with all attempts used, or unreadable": (
        "unsigned",
        "unsigned, as a takeover",
        "unsigned, attempts used up",
        "unsigned, not readable",
        "not readable",
    ),
    "forged: with an unknown key, or under the owner's `kid`": (
        "key that nobody knows",
        "owner's kid, own signature",
    ),
    "with a key that was revoked, has expired or is not yet valid": (
        "revoked key",
        "key that has expired",
        "key that is not valid yet",
    ),
    "cross-tenant: with another tenant's key, as another principal, also within a batch": (
        "for another tenant",
        "for another principal",
        "within a batch",
        "path of a neighbour",
        "record of a neighbour",
    ),
    "with a key that is granted less": ("of another role",),
    "wrong times: expired, not yet valid, valid for too long, without times": (
        "expired",
        "not valid yet",
        "valid for ever",
        "valid for too long",
        "without times",
        "without an end",
        "times that are none",
    ),
    "for another deployment, for several, for none": (
        "other deployment",
        "list of deployments",
        "no deployment",
    ),
    "repeated: the message, the record, the parcel, a narrower token, an older record or event": (
        "replayed",
        "replayed, out of its parcel",
        "replayed, with its event",
    ),
    "under a number of the past or the future, or in an epoch that nobody began": (
        "number of the future",
        "number of the past",
        "another epoch",
    ),
    "the signature of something else: another type, op_id, proof, path or name": (
        "of another type",
        "signature of something else",
        "other op_id beside it",
        "without op_id",
        "proof of another command",
        "path without its token",
        "parcel's proof",
        "record's proof",
        "signed message of another",
        "copied under another name",
    ),
    "`alg: none`": ("alg none", "alg none, signed"),
    "key confusion: HMAC with the public key, a key or its address in the header": (
        "HMAC by the public key",
        "own key in the header",
        "address of a key",
    ),
    "content that was changed, truncated or removed, or has one bit flipped": (
        "content changed",
        "record changed",
        "cut",
        "bit flipped",
        "proof, cut",
        "proof, a bit flipped",
        "removed",
    ),
}
_ROW_OF = {kind: row for row, kinds in ROWS.items() for kind in kinds}


def rows(tried: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """How often, by row and entrance. KeyError for a kind that stands in no row."""
    found = {row: dict.fromkeys(ENTRANCES, 0) for row in ROWS}
    for (entrance, kind), count in tried.items():
        found[_ROW_OF[kind]][entrance] += count
    return found


def markdown(tried: Mapping[tuple[str, str], int]) -> str:
    """The table as the page has it."""
    lines = [f"| attack | {' | '.join(ENTRANCES)} |", "|---" * (len(ENTRANCES) + 1) + "|"]
    for row, counts in rows(tried).items():
        cells = [str(counts[entrance] or "–") for entrance in ENTRANCES]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)

"""The terms of a policy as text for people."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from signalbox.commands.proof.signatures import Signatures
from signalbox.routing.policy.policy import Terms


def words(terms: Terms) -> dict[str, str]:
    """Describe each term, with the default where nothing is set."""
    return {
        "mode": terms.mode.value,
        "allowed": _allowed(terms) or "everything",
        "quotas": _quotas(terms) or "none",
        "prices": terms.price_table or "default",
        "signatures": terms.signatures.value,
    }


def sentence(document: dict[str, Any]) -> str:
    """Describe the terms that are set, for an event."""
    try:
        terms = Terms.model_validate(document)
    except ValidationError:
        # Of a later version: its own words are better than none.
        return " ".join(f"{name}={value}" for name, value in document.items() if value)
    prices = f"prices {terms.price_table}" if terms.price_table else ""
    signed = f"signatures {terms.signatures}" if terms.signatures is not Signatures.OFF else ""
    parts = (f"mode {terms.mode}", _allowed(terms), _quotas(terms), prices, signed)
    return "; ".join(part for part in parts if part)


def _allowed(terms: Terms) -> str:
    found = []
    for kind, rule in terms.allowed.items():
        named = rule.model_dump(exclude_none=True)
        found += [f"{kind} {what}: {', '.join(names) or 'none'}" for what, names in named.items()]
    return "; ".join(found)


def _quotas(terms: Terms) -> str:
    quotas = terms.quotas.model_dump(exclude_none=True)
    return ", ".join(f"{name} {limit}" for name, limit in quotas.items())

"""Adoption: an administrator signs anew what stands in the registry, as it is.

Needed for what was there before changes were signed, and for what a principal has set whose
signatures are to end: what its keys have signed does not count after its revocation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from signalbox.commands.error import RegistryUnreadable, SignalboxError
from signalbox.commands.scope import Scope
from signalbox.routing.policy.policy import Policy
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.proof import Verifier
from signalbox.routing.registry.records import text_of
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import Route


@dataclass(frozen=True)
class Candidate:
    """A route or policy that may be signed anew."""

    record: Route | Policy
    """The record as it stands, whatever its signature."""
    why: str
    """Why it does not count, or who has signed it."""

    @property
    def content(self) -> dict[str, Any]:
        """What would be signed."""
        if isinstance(self.record, Route):
            return self.record.target.document()
        return self.record.terms.model_dump(mode="json")


def candidates(
    registry: Registry, verifier: Verifier, signed_by: str | None = None
) -> Iterator[Candidate]:
    """Yield what does not count, or with `signed_by` what counts by that principal's signature.

    What cannot be read at all is left out; it has to be set again. Raises StateUnavailable.
    """
    # Policies first: a route is only set under one that counts.
    for name, text in registry.client.scan_hash(f"{TAG}:policies"):
        try:
            policy = Policy.model_validate_json(text)
        except (ValidationError, SignalboxError):
            continue
        if policy.tenant_id == text_of(name):
            counts = registry.policies.get_many([policy.tenant_id])[0][0]
            yield from _candidate(policy, counts, verifier, signed_by)
    for name, text in registry.client.scan_hash(f"{TAG}:routes"):
        try:
            scope, route = Scope.from_field(text_of(name)), Route.model_validate_json(text)
        except (ValidationError, ValueError, SignalboxError):
            continue
        if route.scope == scope:
            found = registry.get_many([scope])[0][0]
            yield from _candidate(route, found, verifier, signed_by)


def adopt(registry: Registry, candidate: Candidate, change: Change) -> Route | Policy:
    """Sign a candidate anew, with this process' key, as it was looked at.

    Raises what setting it raises.
    """
    record = candidate.record
    if isinstance(record, Route):
        return registry.set(record.scope, record.target, change, sign_again=True)
    return registry.policies.set(record.tenant_id, record.terms, change, sign_again=True)


def _candidate(
    record: Route | Policy,
    counts: Route | Policy | RegistryUnreadable | None,
    verifier: Verifier,
    signed_by: str | None,
) -> Iterator[Candidate]:
    if isinstance(counts, RegistryUnreadable):
        if signed_by is None:
            yield Candidate(record, counts.message)
    elif counts is not None and signed_by is not None:
        author = verifier.author_of(counts.proof)
        if author == signed_by:
            yield Candidate(record, f"signed by {signed_by}")

"""Reads and sets the policies of tenants; each change appends an event to the log."""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.commands.error import Conflict, RegistryUnreadable
from signalbox.commands.ledger.fences import FENCE_KEY
from signalbox.commands.state import State
from signalbox.routing.policy.policy import Policy, Terms, policy_after, policy_subject
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event_log import ChangeRequest, Draft, EventLog, Seen
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.proven_reads import proven_policies
from signalbox.routing.registry.records import read_value
from signalbox.routing.registry.roster_reader import RosterReader


class PolicyRegistry:
    """The policies of a registry. Thread-safe. All methods raise StateUnavailable."""

    def __init__(
        self, client: State, log: EventLog | None = None, rosters: RosterReader | None = None
    ) -> None:
        self._client = client
        self._log = log or EventLog(client)
        self._rosters = rosters

    def set(
        self,
        tenant_id: str,
        terms: Terms,
        change: Change,
        *,
        if_revision: int | None = None,
        sign_again: bool = False,
    ) -> Policy:
        """Replace the tenant's terms; workers apply them from their next claim on.

        A route that the new terms forbid is kept, and its commands are refused. `if_revision` makes
        the change conditional (0: only if there is no policy): Conflict otherwise.
        """

        def decide(seen: Seen) -> Draft | None:
            current = seen.policy.revision if seen.policy else 0
            if if_revision is not None and if_revision != current:
                raise Conflict(
                    f"the policy of {tenant_id} is at revision {current}, not {if_revision}",
                    next_step="look at it with `signalbox policy get`, and decide anew",
                )
            if seen.policy is not None and seen.policy.terms == terms and not sign_again:
                return None
            before = seen.policy.terms.model_dump(mode="json") if seen.policy else None
            return Draft(
                "policy_set",
                "policy",
                before,
                terms.model_dump(mode="json"),
                lambda event: policy_after(tenant_id, event),
            )

        asked = terms.model_dump(mode="json")
        request = ChangeRequest(
            policy_subject(tenant_id), tenant_id, change, asked, op="policy.set"
        )
        seen, event = self._log.change(request, decide)
        if event is not None:
            return policy_after(tenant_id, event)
        assert seen.policy is not None  # noqa: S101 - policies are never removed
        return seen.policy

    def get(self, tenant_id: str) -> Policy | None:
        """Return the tenant's policy, or None. Raises RegistryUnreadable."""
        policy = self.get_many([tenant_id])[0][0]
        if isinstance(policy, RegistryUnreadable):
            raise policy
        return policy

    def get_many(
        self, tenants: Sequence[str]
    ) -> list[tuple[Policy | RegistryUnreadable | None, str | None]]:
        """Return policy and fence of each tenant, None where it has none; one round trip."""
        if not tenants:
            return []
        if self._rosters is not None:
            return proven_policies(self._client, self._rosters, tenants)
        rows, fences = self._client.atomic(
            [
                ("HMGET", f"{TAG}:policies", *tenants),
                ("HMGET", FENCE_KEY, *map(policy_subject, tenants)),
            ]
        )
        return [
            (
                read_value(Policy, row, tenant_id=tenant) if row else None,
                fence.decode() if fence else None,
            )
            for tenant, row, fence in zip(tenants, rows, fences, strict=True)
        ]

    def all(self) -> list[Policy]:
        """Return all policies, ordered by tenant. Slow with many tenants: not for workers."""
        found: dict[str, Policy] = {}
        for _, row in self._client.scan_hash(f"{TAG}:policies"):
            policy = Policy.model_validate_json(row)
            found[policy.tenant_id] = policy
        return [found[tenant_id] for tenant_id in sorted(found)]

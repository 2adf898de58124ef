"""Admission of reads: which may run now and on which route, for many reads in one round trip."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from signalbox.commands.error import RateLimited, SignalboxError
from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.model import Command
from signalbox.commands.proof.trust import trust_of
from signalbox.commands.scope import Mode, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect_to
from signalbox.gateway.read_claim import ReadClaims, claim_reads
from signalbox.gateway.read_rate import ReadRates
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.admission import Admission
from signalbox.workers.execution.archive_reads import withhold
from signalbox.workers.execution.breakers import Breakers
from signalbox.workers.execution.pipeline_types import Admitted, Ended
from signalbox.workers.execution.route_resolution import resolve, terms_of

Timed = tuple[Command, float]
"""A read, and the seconds that it may run for."""
MAX_DECISIONS = 4096
"""Maximum number of decisions that are kept, each about a set of scopes that are read together."""


@dataclass(frozen=True)
class _Decision:
    """Under which answers of the state some reads were admitted, and as what."""

    answers: Sequence[Any]
    seen: Position | None
    admitted: Mapping[tuple[Scope, Mode], Admitted]
    """A read of each scope and mode that was admitted."""


class ReadAdmission:
    """The steps of `workers/executor.py` from claim to quota, for reads. Thread-safe."""

    def __init__(self, state: State, settings: Settings, breakers: Breakers) -> None:
        self._state = state
        self._registry = Registry(state, trust_of(settings))
        self._routes = RouteCache(self._registry, self._registry.policies)
        self._tail = LogFollower(
            self._routes, EventLog(connect_to(settings)), self._registry.rosters
        )
        self._tail.start()
        self._breakers = breakers
        self._rates = ReadRates()
        self._decisions: dict[Hashable, _Decision] = {}

    def admit_many(self, asked: Sequence[Timed]) -> list[Admitted | Ended]:
        """Return for each read its admission with a route, or its end, in order.

        Raises StateUnavailable.
        """
        seen = self._routes.position
        found = claim_reads(self._state, [c for c, _ in asked], [s for _, s in asked])
        ended: list[Ended] = []
        admitted = self._admit_again(found, seen)
        if admitted is None:
            admitted, ended = self._admit_anew(found, seen)
        awake, resting = self._breakers.screen(admitted)
        ended += resting
        ready: list[Admitted] = []
        for item in awake:
            command = item.claimed.command
            try:
                self._rates.check(item, found.buckets[command.tenant_id, command.env])
                ready.append(item)
            except RateLimited as error:
                ended.append(Ended(item.claimed, item.route, error=error))
        if len(ready) == len(asked):
            return list[Admitted | Ended](ready)
        by_claim: dict[int, Admitted | Ended] = {id(each.claimed): each for each in ended}
        by_claim |= {id(item.claimed): item for item in ready}
        return [by_claim[id(claimed)] for claimed in found.claims.claimed]

    def _admit_anew(
        self, found: ReadClaims, seen: Position | None
    ) -> tuple[list[Admitted], list[Ended]]:
        claims, ended = withhold(found.claims, shards_of(self._state))
        policies = terms_of(claims, seen, self._routes, self._registry)
        routed, unrouted = resolve(claims, policies, self._routes, self._registry)
        ended += unrouted
        admission, admitted = Admission(), list[Admitted]()
        for each in routed:
            try:
                admitted.append(admission.admit(each))
            except SignalboxError as error:
                ended.append(Ended(each.claimed, each.route, error=error))
        if not ended:
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            kept = {(item.route.scope, item.claimed.command.mode): item for item in admitted}
            self._decisions[found.about] = _Decision(found.answers, seen, kept)
        return admitted, ended

    def _admit_again(self, found: ReadClaims, seen: Position | None) -> list[Admitted] | None:
        """Admit reads as the last ones of the same scopes; None if anything is not as it was.

        Routes and policies are the same if the state has answered the same fences.
        """
        last = self._decisions.get(found.about)
        if (
            last is None
            or last.seen != seen
            or last.answers != found.answers
            or self._routes.distrusted
        ):
            return None
        admitted: list[Admitted] = []
        for claimed in found.claims.claimed:
            command = claimed.command
            as_this = last.admitted.get((command.scope, command.mode))
            if as_this is None or command.deadline is not None:
                return None
            admitted.append(
                Admitted(claimed, as_this.route, as_this.backend, as_this.mode, as_this.quotas)
            )
        return admitted

    def close(self) -> None:
        """Stop following the route log."""
        self._tail.stop()

"""The executor: runs the commands of a message in a worker, step by step from claim to finish.

An error of one command ends only that command. An exception that is not a SignalboxError aborts the
whole message; nothing is recorded then, and the commands run again when their leases expire.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from signalbox.commands.fault import reach
from signalbox.commands.ledger.entry import Apart, Claims, Ticket
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.ledger.usage import UsageBook
from signalbox.commands.wire import Message
from signalbox.producers.broker.publisher import Publisher
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.permit import Permits
from signalbox.routing.registry.records import Position
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.adapter_pool import AdapterPool
from signalbox.workers.execution.admission import admit_all
from signalbox.workers.execution.archive_reads import withhold
from signalbox.workers.execution.breakers import Breakers
from signalbox.workers.execution.completer import Completer
from signalbox.workers.execution.control_commands import ControlRunner, split_controls
from signalbox.workers.execution.message_finish import MessageFinish
from signalbox.workers.execution.pipeline_types import Ended
from signalbox.workers.execution.proof_check import ProofCheck
from signalbox.workers.execution.quota_check import give_back, within_quotas
from signalbox.workers.execution.route_resolution import resolve, terms_of
from signalbox.workers.execution.slots import Slot, Slots
from signalbox.workers.execution.state_retry import wait_for_state
from signalbox.workers.execution.tenant_activity import TenantActivity
from signalbox.workers.execution.unknown_tenants import UnknownTenants
from signalbox.workers.suspects.suspect_runner import SuspectRunner


@dataclass(frozen=True)
class Executor:
    """Runs the commands of messages. There is one per process; it is thread-safe."""

    worker: str
    """Name of the worker, recorded with every claim and outcome."""
    ledger: Ledger
    """Where commands are claimed."""
    usage: UsageBook
    """Where quotas are checked and rate tokens are taken."""
    breakers: Breakers
    """Circuit breakers of the backends that this process uses."""
    registry: Registry
    """Where routes are read and changed."""
    routes: RouteCache
    """Cache of routes and policies."""
    adapters: AdapterPool
    """Open adapters, and the threads that commands run on."""
    completer: Completer
    """Records outcomes."""
    publisher: Publisher
    """Publishes messages for the commands that a finish allows to run."""
    suspects: SuspectRunner | None
    """Runs suspects in a child process; None in a process that runs one message at a time, which
    runs suspects itself."""
    tenant_activity: TenantActivity
    """Tells whether several tenants were active lately."""
    slots: Slots
    """The slots of the worker that this process uses."""
    permits: Permits
    """Permits that reserved streams need."""
    controls: ControlRunner
    """Runs changes of routes, and probes."""
    proofs: ProofCheck | None = None
    """Verifies who signed what; None where nothing is signed."""
    unknown_tenants: UnknownTenants | None = None
    """Refuses what messages bring for tenants that nobody has set up; None where signatures are
    required, and only what is proven comes so far."""

    def execute(self, message: Message) -> dict[str, int]:
        """Claim and run the commands of a message; return the number of commands by how they ended.

        Waits and retries while the state Redis is unavailable; every step may be repeated.
        """
        with self.slots.taken() as slot:
            counts, suspects = self._execute(slot, message, uuid.uuid4().hex, Apart.NO)
        if self.suspects is None:
            for ticket in suspects:
                ran = self.execute_suspect(ticket, uuid.uuid4().hex, Apart.UNWATCHED)
                counts = dict(Counter(counts) + Counter(ran))
        return counts

    def execute_suspect(self, ticket: Ticket, token: str, apart: Apart) -> dict[str, int]:
        """Run one suspect, claimed under `token`; it may kill this process.

        Return as `execute` does.
        """
        with self.slots.taken() as slot:
            return self._execute(slot, Message([ticket]), token, apart)[0]

    def _execute(
        self, slot: Slot, message: Message, token: str, apart: Apart
    ) -> tuple[dict[str, int], list[Ticket]]:
        reach("claim.before")
        if self.proofs is not None:
            message = wait_for_state(partial(self.proofs.entrance, message))
        if self.unknown_tenants is not None:
            message = wait_for_state(partial(self.unknown_tenants.entrance, message))
        wait_for_state(lambda: self.completer.bury(message.faults))
        if not message.tickets and not message.carried:
            return {}, []  # nothing was asked that would say where the registry is
        seen = self.routes.position
        claims = wait_for_state(lambda: self._claim(message, token, apart))
        reach("claim.after")
        if claims.suspects and self.suspects:
            self.suspects.take(claims.suspects)
        return self.run(slot, token, claims, seen), claims.suspects

    def run(self, slot: Slot, token: str, claims: Claims, seen: Position | None) -> dict[str, int]:
        """Run commands claimed under `token`, or taken in parcels; return counts as `execute` does.

        `seen` is the registry's position that this process knew before the claim was sent.
        """
        claims, withheld = withhold(claims, self.ledger.shards)
        unproven: list[Ended] = []
        if self.proofs is not None:
            claims, unproven = wait_for_state(partial(self.proofs.check, claims))
        policies = wait_for_state(partial(terms_of, claims, seen, self.routes, self.registry))
        if self.proofs is not None:
            asked = partial(self.proofs.check_policies, claims, policies.terms)
            claims, more = wait_for_state(asked)
            unproven += more
        line, controls = split_controls(claims)
        resolved = partial(resolve, line, policies, self.routes, self.registry)
        routed, unrouted = wait_for_state(resolved)
        admitted, refused = wait_for_state(lambda: admit_all(routed, self.permits))
        awake, resting = self.breakers.screen(admitted)
        ready, put_back = self.slots.share(slot, awake)
        allowed, limited = wait_for_state(lambda: within_quotas(ready, self.usage))
        finish = partial(self._finish, token)
        unrun = withheld + unproven + unrouted + refused + resting + put_back + limited
        message_finish = MessageFinish(finish, claims, unrun)
        ran = self.breakers.run(allowed, self.adapters.run, message_finish.early)
        wait_for_state(lambda: give_back(allowed, ran, self.usage))
        controlled = wait_for_state(lambda: self.controls.run(controls))
        reach("effect.after")
        counts = message_finish.last(ran + controlled)
        reach("finish.after")
        return counts

    def _claim(self, message: Message, token: str, apart: Apart) -> Claims:
        return self.ledger.claim(
            message.tickets,
            carried=message.carried,
            token=token,
            worker=self.worker,
            apart=apart,
        )

    def _finish(self, token: str, claims: Claims, ended: Sequence[Ended]) -> dict[str, int]:
        crowded = self.tenant_activity.beside({end.claimed.command.tenant_id for end in ended})
        finished, counts = wait_for_state(
            lambda: self.completer.finish(token, claims, ended, crowded=crowded)
        )
        self.publisher.publish_or_leave(finished.wakes)
        return counts

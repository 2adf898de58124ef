"""Unknown tenants: refuses commands that a message brings for a tenant that nobody has set up.

Whoever can write to the broker can invent tenants. Recorded as commands, theirs would become dead
letters that stay until someone purges them, of any number. Refused here, they are kept as evidence
within the bounds of messages that are no commands, and take no op_id.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from signalbox.commands.error import RouteNotFound, SignalboxError
from signalbox.commands.ledger.entry import Intent
from signalbox.commands.model import Command
from signalbox.commands.routing import ControlCommand
from signalbox.commands.wire import Fault, Message
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.tenant_lookup import tenants_without_records
from signalbox.routing.route import no_route
from signalbox.workers.execution.admission import control_refused
from signalbox.workers.execution.control_commands import ControlRunner

MAX_KNOWN = 100_000
"""Maximum number of tenants that a process remembers."""


@dataclass(frozen=True)
class UnknownTenants:
    """Looks for the tenants of messages in the registry. Thread-safe; one per process."""

    registry: Registry
    """Where tenants are looked for."""
    routes: RouteCache
    """Tells whether the registry has lost changes: nobody is refused for that."""
    controls: ControlRunner
    """Says which changes of routes, and probes, would be refused."""
    _known: set[str] = field(default_factory=set)
    """Tenants that were found: their messages cost no round trip. One whose last route is deleted
    meanwhile gets the dead letters of a known tenant."""

    def entrance(self, message: Message) -> Message:
        """Return the message with a fault in place of each whole command of an unknown tenant.

        Commands that a message names are in the ledger already, and stay. Raises StateUnavailable.
        """
        scopes = {
            intent.command.scope
            for intent in message.carried
            if intent.command.tenant_id not in self._known
        }
        if not scopes or self.routes.distrusted:
            return message
        unknown = tenants_without_records(self.registry, scopes, self.routes.position)
        self._remember({scope.tenant_id for scope in scopes} - unknown)
        if not unknown:
            return message
        commands = [i.command for i in message.carried if i.command.tenant_id in unknown]
        refused = self.controls.refused([c for c in commands if isinstance(c, ControlCommand)])
        carried: list[Intent] = []
        faults: list[Fault] = []
        for intent in message.carried:
            command = intent.command
            allowed = isinstance(command, ControlCommand) and command.ref not in refused
            if command.tenant_id not in unknown or allowed:
                carried.append(intent)
            else:
                document = command.model_dump(mode="json")
                faults.append(Fault(command.ref, command.op, document, _error(command)))
        return replace(message, carried=carried, faults=[*message.faults, *faults])

    def _remember(self, tenants: set[str]) -> None:
        if len(self._known) + len(tenants) > MAX_KNOWN:
            self._known.clear()
        self._known.update(tenants)


def _error(command: Command) -> SignalboxError:
    if isinstance(command, ControlCommand):
        return control_refused(command)
    scope = command.scope
    return RouteNotFound(
        f"No route configured for {scope}: the tenant {scope.tenant_id} has no route and no policy",
        kind=scope.kind,
        tenant_id=scope.tenant_id,
        env=scope.env,
        next_step=f"{no_route(scope).next_step}. Then have it sent again, under the same op_id",
    )

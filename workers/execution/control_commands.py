"""Control commands: changes of routes, and probes. They are not run on the backend of a route."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from signalbox.commands.error import SignalboxError
from signalbox.commands.ledger.entry import Claimed, Claims
from signalbox.commands.model import Command
from signalbox.commands.routing import ControlCommand, ProbeRoute, RouteCommand
from signalbox.commands.settings import Settings
from signalbox.routing import route_commands
from signalbox.routing.registry.permit import Permits
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.admission import check_deadline, control_refused
from signalbox.workers.execution.backend_probe import Prober
from signalbox.workers.execution.pipeline_types import Ended


def split_controls(claims: Claims) -> tuple[Claims, list[Claimed]]:
    """Return the claims without their control commands, and these."""
    controls = [item for item in claims.claimed if isinstance(item.command, ControlCommand)]
    if not controls:
        return claims, []
    others = [item for item in claims.claimed if not isinstance(item.command, ControlCommand)]
    return replace(claims, claimed=others), controls


@dataclass(frozen=True)
class ControlRunner:
    """Runs control commands."""

    settings: Settings
    """Says whether changes of routes are accepted from the queue."""
    registry: Registry
    """Where routes are changed."""
    permits: Permits
    """Permits that probes need."""
    prober: Prober
    """Probes backends."""

    def refused(self, commands: Sequence[Command]) -> set[str]:
        """Return the refs of those that a sender who may only write to the queue may not have run.

        Raises StateUnavailable.
        """
        if self.settings.control_commands != "refuse":
            return set()
        lacking = self.permits.lacking([c for c in commands if isinstance(c, ProbeRoute)])
        return lacking | {c.ref for c in commands if isinstance(c, RouteCommand)}

    def run(self, controls: Sequence[Claimed]) -> list[Ended]:
        """Run the commands, and return their ends. Raises StateUnavailable."""
        refused = self.refused([item.command for item in controls])
        ended: list[Ended] = []
        for item in controls:
            try:
                check_deadline(item)
                if item.command.ref in refused:
                    raise control_refused(item.command)
                if isinstance(item.command, RouteCommand):
                    result = route_commands.apply(item.command, self.registry)
                    ended.append(Ended(item, result=result))
                elif isinstance(item.command, ProbeRoute):
                    answer = self.prober.probe(item)
                    ended.append(Ended(item, result=answer.model_dump(mode="json")))
            except SignalboxError as error:
                if error.temporary:
                    raise
                ended.append(Ended(item, error=error))
        return ended

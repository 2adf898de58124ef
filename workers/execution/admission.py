"""Admission: checks that a command may run on the backend of its route, before any effect."""

from __future__ import annotations

from collections.abc import Sequence

from signalbox.adapters.catalogue import Backend, find_backend
from signalbox.commands.error import ControlRefused, DeadlineExceeded, SignalboxError
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.model import Command
from signalbox.commands.scope import Mode
from signalbox.routing.policy.mode_check import check_mode
from signalbox.routing.policy.policy import Terms, check_place
from signalbox.routing.registry.permit import Permits, is_reserved, reserved_stream
from signalbox.routing.route import Route
from signalbox.workers.execution.pipeline_types import Admitted, Ended, Routed


def admit_all(routed: Sequence[Routed], permits: Permits) -> tuple[list[Admitted], list[Ended]]:
    """Return the admitted commands, and the ends of the others. Raises StateUnavailable."""
    admitted: list[Admitted] = []
    ended: list[Ended] = []
    reserved = [i.claimed.command for i in routed if is_reserved(i.claimed.command)]
    lacking = permits.lacking(reserved)
    admission = Admission()
    for item in routed:
        try:
            if item.claimed.command.ref in lacking:
                raise reserved_stream(item.claimed.command)
            admitted.append(admission.admit(item))
        except SignalboxError as error:
            ended.append(Ended(item.claimed, item.route, error=error))
    return admitted, ended


class Admission:
    """Admits the commands of one message.

    Commands with the same route and mode are checked once.
    """

    def __init__(self) -> None:
        self._checked: dict[tuple[int, int, Mode], tuple[Backend, Mode]] = {}

    def admit(self, routed: Routed) -> Admitted:
        """Return the admitted command.

        Raises BackendNotImplemented, UnknownBackend, ForbiddenBackend, PolicyForbids and
        DeadlineExceeded.
        """
        check_deadline(routed.claimed)
        route, terms, mode = routed.route, routed.terms, routed.claimed.command.mode
        alike = (id(route), id(terms), mode)
        if (checked := self._checked.get(alike)) is None:
            checked = self._checked[alike] = _check(route, terms, mode)
        return Admitted(routed.claimed, route, *checked, terms.quotas)


def _check(route: Route, terms: Terms, mode: Mode) -> tuple[Backend, Mode]:
    """Return the backend and the strictest of the modes.

    A route is checked when it is set. It is checked again here because the command has a mode of
    its own, the tenant's policy may be newer than the route, and this worker's catalogue may differ
    from the operator's.
    """
    backend = find_backend(route.scope.kind, route.backend_type)
    modes = (route.mode, terms.mode, mode)
    check_mode(route.scope, backend, *modes)
    check_place(route.scope, terms, route.backend_type, route.config)
    return backend, next((mode for mode in modes if mode.sellable), Mode.LAB)


def check_deadline(claimed: Claimed) -> None:
    """Raise DeadlineExceeded if the command was claimed after its deadline."""
    deadline = claimed.command.deadline
    if deadline is not None and claimed.claimed_at >= deadline:
        earlier = "; an earlier attempt may have had its effect" if claimed.takeover else ""
        raise DeadlineExceeded(
            f"its turn came after its deadline {deadline.isoformat()}{earlier}",
            next_step="submit it under a new op_id with a later deadline, if it is still wanted",
        )


def control_refused(command: Command) -> ControlRefused:
    """Return the error for a control command from a sender who may only write to the queue."""
    return ControlRefused(
        f"{command.op} came from the queue, and workers here take none from there",
        kind=command.kind,
        tenant_id=command.tenant_id,
        env=command.env,
        next_step="use `signalbox routes`, which needs the state Redis alone; or have the operator "
        "set SIGNALBOX_CONTROL_COMMANDS=take on a worker of its own (docs/security.md)",
    )

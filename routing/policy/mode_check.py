"""The mode guard: lab-only backends, such as the filesystem, are refused in production modes."""

from __future__ import annotations

from signalbox.adapters.catalogue import Backend
from signalbox.commands.error import ForbiddenBackend
from signalbox.commands.scope import Mode, Scope


def check_mode(scope: Scope, backend: Backend, *modes: Mode) -> None:
    """Raise ForbiddenBackend if the backend is lab-only and any of the modes is not `lab`.

    Callers pass every mode that applies (the route's, the policy's and the command's), so a command
    cannot evade the guard by claiming `lab`.
    """
    sellable = [mode for mode in modes if mode.sellable]
    if backend.lab_only and sellable:
        raise ForbiddenBackend(
            f"backend {backend.backend_type} is forbidden in mode {sellable[0]}",
            kind=scope.kind,
            tenant_id=scope.tenant_id,
            env=scope.env,
            backend_type=backend.backend_type,
            next_step=f"route {scope.kind} of this tenant to a cloud backend, such as s3",
        )

"""Which backends a mode forbids: the filesystem is for the lab, not for what is sold."""

from __future__ import annotations

from signalbox.adapters.catalogue import Backend
from signalbox.commands.error import ForbiddenBackend
from signalbox.commands.scope import Mode, Scope


def check_mode(scope: Scope, backend: Backend, *modes: Mode) -> None:
    """Raise ForbiddenBackend if any of the modes is sellable and the backend is for the lab.

    All modes that are known of count (the route's, the command's): the stricter one holds, so
    a caller cannot get out of the guard by claiming `lab`.
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

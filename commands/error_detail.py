"""An error as data, as it travels between processes."""

from __future__ import annotations

from pydantic import ConfigDict

from signalbox.commands.documented import Documented


class ErrorDetail(Documented):
    """An error as data, in outcomes, audit records and `--json` output."""

    model_config = ConfigDict(frozen=True)

    code: str
    """Stable code of the error, such as `NOT_FOUND`."""
    message: str
    """What happened, for people."""
    http_status: int
    """HTTP status that corresponds to the error."""
    temporary: bool
    """True if the same command may succeed when it is tried again."""
    kind: str | None = None
    """Kind of resource that the error concerns, if known."""
    tenant_id: str | None = None
    """Tenant that the error concerns, if known."""
    env: str | None = None
    """Env that the error concerns, if known."""
    backend_type: str | None = None
    """Backend that the error concerns, if known."""
    next_step: str | None = None
    """What to do about it, for people."""
    retry_after: float | None = None
    """Seconds after which to try again, if known."""

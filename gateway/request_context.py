"""Parameters common to all requests: tenant, env, mode, op_id and how long to wait."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request

from signalbox.commands.model import OP_ID_PATTERN, new_op_id
from signalbox.commands.scope import Mode, check_env, check_tenant
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import EnvPart, TenantPart

DEFAULT_ENV = "dev"
LONGEST_WAIT = timedelta(minutes=5)
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?", re.ASCII)

ModeHeader = Annotated[Mode, Header(alias="X-Mode", description="Mode the tenant runs under.")]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=f"^{OP_ID_PATTERN}$",
        description="The op_id: sent again with it, the same request takes effect once.",
    ),
]
PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer", description="`respond-async`: answer 202 at once; `wait=10`: after 10 s."
    ),
]
AfterHeader = Annotated[
    str | None,
    Header(
        alias="X-After",
        pattern=f"^{OP_ID_PATTERN}$",
        description="Read what stands behind the command of this op_id.",
    ),
]


def services_of(request: Request) -> Services:
    """Return the services of the gateway."""
    services: Services = request.app.state.services
    return services


async def _services(request: Request) -> Services:
    # A plain function would be run on another thread each time.
    return services_of(request)


@dataclass(frozen=True)
class Caller:
    """The tenant, env and mode of a request."""

    tenant_id: str
    """The tenant."""
    env: str
    """The env."""
    mode: Mode
    """The mode."""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that every command of this request has."""
        return {"tenant_id": self.tenant_id, "env": self.env, "mode": self.mode}


@dataclass(frozen=True)
class WriteOptions:
    """How a write is to be run."""

    op_id: str
    """The command's op_id."""
    wait: timedelta
    """How long to wait for its outcome."""


async def _caller(
    tenant: Annotated[TenantPart, Path(description="Tenant, `t_` and a name.")],
    env: Annotated[EnvPart, Path(description="Env, such as `dev`.")],
    mode: ModeHeader = Mode.LAB,
) -> Caller:
    return Caller(check_tenant(tenant), check_env(env), mode)


async def _header_caller(
    tenant: Annotated[
        str | None,
        Header(alias="X-Tenant-Id", examples=["t_demo"], description="Tenant, `t_` and a name."),
    ] = None,
    env: Annotated[str, Header(alias="X-Env", description="Env.")] = DEFAULT_ENV,
    mode: ModeHeader = Mode.LAB,
) -> Caller:
    return caller_from_headers(tenant, env, mode)


def caller_from_headers(tenant: str | None, env: str, mode: Mode) -> Caller:
    """Return the caller that the headers name. Raises InvalidRequest and InvalidScope."""
    if tenant is None:
        raise InvalidRequest(
            "the request names no tenant", next_step="send the header X-Tenant-Id: t_<name>"
        )
    return Caller(check_tenant(tenant), check_env(env), mode)


async def _writing(
    request: Request, named: KeyHeader = None, prefer: PreferHeader = None
) -> WriteOptions:
    return WriteOptions(named or new_op_id(), wait_of(prefer, services_of(request).own.wait))


async def _wait(request: Request, prefer: PreferHeader = None) -> timedelta:
    return wait_of(prefer, services_of(request).own.wait)


def wait_of(prefer: str | None, default: timedelta) -> timedelta:
    """Return how long to wait for an outcome, as the header Prefer says (RFC 7240)."""
    if prefer is None:
        return default
    # A wish may have parameters after a semicolon, which mean nothing here.
    wishes = [wish.partition(";")[0].strip().lower() for wish in prefer.split(",")]
    if "respond-async" in wishes:
        return timedelta(0)
    for wish in wishes:
        if said := _WAIT.fullmatch(wish):
            return min(timedelta(seconds=int(said[1])), LONGEST_WAIT)
    return default


ServicesDep = Annotated[Services, Depends(_services)]
CallerDep = Annotated[Caller, Depends(_caller)]
HeaderCallerDep = Annotated[Caller, Depends(_header_caller)]
WriteOptionsDep = Annotated[WriteOptions, Depends(_writing)]
WaitDep = Annotated[timedelta, Depends(_wait)]

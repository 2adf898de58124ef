"""The operation of each call of the HTTP API, and where the call says for which tenant and env.

`ROLE_OPS` (commands/proof/principal.py) has the operations of each role; a call may be made by
those whose roles have its operation there. `tests/gateway/test_roles.py` walks all calls and roles:
a call without a row is refused where principals are required, and fails that test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import compile_path

from signalbox.commands.scope import check_env, check_tenant
from signalbox.gateway.error import InvalidRequest
from signalbox.gateway.identity import Identity
from signalbox.gateway.request_context import DEFAULT_ENV
from signalbox.gateway.url_text import decoded

Headers = dict[bytes, bytes]


class At(Enum):
    """Where a call says for which tenant and env it is."""

    PATH = "path"
    """`{tenant}`, and `{env}` if it has one, of the path; all envs without."""
    HEADER = "header"
    """X-Tenant-Id and X-Env."""
    TENANT_QUERY = "tenant query"
    """`tenant`, if it is given; all tenants without, and all envs."""
    QUERY = "query"
    """`tenant` and `env`, as far as they are given; all of them without."""
    ALL = "all"
    """Nowhere: it concerns all tenants."""
    HANDLER = "handler"
    """In its body, or in what it finds: its handler checks, see `authorize`."""
    NOWHERE = "nowhere"
    """It concerns none, and is anyone's who has a role."""


@dataclass(frozen=True)
class Call:
    """What a call of the HTTP API needs."""

    op: str
    """The operation; empty for one that depends on what the handler finds."""
    at: At = At.PATH
    """Where it says for which tenant and env."""


_OBJECTS, _ROW = "/v1/objects/{tenant}/{env}", "/v1/rows/{tenant}/{env}/{table}/{key}"
_STREAM = "/v1/streams/{tenant}/{env}/{stream}"
_ROUTE, _LOCK = "/v1/routes/{kind}/{tenant}/{env}", "/v1/locks/{kind}/{tenant}/{env}"

CALLS: dict[tuple[str, str], Call] = {
    ("GET", _OBJECTS): Call("object_store.list"),
    ("GET", _OBJECTS + "/{key:path}"): Call("object_store.get"),
    ("HEAD", _OBJECTS + "/{key:path}"): Call("object_store.head"),
    ("PUT", _OBJECTS + "/{key:path}"): Call("object_store.put"),
    ("DELETE", _OBJECTS + "/{key:path}"): Call("object_store.delete"),
    ("POST", "/v1/presign-get/{tenant}/{env}"): Call("object_store.presign_get"),
    ("POST", "/v1/presign-put/{tenant}/{env}"): Call("object_store.presign_put"),
    ("POST", "/v1/presign-post/{tenant}/{env}"): Call("object_store.presign_post"),
    ("GET", "/v1/uri/{tenant}/{env}/{key:path}"): Call("object_store.uri"),
    ("POST", "/v1/register/{tenant}/{env}"): Call("object_store.register"),
    ("GET", _ROW): Call("tabular_store.get"),
    ("PUT", _ROW): Call("tabular_store.upsert"),
    ("DELETE", _ROW): Call("tabular_store.delete"),
    ("POST", "/v1/queries/{tenant}/{env}/{table}"): Call("tabular_store.query"),
    ("GET", "/v1/tables/{tenant}/{env}"): Call("tabular_store.list_tables"),
    ("POST", "/v1/points/{tenant}/{env}"): Call("metrics_store.ingest"),
    ("POST", "/v1/point-queries/{tenant}/{env}/{series}"): Call("metrics_store.query"),
    ("GET", "/v1/series/{tenant}/{env}"): Call("metrics_store.list_series"),
    ("GET", "/v1/streams/{tenant}/{env}"): Call("event_stream.list_streams"),
    ("POST", _STREAM): Call("event_stream.append"),
    ("GET", _STREAM): Call("event_stream.read"),
    ("GET", _STREAM + "/tail"): Call("event_stream.read"),
    ("POST", "/nexus/raw/put"): Call("object_store.put", At.HEADER),
    ("GET", "/nexus/raw/get"): Call("object_store.get", At.HEADER),
    ("POST", "/storage/tabular/{table}/upsert"): Call("tabular_store.upsert", At.HEADER),
    ("POST", "/storage/metrics/{series}/ingest"): Call("metrics_store.ingest", At.HEADER),
    ("POST", "/storage/timeline/{stream}/append"): Call("event_stream.append", At.HEADER),
    ("POST", "/routing/routes"): Call("routing.set", At.HANDLER),
    ("POST", "/v1/commands"): Call("", At.HANDLER),
    ("GET", "/v1/outcomes/{tenant}/{env}/{op_id}"): Call(""),
    ("GET", "/v1/schemas"): Call("", At.NOWHERE),
    ("GET", "/v1/status"): Call("status.read", At.ALL),
    ("POST", "/v1/diagnostics/{tenant}/{env}"): Call("routing.probe"),
    ("GET", "/v1/routes/{kind}"): Call("registry.read", At.TENANT_QUERY),
    ("GET", _ROUTE): Call("registry.read"),
    ("PUT", _ROUTE): Call("routing.set"),
    ("DELETE", _ROUTE): Call("routing.delete"),
    ("POST", _ROUTE + "/switch"): Call("routing.switch"),
    ("GET", _ROUTE + "/history"): Call("registry.read"),
    ("GET", _ROUTE + "/drain"): Call("registry.read"),
    ("GET", _LOCK): Call("registry.read"),
    ("PUT", _LOCK): Call("routing.lock"),
    ("DELETE", _LOCK): Call("routing.unlock"),
    ("GET", "/v1/policies"): Call("registry.read", At.ALL),
    ("GET", "/v1/policies/{tenant}"): Call("registry.read"),
    ("PUT", "/v1/policies/{tenant}"): Call("policy.set"),
    ("GET", "/v1/principals"): Call("registry.read", At.ALL),
    ("GET", "/v1/principals/{name}"): Call("registry.read", At.ALL),
    ("POST", "/v1/principals"): Call("principal.change", At.ALL),
    ("POST", "/v1/principals/{name}/grant"): Call("principal.change", At.ALL),
    ("POST", "/v1/principals/{name}/rotate"): Call("principal.change", At.ALL),
    ("POST", "/v1/principals/{name}/revoke"): Call("principal.change", At.ALL),
    ("GET", "/v1/audit"): Call("audit.read", At.TENANT_QUERY),
    ("GET", "/v1/dead-letters"): Call("dead_letter.read", At.QUERY),
    ("GET", "/v1/dead-letters/{tenant}/{env}/{op_id}"): Call("dead_letter.read"),
    ("POST", "/v1/dead-letters/replay"): Call("dead_letter.replay", At.HANDLER),
    ("POST", "/v1/dead-letters/purge"): Call("dead_letter.purge", At.HANDLER),
}
"""What each call needs, by method and path; those of `access.OPEN` need nothing."""


class Permissions:
    """Checks calls by `CALLS`."""

    def __init__(self, knows: Callable[[str, str], bool]) -> None:
        """`knows` says whether the application has a handler for a method and path."""
        self._knows = knows
        self._by_root: dict[tuple[str, str], list[tuple[re.Pattern[str], Call]]] = {}
        for (method, path), call in CALLS.items():
            self._by_root.setdefault((method, _root(path)), []).append(
                (compile_path(path)[0], call)
            )

    def check(
        self, identity: Identity, method: str, path: str, headers: Headers, query: bytes
    ) -> None:
        """Raise NotGranted unless they may make this call.

        Raises InvalidRequest and InvalidScope for a tenant or env that is none. What the
        application does not have passes, and is answered by it.
        """
        for pattern, call in self._by_root.get((method, _root(path)), ()):
            if (match := pattern.fullmatch(path)) is not None:
                _check(identity, call, match.groupdict(), headers, query)
                return
        if self._knows(method, path):
            identity.check(f"{method} {path}", None, None)


def _check(
    identity: Identity, call: Call, parts: dict[str, Any], headers: Headers, query: bytes
) -> None:
    if call.at is At.NOWHERE:
        return
    if call.at is At.HANDLER:
        if call.op:
            identity.check_any(call.op)
        return
    for tenant, env in _scopes(call.at, parts, headers, query):
        if call.op:
            identity.check(call.op, tenant, env)
        else:
            identity.check_place(tenant, env)


def _scopes(
    at: At, parts: dict[str, Any], headers: Headers, query: bytes
) -> list[tuple[str | None, str | None]]:
    if at is At.PATH:
        env = parts.get("env")
        return [(check_tenant(decoded(parts["tenant"])), env and check_env(decoded(env)))]
    if at is At.HEADER:
        tenant = headers.get(b"x-tenant-id")
        if tenant is None:
            raise InvalidRequest(
                "the request names no tenant", next_step="send the header X-Tenant-Id: t_<name>"
            )
        said = headers.get(b"x-env", DEFAULT_ENV.encode())
        return [(check_tenant(tenant.decode("latin-1")), check_env(said.decode("latin-1")))]
    if at is At.ALL:
        return [(None, None)]
    # Each that is given, whichever of them a handler would take.
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    tenants: list[str | None] = [check_tenant(value) for name, value in given if name == "tenant"]
    envs: list[str | None] = [
        check_env(value) for name, value in given if name == "env" and at is At.QUERY
    ]
    return [(tenant, env) for tenant in tenants or [None] for env in envs or [None]]


def _root(path: str) -> str:
    """The part of a path that rows of the table share: its first two segments."""
    return "/".join(path.split("/", 3)[:3])

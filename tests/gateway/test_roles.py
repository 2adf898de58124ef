"""Who may make which call: each of the document, by each role, for their tenant and others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from signalbox.commands.proof.principal import Role
from signalbox.gateway import operations
from signalbox.gateway.access import OPEN
from signalbox.gateway.app import ROUTERS
from signalbox.gateway.openapi import document
from signalbox.gateway.permissions import CALLS
from tests.gateway.principals import ADMIN, KEYS, WIDE, Guarded, guarded, token

READS, WRITES = "reader producer admin", "producer admin"
OPERATES, LOOKS = "operator admin", "operator auditor admin"
ALL = "reader producer operator auditor admin"
ROUTE = {"backend_type": "filesystem", "config": {"base_dir": "/srv/data"}, "reason": "r"}
POINTS = {"points": [{"series": "s", "timestamp": "2026-01-01T00:00:00Z", "value": 1}]}
SPAN = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
ADD = {"name": "new", "roles": ["reader"], "tenants": ["t_acme"], "reason": "r"}
LOCK, POLICY = {"reason": "r"}, {"terms": {}, "reason": "r"}

# Who may, the status of those who may, and the body; `*` where it depends on other servers.
ROLES: dict[str, tuple[str, int | None, Any]] = {
    "GET /v1/objects/{tenant}/{env}": (READS, 200, None),
    "GET /v1/objects/{tenant}/{env}/{key}": (READS, 200, None),
    "HEAD /v1/objects/{tenant}/{env}/{key}": (READS, 200, None),
    "PUT /v1/objects/{tenant}/{env}/{key}": (WRITES, 200, "text"),
    "DELETE /v1/objects/{tenant}/{env}/{key}": (WRITES, 200, None),
    "POST /v1/presign-get/{tenant}/{env}": (READS, 200, {"key": "k"}),
    "POST /v1/presign-put/{tenant}/{env}": (WRITES, 200, {"key": "k"}),
    "POST /v1/presign-post/{tenant}/{env}": (WRITES, 200, {"key": "k"}),
    "GET /v1/uri/{tenant}/{env}/{key}": (READS, 200, None),
    "POST /v1/register/{tenant}/{env}": (WRITES, 200, {"key": "k"}),
    "GET /v1/rows/{tenant}/{env}/{table}/{key}": (READS, 200, None),
    "PUT /v1/rows/{tenant}/{env}/{table}/{key}": (WRITES, 200, {"age": 1}),
    "DELETE /v1/rows/{tenant}/{env}/{table}/{key}": (WRITES, 200, None),
    "POST /v1/queries/{tenant}/{env}/{table}": (READS, 200, {}),
    "GET /v1/tables/{tenant}/{env}": (READS, 200, None),
    "GET /v1/series/{tenant}/{env}": (READS, 200, None),
    "GET /v1/streams/{tenant}/{env}": (READS, 200, None),
    "POST /v1/points/{tenant}/{env}": (WRITES, 200, POINTS),
    "POST /v1/point-queries/{tenant}/{env}/{series}": (READS, 200, SPAN),
    "POST /v1/streams/{tenant}/{env}/{stream}": (WRITES, 200, {"type": "a.b", "data": {}}),
    "GET /v1/streams/{tenant}/{env}/{stream}": (READS, 200, None),
    "GET /v1/streams/{tenant}/{env}/{stream}/tail": (READS, 200, None),
    "POST /nexus/raw/put": (WRITES, 200, "text"),
    "GET /nexus/raw/get": (READS, 200, None),
    "POST /storage/tabular/{table}/upsert": (WRITES, 200, {"key": "k", "data": {}}),
    "POST /storage/metrics/{series}/ingest": (WRITES, 200, {"value": 1}),
    "POST /storage/timeline/{stream}/append": (WRITES, 200, {"type": "a.b", "data": {}}),
    "POST /routing/routes": (OPERATES, 200, "route"),
    "POST /v1/commands": (WRITES, 200, "commands"),
    "GET /v1/outcomes/{tenant}/{env}/{op_id}": (ALL, 404, None),
    "GET /v1/schemas": (ALL, 200, None),
    "GET /v1/status": (LOOKS, 200, None),
    "POST /v1/diagnostics/{tenant}/{env}": (OPERATES, None, None),
    "GET /v1/routes/{kind}": (LOOKS, 200, None),
    "GET /v1/routes/{kind}/{tenant}/{env}": (LOOKS, None, None),
    "PUT /v1/routes/{kind}/{tenant}/{env}": (OPERATES, None, ROUTE),
    "DELETE /v1/routes/{kind}/{tenant}/{env}": (OPERATES, None, None),
    "POST /v1/routes/{kind}/{tenant}/{env}/switch": (OPERATES, None, ROUTE),
    "GET /v1/routes/{kind}/{tenant}/{env}/history": (LOOKS, 200, None),
    "GET /v1/routes/{kind}/{tenant}/{env}/drain": (LOOKS, None, None),
    "GET /v1/locks/{kind}/{tenant}/{env}": (LOOKS, None, None),
    "PUT /v1/locks/{kind}/{tenant}/{env}": (OPERATES, None, LOCK),
    "DELETE /v1/locks/{kind}/{tenant}/{env}": (OPERATES, None, None),
    "GET /v1/policies": (LOOKS, 200, None),
    "GET /v1/policies/{tenant}": (LOOKS, None, None),
    "PUT /v1/policies/{tenant}": (OPERATES, 200, POLICY),
    "GET /v1/principals": (LOOKS, 200, None),
    "GET /v1/principals/{name}": (LOOKS, 200, None),
    "POST /v1/principals": ("admin", 401, ADD),
    "POST /v1/principals/{name}/grant": ("admin", 401, {"roles": ["reader"], "reason": "r"}),
    "POST /v1/principals/{name}/rotate": ("admin", 401, {"remove": "k", "reason": "r"}),
    "POST /v1/principals/{name}/revoke": ("admin", 401, {"reason": "r"}),
    "GET /v1/audit": ("auditor admin", 200, None),
    "GET /v1/dead-letters": (OPERATES, 200, None),
    "GET /v1/dead-letters/{tenant}/{env}/{op_id}": (OPERATES, 404, None),
    "POST /v1/dead-letters/replay": (OPERATES, 200, "letters"),
    "POST /v1/dead-letters/purge": (OPERATES, 200, "letters"),
}
"""The table of docs/security.md, in full."""
QUERIES = {
    "GET /nexus/raw/get": "key=k",
    "DELETE /v1/locks/{kind}/{tenant}/{env}": "reason=r",
    "DELETE /v1/routes/{kind}/{tenant}/{env}": "reason=r",
}
STATUS = {
    "ledger": {"open": 0},
    "queues": {},
    "workers": [],
    "archive": {"revision": 0, "of": 0, "waits_for": ""},
    "resting": [],
    "ledger_lost": {},
}
BY_TENANT = ("GET /v1/routes/{kind}", "GET /v1/audit")
"""Calls that a query narrows to a tenant, of all its envs."""
BY_SCOPE = ("GET /v1/dead-letters",)
"""Calls that a query narrows to a tenant and env."""
OF_TENANT = ("GET /v1/policies/{tenant}", "PUT /v1/policies/{tenant}", *BY_TENANT)
"""Calls about all envs of a tenant, which need a grant of all of them."""
ANYWHERE = (
    "GET /v1/status",
    "GET /v1/policies",
    *(call for call in ROLES if " /v1/principals" in call),
)
"""Calls about all tenants."""
NOWHERE = ("GET /v1/schemas",)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "status_of", lambda *_: STATUS)
        with guarded(tmp_path_factory.mktemp("roles"), patch) as running:
            yield running


def make(gateway: Guarded, call: str, given: str | None, tenant: str, env: str) -> tuple[int, str]:
    """The status, and the error's code where there is one."""
    method, template = call.split(" ")
    names = {"tenant": tenant, "env": env, "kind": "object_store"}
    for name in ("key", "table", "series", "stream", "op_id"):
        names[name] = "k1"
    names["name"] = "reader"
    path, body = template.format(**names), ROLES[call][2]
    query = QUERIES.get(call, "")
    if call in BY_TENANT + BY_SCOPE:
        query = f"tenant={tenant}" + (f"&env={env}" if call in BY_SCOPE else "")
    headers = {}
    if template.startswith(("/nexus", "/storage")):
        headers = {"X_Tenant_Id": tenant, "X_Env": env, "X_Key": "k"}
    if body == "commands":
        command = {"op": "tabular_store.delete", "table_name": "t", "key": "k"}
        body = {"commands": [command | {"tenant_id": tenant, "env": env}]}
    elif body == "letters":
        body = {"tenant_id": tenant, "env": env}
    elif body == "route":
        body = ROUTE | {"tenant_id": tenant, "env": env, "resource_kind": "object_store"}
    if call.endswith("/tail"):
        gateway.server.services.error = None
        gateway.server.services.stopping.set()  # it ends behind its first page
    answer = gateway.call(given, method, f"{path}?{query}" if query else path, body, **headers)
    gateway.server.services.stopping.clear()
    problem = answer.headers.get("content-type") == "application/problem+json" and answer.body
    code = answer.json()["error_code"] if problem else ""
    if call == "POST /v1/commands" and answer.status == 200:
        [end] = answer.json()["results"]
        return (end["error"]["status"], end["error"]["error_code"]) if "error" in end else (200, "")
    return answer.status, code


def test_every_call_of_the_document_has_a_row() -> None:
    paths = json.loads(document())["paths"]
    calls = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if path not in OPEN
    }
    assert calls == set(ROLES)
    assert calls == {f"{m} {path.replace(':path', '')}" for m, path in CALLS}
    routes = {
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path not in OPEN
        for method in route.methods or ()
    }
    assert routes == set(CALLS)


@pytest.mark.parametrize("call", ROLES)
def test_who_may_make_a_call(gateway: Guarded, call: str) -> None:
    """For their own tenant and env, for another tenant, for another env, and for all tenants."""
    roles, status, _ = ROLES[call]
    assert make(gateway, call, None, "t_acme", "prod") in ((401, "UNAUTHENTICATED"), (401, ""))
    for role in Role:
        allowed = role.value in roles.split()
        own, wide = token(KEYS[role], role.value), token(WIDE[role], f"wide-{role.value}")
        for given, tenant, env, there in (
            (own, "t_acme", "prod", call not in OF_TENANT + ANYWHERE),
            (own, "t_other", "prod", call in NOWHERE),
            (own, "t_acme", "dev", call in NOWHERE),
            (wide, "t_other", "dev", True),
        ):
            answered, code = make(gateway, call, given, tenant, env)
            if allowed and there:
                assert answered == status or status is None, (role, tenant, env, code)
                assert code not in ("NOT_GRANTED", "UNAUTHENTICATED", "TOKEN_INVALID")
            else:
                assert (answered, code) in ((403, "NOT_GRANTED"), (403, "")), (role, tenant, env)
    assert gateway.server.services.registry.principals.all()


def test_a_handler_without_a_row_is_for_nobody(
    gateway: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = gateway.server.app
    monkeypatch.setattr(app.state, "methods_of", lambda path: ["GET"])
    answer = gateway.call(token(KEYS[Role.OPERATOR], "operator"), "GET", "/v1/new")
    assert (answer.status, answer.json()["error_code"]) == (403, "NOT_GRANTED")
    assert gateway.call(token(ADMIN, "alice"), "GET", "/v1/new").status == 404


def test_several_tenants_in_a_query_are_all_asked_for(gateway: Guarded) -> None:
    own = token(KEYS[Role.OPERATOR], "operator")
    path = "/v1/dead-letters?env=prod&tenant="
    for tenants in ("t_acme&tenant=t_other", "t_other&tenant=t_acme", "t_acme&env=dev", ""):
        assert gateway.call(own, "GET", path + tenants).status in (400, 403), tenants


def test_refs_of_dead_letters_are_each_asked_for(gateway: Guarded) -> None:
    own = token(KEYS[Role.OPERATOR], "operator")
    for refs in (["t_acme/prod/a", "t_other/prod/b"], ["-/-/m"], ["t_acme/prodx/a"], ["t_acme"]):
        for call in ("replay", "purge"):
            body = {"refs": refs, "tenant_id": "t_acme", "env": "prod"}
            answer = gateway.call(own, "POST", f"/v1/dead-letters/{call}", body)
            assert (answer.status, answer.json()["error_code"]) == (403, "NOT_GRANTED"), refs


def test_a_change_is_recorded_under_the_principal(gateway: Guarded) -> None:
    own, path = token(KEYS[Role.OPERATOR], "operator"), "/v1/locks/object_store/t_acme/prod"
    answer = gateway.call(own, "PUT", path, LOCK, X_Actor="ann")
    assert (answer.status, answer.json()["error_code"]) == (403, "NOT_GRANTED")
    assert gateway.call(own, "PUT", path, LOCK).status == 200
    assert gateway.server.services.registry.events(0)[-1].data.actor == "operator"


def test_what_is_open_stays_open(gateway: Guarded) -> None:
    assert gateway.call(None, "GET", "/healthz").status == 200
    assert gateway.call(None, "GET", "/openapi.json").status == 200

"""Names, origins and tokens: who may read, store and route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from signalbox.commands.error import InvalidSetting, SignalboxError
from signalbox.gateway import dead_letters, header_route, locks, policies, routes
from signalbox.gateway.access import OPEN, Access, Need, need_of
from signalbox.gateway.app import ROUTERS
from signalbox.gateway.settings import GatewaySettings
from tests.gateway.raw import ask, head
from tests.gateway.recorder import served

READ, ROUTE = "r" * 32, "w" * 32
GET, PUT, ROUTES = (
    ("GET", "/v1/objects/t_a/dev/k"),
    ("PUT", "/v1/objects/t_a/dev/k"),
    (
        "POST",
        "/routing/routes",
    ),
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, token in (("read", READ), ("route", ROUTE)):
        found[name] = tmp_path / name
        found[name].write_text(token + "\n")
    return found


def code(access: Access, call: tuple[str, str], token: str | None) -> str:
    headers = {b"host": b"localhost:8010"}
    if token is not None:
        headers[b"authorization"] = f"Bearer {token}".encode()
    try:
        access.check(*call, headers)
    except SignalboxError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("given", "call", "expected"),
    [
        ((), GET, ("", "", "", "")),
        ((), ROUTES, ("", "", "", "")),
        (("read", "route"), GET, ("UNAUTHENTICATED", "UNAUTHENTICATED", "", "")),
        (("read", "route"), PUT, ("UNAUTHENTICATED", "UNAUTHENTICATED", "", "")),
        (("read", "route"), ROUTES, ("UNAUTHENTICATED", "UNAUTHENTICATED", "WRONG_TOKEN", "")),
        (("route",), GET, ("", "", "", "")),
        (("route",), PUT, ("", "", "", "")),
        (("route",), ROUTES, ("UNAUTHENTICATED",) * 3 + ("",)),
        (("read",), PUT, ("UNAUTHENTICATED", "UNAUTHENTICATED", "", "UNAUTHENTICATED")),
        (
            ("read",),
            ROUTES,
            ("UNAUTHENTICATED", "UNAUTHENTICATED", "WRONG_TOKEN", "UNAUTHENTICATED"),
        ),
    ],
)
def test_what_a_token_is_good_for(
    files: dict[str, Path],
    given: tuple[str, ...],
    call: tuple[str, str],
    expected: tuple[str, ...],
) -> None:
    named: dict[str, Any] = {f"{name}_token_file": files[name] for name in given}
    access = Access(GatewaySettings(**named))
    assert tuple(code(access, call, t) for t in (None, "x" * 32, READ, ROUTE)) == expected


@pytest.mark.parametrize("given", [("read",), ("route",), ("read", "route")])
@pytest.mark.parametrize("said", ["Bearer", "Bearer ", "Bearer  ", "Bearer \t", "bearer   "])
def test_no_token_is_not_the_one_that_was_never_given(
    files: dict[str, Path], given: tuple[str, ...], said: str
) -> None:
    named: dict[str, Any] = {f"{name}_token_file": files[name] for name in given}
    with served(**named) as server:
        request = head("PUT", "/v1/policies/t_a", f"Authorization: {said}", "Content-Length: 0")
        answer = ask(server.port, request)
    assert answer is not None
    assert answer.json()["error_code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        ("GET", "/healthz", Need.NOTHING),
        ("GET", "/readyz", Need.NOTHING),
        ("GET", "/v1/routes/object_store", Need.READING),
        ("POST", "/v1/queries/t_a/dev/t", Need.READING),
        ("POST", "/v1/point-queries/t_a/dev/s", Need.READING),
        ("POST", "/nexus/raw/put", Need.STORING),
        ("POST", "/v1/commands", Need.STORING),
        ("PUT", "/v1/routes/object_store/t_a/dev", Need.ROUTING),
        ("DELETE", "/v1/locks/object_store/t_a/dev", Need.ROUTING),
        ("PUT", "/v1/policies/t_a", Need.ROUTING),
        ("POST", "/v1/dead-letters/purge", Need.ROUTING),
        ("POST", "/v1/diagnostics/t_a/dev", Need.ROUTING),
        ("POST", "/%72outing/routes", Need.STORING),
    ],
)
def test_what_a_call_needs(method: str, path: str, need: Need) -> None:
    assert need_of(method, path) is need


def test_every_call_that_changes_the_registry_is_an_operators() -> None:
    changing = 0
    its = (routes, header_route, locks, policies, dead_letters)
    for router in [each.router for each in its]:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in (route.methods or set()) - {"GET", "HEAD"}:
                assert need_of(method, route.path) is Need.ROUTING, route.path
                changing += 1
    assert changing >= 8


def test_every_call_needs_a_token_of_its_own_role() -> None:
    """What a caller without the operators' token can change is data, and data alone."""
    paths = (
        "/v1/objects/ /v1/rows/ /v1/points/ /v1/streams/ /v1/commands /v1/presign- /v1/register/"
    )
    data = tuple(f"{paths} /nexus/raw/put /storage/".split())
    asked = 0
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or set():
                need = need_of(method, route.path)
                if need is Need.NOTHING:
                    assert route.path in OPEN, route.path
                elif need is Need.STORING:
                    assert route.path.startswith(data), (method, route.path)
                elif need is Need.READING and method not in ("GET", "HEAD"):
                    assert "queries" in route.path, (method, route.path)
                asked += 1
    assert asked > 40


@pytest.mark.parametrize("content", ["", "short", "two words that are long enough", "a\nb" * 20])
def test_a_token_file_that_holds_no_token_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(InvalidSetting, match="holds no token"):
        Access(GatewaySettings(read_token_file=path))
    with pytest.raises(InvalidSetting, match="cannot be read"):
        Access(GatewaySettings(read_token_file=tmp_path / "missing"))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8010", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8010", 200),
        ("localhost.evil.example", 421),
        ("evil.example:8010", 421),
        ("localhost:[", 421),
        ("localhost:80/evil?", 421),
        ("localhost:80@evil.example", 421),
        ("localhost:port", 421),
        ("[::1]evil.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_it_answers_under_its_own_names_alone(host: str, status: int) -> None:
    with served() as server:
        answer = ask(server.port, head("GET", "/healthz", host=host))
        assert answer is not None
        assert answer.status == status


def test_pages_of_a_named_origin_may_call_and_read() -> None:
    with served(origins="https://console.example") as server:
        origin = "Origin: https://console.example"
        answer = ask(server.port, head("GET", "/healthz", origin))
        assert answer is not None
        assert answer.headers["access-control-allow-origin"] == "https://console.example"
        ask_first = head(
            "OPTIONS",
            "/v1/objects/t_a/dev/k",
            origin,
            "Access-Control-Request-Method: PUT",
            "Access-Control-Request-Headers: content-type",
        )
        answer = ask(server.port, ask_first)
        assert answer is not None
        assert answer.status == 204
        assert "PUT" in answer.headers["access-control-allow-methods"]
        stranger = ask_first.replace(b"console", b"evil")
        answer = ask(server.port, stranger)
        assert answer is not None
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_the_gateways_own_origin_may_call() -> None:
    with served() as server:
        origin = f"Origin: http://127.0.0.1:{server.port}"
        answer = ask(server.port, head("GET", "/healthz", origin, host=f"127.0.0.1:{server.port}"))
        assert answer is not None
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers

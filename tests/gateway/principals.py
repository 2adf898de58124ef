"""A gateway that asks for principals, with one of each role, over a signed registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import redis

from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import Grant, Principal, PrincipalKey, Role
from signalbox.commands.proof.token import issue
from signalbox.commands.proof.trust import administrator
from signalbox.routing.registry.principal_registry import PrincipalRegistry
from tests.gateway.answer_check import answer_check
from tests.gateway.raw import Answer
from tests.gateway.recorder import Served, served
from tests.integration.signed_registry import change

AUDIENCE = "test-deployment"
ADMIN, THIEF = PrivateKey(b"a" * 32), PrivateKey(b"t" * 32)
KEYS = {role: PrivateKey(role.value.ljust(32).encode()) for role in Role}
"""The key of the principal of each role, which is named after it and is for t_acme/prod."""
WIDE = {role: PrivateKey(f"wide-{role.value}".ljust(32).encode()) for role in Role}
"""Those of the principals `wide-ROLE`, for all tenants and envs."""
MINUTE = timedelta(minutes=1)


def use_redis(monkeypatch: pytest.MonkeyPatch, state_url: str) -> None:
    """Have gateways that are started from now on use this Redis, which is emptied."""
    with redis.Redis.from_url(state_url) as client:
        client.flushall()
    its = partial(redis.Redis.from_url, state_url)
    monkeypatch.setattr("tests.gateway.recorder.fakeredis.FakeRedis", its)


@contextmanager
def guarded(folder: Path, monkeypatch: pytest.MonkeyPatch, **own: Any) -> Iterator[Guarded]:
    trust = {"keys": [administrator("alice", ADMIN.public)]}
    folder.joinpath("trust.json").write_text(json.dumps(trust))
    ADMIN.save(folder / "admin.json")
    monkeypatch.setenv("SIGNALBOX_TRUST_FILE", str(folder / "trust.json"))
    monkeypatch.setenv("SIGNALBOX_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("SIGNALBOX_KEY_FILE", str(folder / "admin.json"))
    with served(principals="required", one_core=False, **own) as server:
        its = Guarded(server)
        for role in Role:
            its.add(role.value, KEYS[role], [role], ["t_acme"], ["prod"])
            its.add(f"wide-{role.value}", WIDE[role], [role], ["*"], ["*"])
        yield its


class Guarded:
    """The gateway, and what a caller sends."""

    def __init__(self, server: Served) -> None:
        self.server = server

    @property
    def principals(self) -> PrincipalRegistry:
        return self.server.services.registry.principals

    def add(
        self, name: str, key: PrivateKey, roles: list[Role], tenants: list[str], envs: list[str]
    ) -> None:
        principal = Principal(
            name=name,
            keys=(PrincipalKey(x=encode(key.public.raw)),),
            roles=tuple(roles),
            tenants=tuple(tenants),
            envs=tuple(envs),
        )
        self.principals.add(principal, change())

    def call(
        self, token: str | None, method: str, path: str, body: Any = None, **headers: str
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Host": "localhost", "Content-Type": "application/json"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        with closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            its = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, its, response.read())
        answer_check().check(method, path.partition("?")[0], answer.status, its, answer.body)
        return answer


def grant(**other: Any) -> Grant:
    return Grant(**({"roles": ["admin"], "tenants": ["*"]} | other))


def token(
    key: PrivateKey, name: str, granted: Grant | None = None, lifetime: timedelta = MINUTE
) -> str:
    return issue(key, AUDIENCE, name, granted or grant(), lifetime)[0]

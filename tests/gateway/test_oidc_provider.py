"""Tokens of an OpenID Connect provider of another make: oidc-provider from npm, as it comes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from signalbox.commands.proof.principal import Principal, Role
from tests.absent import absent
from tests.gateway.principals import Guarded, guarded
from tests.integration.signed_registry import change

SERVERS = Path(__file__).parents[1] / "servers"
AUDIENCE = "signalbox-gateway"
SECRET = "s3cret-of-a-test"
CLIENTS = {"billing": "producer", "support": "reader", "ann": "keyless", "stranger": None}
OBJECT = "/v1/objects/t_acme/prod/k"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    if shutil.which("node") is None or not (SERVERS / "node_modules/oidc-provider").is_dir():
        absent("oidc-provider", "install node 20 or newer, then `python tests/servers/install.py`")
    with subprocess.Popen(
        ["node", str(SERVERS / "oidc_provider.mjs"), json.dumps([*CLIENTS])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            address = next((line.strip() for line in lines if line.startswith("http://")), None)
            assert address, "oidc-provider did not start (its output is above)"
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def gateway(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    own = {
        "oidc_issuer": issuer,
        "oidc_audience": AUDIENCE,
        "oidc_principals": {client: name for client, name in CLIENTS.items() if name},
        "oidc_claim": "sub",
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        guarded(tmp_path_factory.mktemp("oidc"), patch, **own) as running,
    ):
        yield running


def token(issuer: str, client: str, algorithm: str = "RS256", audience: str = AUDIENCE) -> str:
    """What the provider gives to a client that asks as the standard says, by discovery."""
    found = httpx.get(f"{issuer}/.well-known/openid-configuration", timeout=60).json()
    answer = httpx.post(
        found["token_endpoint"],
        data={"grant_type": "client_credentials", "resource": f"urn:{algorithm}:{audience}"},
        auth=(client, SECRET),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def code(gateway: Guarded, given: str, method: str = "GET", path: str = OBJECT) -> str:
    answer = gateway.call(given, method, path, "x" if method == "PUT" else None)
    return "" if answer.status == 200 else str(answer.json()["error_code"])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_its_tokens_are_of_the_principal_that_the_map_names(
    gateway: Guarded, issuer: str, algorithm: str
) -> None:
    billing, support = (token(issuer, who, algorithm) for who in ("billing", "support"))
    assert code(gateway, billing, "PUT") == ""
    assert code(gateway, support) == ""
    assert code(gateway, support, "PUT") == "NOT_GRANTED"
    assert code(gateway, billing, path="/v1/objects/t_other/prod/k") == "NOT_GRANTED"


def test_what_is_not_for_this_gateway_is_refused(gateway: Guarded, issuer: str) -> None:
    assert code(gateway, token(issuer, "stranger")) == "NOT_GRANTED"  # of no principal
    assert code(gateway, token(issuer, "billing", audience="other")) == "TOKEN_INVALID"
    assert code(gateway, token(issuer, "billing", "PS256")) == "TOKEN_INVALID"
    header, claims, _ = token(issuer, "billing").split(".")
    assert code(gateway, f"{header}.{claims}.{token(issuer, 'support')[-86:]}") == "TOKEN_INVALID"
    # One that is no JWT, as it gives for no resource.
    answer = httpx.post(
        f"{issuer}/token",
        data={"grant_type": "client_credentials"},
        auth=("billing", SECRET),
        timeout=60,
    )
    assert code(gateway, answer.json()["access_token"]) == "TOKEN_INVALID"


def test_a_principal_without_a_key_is_enough(gateway: Guarded, issuer: str) -> None:
    given = token(issuer, "ann")
    assert code(gateway, given) == "TOKEN_INVALID"  # there is no such principal yet
    keyless = Principal(name="keyless", roles=(Role.READER,), tenants=("t_acme",), keys=())
    gateway.principals.add(keyless, change())
    assert code(gateway, given) == ""
    assert code(gateway, given, "PUT") == "NOT_GRANTED"
    gateway.principals.revoke("keyless", change())
    assert code(gateway, given) == "TOKEN_INVALID"

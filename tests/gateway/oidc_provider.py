"""An OpenID Connect provider on loopback: discovery, keys that rotate, tokens of any content."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "signalbox-gateway"


class Key:
    """A key of the provider."""

    def __init__(self, kid: str, algorithm: str = "RS256", bits: int = 2048) -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: Any
        if algorithm == "RS256":
            self.private = rsa.generate_private_key(65537, bits)
            text = RSAAlgorithm.to_jwk(self.private.public_key())
        elif algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
            text = ECAlgorithm.to_jwk(self.private.public_key())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            text = OKPAlgorithm.to_jwk(self.private.public_key())
        self.jwk: dict[str, Any] = json.loads(text) | {"kid": kid, "use": "sig"}


class Provider:
    """A provider that answers from `keys` as they are now, and counts what it is asked."""

    def __init__(self) -> None:
        self.keys: list[Key] = [Key("first")]
        self.documents: dict[str, Any] = {}
        """Other answers than the usual ones, by path."""
        self.asked: list[str] = []
        self.down = False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                document = provider.answer(self.path)
                if provider.down or document is None:
                    self.send_error(503)
                    return
                content = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}/realm"

    def answer(self, path: str) -> Any:
        usual = {
            "/realm/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/keys",
            },
            "/realm/keys": {"keys": [key.jwk for key in self.keys]},
        }
        return (usual | self.documents).get(path)

    def claims(self, **other: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": self.issuer, "aud": AUDIENCE, "iat": now, "exp": now + 300, "who": "ann"}
        return {name: value for name, value in (usual | other).items() if value is not None}

    def token(self, key: Key | None = None, headers: Any = None, **claims: Any) -> str:
        """A token signed with the newest key; a claim that is None is left out."""
        key = key or self.keys[-1]
        its = {"kid": key.kid} | (headers or {})
        return jwt.encode(self.claims(**claims), key.private, key.algorithm, headers=its)

    def token_of(self, **claims: Any) -> str:
        """A token with claims that are not what their names say, which a library would refuse."""
        key = self.keys[-1]
        payload = json.dumps(self.claims(**claims)).encode()
        return jwt.PyJWS().encode(payload, key.private, key.algorithm, {"kid": key.kid})


@contextmanager
def provider() -> Iterator[Provider]:
    running = Provider()
    thread = threading.Thread(target=running.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield running
    finally:
        running.server.shutdown()
        running.server.server_close()
        thread.join()

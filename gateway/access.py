"""Access control of the gateway: host names, origins of web pages, and bearer tokens."""

from __future__ import annotations

import hmac
import re
from enum import Enum
from pathlib import Path

from signalbox.commands.error import InvalidSetting
from signalbox.gateway.error import (
    ForeignOrigin,
    InvalidRequest,
    Unauthenticated,
    WrongHost,
    WrongToken,
)
from signalbox.gateway.settings import GatewaySettings

SHORTEST_TOKEN = 16
"""Minimum length of a token, in bytes."""
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*)(?::[0-9]{0,5})?", re.ASCII)
"""Name and port only, since the framework makes a URL of the header."""
Headers = dict[bytes, bytes]


class Need(Enum):
    """The permission that a request needs."""

    NOTHING = 0
    """None: the request tells no more than that the gateway runs."""
    READING = 1
    """Reading data."""
    STORING = 2
    """WriteOptions data."""
    ROUTING = 3
    """Operating: changing routes, locks, policies or dead letters."""


OPEN = ("/healthz", "/readyz", "/openapi.json")
"""Paths of which nothing is asked."""
_OPERATORS = (
    "/routing/",
    "/v1/routes",
    "/v1/locks",
    "/v1/policies",
    "/v1/principals",
    "/v1/dead-letters",
    "/v1/audit",
)
_ASKING = ("/v1/queries/", "/v1/point-queries/")


def need_of(method: str, path: str) -> Need:
    """Return the permission that a request needs; unknown paths need STORING."""
    if path in OPEN:
        return Need.NOTHING
    if path.startswith("/v1/diagnostics"):
        return Need.ROUTING
    if method in ("GET", "HEAD") or path.startswith(_ASKING):
        return Need.READING
    return Need.ROUTING if path.startswith(_OPERATORS) else Need.STORING


class Access:
    """Checks requests by their headers alone. Raises InvalidSetting for an invalid token file."""

    def __init__(self, own: GatewaySettings) -> None:
        self._hosts = own.host_names
        self._origins = own.origin_names
        self._principals = own.principals == "required"
        self._read = _token(own.read_token_file)
        self._route = _token(own.route_token_file)

    def check(self, method: str, path: str, headers: Headers) -> bytes | None:
        """Check a request, and return its token if that has to be a principal's.

        Raises WrongHost, ForeignOrigin, Unauthenticated and WrongToken.
        """
        self.check_host(headers)
        self.check_origin(headers)
        return self._check_token(need_of(method, path), headers)

    def check_host(self, headers: Headers) -> None:
        """Check the header Host. Raises InvalidRequest and WrongHost."""
        host = headers.get(b"host")
        if host is None:
            raise InvalidRequest("the request has no header Host", next_step="send it")
        said = _HOST.fullmatch(host.decode("latin-1").lower())
        if said is None or (said[1] not in self._hosts and "*" not in self._hosts):
            raise WrongHost(
                "the gateway does not answer under this name",
                next_step="use one of SIGNALBOX_GATEWAY_HOSTS, or have the operator add it",
            )

    def check_origin(self, headers: Headers) -> str | None:
        """Return the allowed origin of a web page; None for any other client.

        Raises ForeignOrigin.
        """
        said = headers.get(b"origin")
        if said is None:
            return None
        origin = said.decode("latin-1").lower()
        if origin in self._origins:
            return origin
        scheme, _, host = origin.partition("://")
        if scheme in ("http", "https") and host.encode("latin-1") == headers.get(b"host", b""):
            return None
        raise ForeignOrigin(
            "pages of this origin may not call the gateway",
            next_step="have the operator name it in SIGNALBOX_GATEWAY_ORIGINS",
        )

    def _check_token(self, need: Need, headers: Headers) -> bytes | None:
        if need is Need.NOTHING or not self._asks(need):
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        given = given.strip()
        if scheme.lower() != b"bearer" or not given:
            raise Unauthenticated(
                "the call needs a token", next_step="send the header Authorization: Bearer <token>"
            )
        # Both are always compared, so that the time reveals nothing about either.
        routes = hmac.compare_digest(given, self._route or b"") and self._route is not None
        reads = hmac.compare_digest(given, self._read or b"") and self._read is not None
        if routes or (reads and need is not Need.ROUTING):
            return None
        if reads:
            raise WrongToken(
                "this token is for reading and storing",
                next_step="use the token for routing"
                if self._route
                else "have the operator set SIGNALBOX_GATEWAY_ROUTE_TOKEN_FILE: until then nobody "
                "changes routes by HTTP here",
            )
        if self._principals:
            return given
        raise Unauthenticated("the token is not known", next_step="use one that the operator gave")

    def _asks(self, need: Need) -> bool:
        """True if such a call needs a token at all."""
        if self._principals or self._read is not None:
            return True
        return self._route is not None and need is Need.ROUTING


def _token(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise InvalidSetting(
            f"the token file {path} cannot be read: {error.strerror}",
            next_step="correct the setting, or the file",
        ) from error
    if len(token) < SHORTEST_TOKEN or not token.isascii() or b" " in token or b"\n" in token:
        raise InvalidSetting(
            f"the token file {path} holds no token of one line and {SHORTEST_TOKEN} characters or "
            "more",
            next_step="write one with: openssl rand -hex 32",
        )
    return token

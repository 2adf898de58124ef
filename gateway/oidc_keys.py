"""The keys of an OpenID Connect provider, found by discovery, kept, and read anew as it rotates."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from signalbox.commands.error import InvalidSetting
from signalbox.commands.extra import require
from signalbox.gateway.error import IssuerUnavailable

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""The algorithms that count, and the type of key of each."""
MIN_RSA_BITS = 2048
"""Minimum size of an RSA key."""
FRESH = timedelta(hours=1)
"""So long keys are used before they are read anew."""
STALE = timedelta(hours=24)
"""So long keys are used if they cannot be read anew."""
MAX_BYTES = 1024 * 1024
"""Maximum size of a document of the provider, in bytes."""
TIMEOUT = 5.0
"""Maximum time for each of its two documents, in seconds."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Fetch = Callable[[Callable[[], "Keys"]], Awaitable["Keys"]]
"""Runs a blocking function on a thread."""


@dataclass(frozen=True)
class Keys:
    """The keys of a provider, as it told them at one time."""

    by_kid: dict[str, PyJWK]
    """Keys that tokens may be signed with, by their ids."""
    at: float = field(default_factory=time.monotonic)
    """When they were read, in seconds of this process' clock."""

    def older_than(self, span: timedelta) -> bool:
        """True if they were read longer ago."""
        return time.monotonic() - self.at > span.total_seconds()


class OidcKeys:
    """The keys of one provider. To be used in one event loop.

    They are read at most once within `refresh`, whatever tokens come. A provider that does not
    answer changes nothing for tokens whose keys are known, for as long as `STALE`.
    """

    def __init__(self, issuer: str, refresh: timedelta, fetch: Fetch) -> None:
        """Raises InvalidSetting unless the issuer's address is https, or of this machine."""
        check_address(issuer)
        require("a token of OpenID Connect", "gateway", "jwt")
        self.issuer = issuer
        self._refresh = refresh.total_seconds()
        self._fetch = fetch
        self._keys: Keys | None = None
        self._tried = -float("inf")
        self._task: asyncio.Task[None] | None = None
        self._failure = ""

    async def find(self, kid: str) -> tuple[PyJWK | None, Keys]:
        """Return the key with that id, None if the provider has none, and the keys of now.

        Raises IssuerUnavailable if no keys are known and the provider does not tell them.
        """
        keys = self._known()
        if keys is None or kid not in keys.by_kid:
            await self._read()
            keys = self._known()
            if keys is None:
                raise self._unavailable()
            if kid not in keys.by_kid and self._failure:
                raise self._unavailable()  # it may have a new key that is not known here
        elif keys.older_than(FRESH):
            self._begin()
        return keys.by_kid.get(kid), keys

    def _known(self) -> Keys | None:
        return None if self._keys is None or self._keys.older_than(STALE) else self._keys

    async def _read(self) -> None:
        self._begin()
        if self._task is not None:
            await asyncio.shield(self._task)

    def _begin(self) -> None:
        """Begin to read the keys, unless that is under way or was done a moment ago."""
        running = self._task is not None and not self._task.done()
        if not running and time.monotonic() - self._tried >= self._refresh:
            self._tried = time.monotonic()
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            self._keys = await self._fetch(lambda: read_keys(self.issuer))
            self._failure = ""
        except Exception as error:  # noqa: BLE001 - whatever the provider sends, it is not to be had
            self._failure = str(error)[:200] or type(error).__name__

    def _unavailable(self) -> IssuerUnavailable:
        error = IssuerUnavailable(
            f"the keys of {self.issuer} cannot be read: {self._failure}",
            next_step="try again later; the operator sees whether the gateway reaches the issuer",
        )
        error.retry_after = max(1.0, self._tried + self._refresh - time.monotonic())
        return error


def read_keys(issuer: str) -> Keys:
    """Read the provider's keys; two requests. Raises OSError and ValueError."""
    found = _document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if found.get("issuer") != issuer:
        raise ValueError("its discovery document names another issuer")
    address = found.get("jwks_uri")
    if not isinstance(address, str):
        raise ValueError("its discovery document names no jwks_uri")
    check_address(address)
    listed = _document(address).get("keys")
    if not isinstance(listed, list):
        raise ValueError("its document of keys has no list of them")
    keys: dict[str, PyJWK] = {}
    twice: set[str] = set()
    for document in listed:
        key = _usable(document)
        if key is not None:
            kid = str(document["kid"])
            twice |= {kid} & keys.keys()
            keys[kid] = key
    return Keys({kid: key for kid, key in keys.items() if kid not in twice})


def check_address(address: str) -> None:
    """Raise InvalidSetting unless what is read there comes by TLS, or from this machine."""
    parts = urlsplit(address)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise InvalidSetting(
            f"{address[:200]} is no address of an issuer: https://, or http:// of this machine",
            next_step="set SIGNALBOX_GATEWAY_OIDC_ISSUER to what the provider's tokens have as iss",
        )


def _usable(document: Any) -> PyJWK | None:
    """Return a public key that a token may be signed with; None for any other."""
    from jwt import PyJWK, PyJWKError
    from jwt.exceptions import InvalidKeyError

    if not isinstance(document, dict) or not isinstance(document.get("kid"), str):
        return None
    if document.get("kty") not in ALGORITHMS.values() or "d" in document:
        return None
    if document.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(document)
    except (PyJWKError, InvalidKeyError, ValueError, TypeError, KeyError):
        return None
    if key.algorithm_name not in ALGORITHMS or document["kty"] != ALGORITHMS[key.algorithm_name]:
        return None
    size = getattr(key.key, "key_size", 256)
    return None if document["kty"] == "RSA" and size < MIN_RSA_BITS else key


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An issuer's keys are where it says, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _document(address: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(_NoRedirect)
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            text = answer.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{address} answered {error.code}") from None
    if len(text) > MAX_BYTES:
        raise ValueError(f"{address} answered with more than {MAX_BYTES} bytes")
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError(f"{address} answered with no JSON object")
    return document

"""What a route's config may reach outside the process: folders, credential files and addresses.

Each backend says what its configs name (`reaches` in its `config.py`). Whether a route may name it
is decided only here, by the operator's settings `SIGNALBOX_DATA_ROOTS`,
`SIGNALBOX_CREDENTIAL_ROOTS` and `SIGNALBOX_ENDPOINTS`. Symbolic links and host names are resolved
for the check when a route is opened, and every `GOOD_SECONDS` while it is used.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from signalbox.adapters import address
from signalbox.adapters.folder_rule import fit_for_credentials, fit_for_data, within
from signalbox.commands.error import PlaceForbidden, Unavailable
from signalbox.commands.scope import Scope
from signalbox.commands.settings import Settings

GOOD_SECONDS = 30.0
"""Seconds for which a successful check is valid."""
_VARIABLES = tuple(
    f"SIGNALBOX_{name}" for name in ("DATA_ROOTS", "CREDENTIAL_ROOTS", "ENDPOINTS", "PAYLOAD_DIR")
)


@dataclass(frozen=True)
class Endpoint:
    """An address that a config names."""

    host: str
    """A name, an address, or the directory of a Unix socket."""
    port: int | None = None
    """The port; None for a socket."""
    exposes: str = ""
    """The config key of a credential that would be sent to it unencrypted, if any."""

    @classmethod
    def of(cls, url: str, exposes: str = "") -> Endpoint:
        """Make the endpoint of an http or https URL; `exposes` applies only without TLS."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.hostname or "", port, exposes if parts.scheme != "https" else "")

    @property
    def is_socket(self) -> bool:
        """True for a Unix socket."""
        return self.host.startswith(("/", "@"))

    @property
    def is_local(self) -> bool:
        """True if what is sent to it stays on this machine."""
        if self.is_socket or self.host.lower().rstrip(".") == "localhost":
            return True
        literal = address.literal(self.host)
        return literal is not None and address.is_loopback(literal)


@dataclass(frozen=True)
class Reaches:
    """What one config names."""

    data: tuple[str, ...] = ()
    """Paths of data folders."""
    credential_files: tuple[str, ...] = ()
    """Paths of credential files."""
    trusted_files: tuple[str, ...] = ()
    """Paths of files that are read here and never sent, such as CA certificates."""
    endpoints: tuple[Endpoint, ...] = ()
    """Network addresses."""


@dataclass
class Boundary:
    """The check of what one route reaches. Thread-safe: a check may run twice without harm."""

    scope: Scope
    """The route's scope."""
    backend_type: str
    """The route's backend type."""
    reaches: Reaches
    """What the route's config names."""
    _good_until: float = field(default=0.0, repr=False)

    def check_named(self) -> None:
        """Check without resolving host names. Raises PlaceForbidden."""
        limits = _limits()
        for path in self.reaches.data:
            self._check_path(path, limits.data_roots, "SIGNALBOX_DATA_ROOTS", limits)
        for path in self.reaches.credential_files:
            self._check_path(path, limits.credential_roots, "SIGNALBOX_CREDENTIAL_ROOTS", limits)
        for path in self.reaches.trusted_files:
            self._check_plain(path)
        for endpoint in self.reaches.endpoints:
            self._check_endpoint(endpoint, limits, resolve=False)

    def check(self) -> None:
        """Check with host names resolved, unless a check was successful a moment ago.

        Raises PlaceForbidden, and Unavailable for a name that does not resolve.
        """
        now = time.monotonic()
        if now < self._good_until:
            return
        self.check_named()
        limits = _limits()
        for endpoint in self.reaches.endpoints:
            self._check_endpoint(endpoint, limits, resolve=True)
        self._good_until = now + GOOD_SECONDS

    def _check_path(self, path: str, roots: tuple[str, ...], setting: str, limits: _Limits) -> None:
        if not os.path.isabs(path):
            raise self._refuse(f"{path!r} is not absolute", "give the whole path")
        real = os.path.realpath(path)
        shown = repr(path) if real == os.path.normpath(path) else f"{path!r} (which is {real!r})"
        if roots and not any(within(real, os.path.realpath(r)) for r in self._own(roots)):
            raise self._refuse(f"{shown} is outside of {setting}", f"choose one below {setting}")
        if setting == "SIGNALBOX_DATA_ROOTS":
            why = fit_for_data(real, limits.payload_dir, by_default=not roots)
        else:
            why = fit_for_credentials(real, limits.payload_dir, by_default=not roots)
            self._check_plain(real)
        if why:
            raise self._refuse(
                f"{shown} {why}",
                f"choose another place, or have the operator allow it by {setting}",
            )

    def _check_plain(self, path: str) -> None:
        # Reading a pipe or a device could block for ever.
        try:
            mode = os.stat(path).st_mode
        except OSError:
            return  # It is not on this machine, or not yet: reading it will report that.
        if not stat.S_ISREG(mode):
            raise self._refuse(f"{path!r} is no regular file", "name a plain file")

    def _check_endpoint(self, endpoint: Endpoint, limits: _Limits, *, resolve: bool) -> None:
        host = endpoint.host
        if endpoint.exposes and not endpoint.is_local:
            raise self._refuse(
                f"{endpoint.exposes} would be sent to {host} unencrypted",
                "use TLS; without it a credential goes to this machine alone",
            )
        own = self._own(limits.endpoints)
        if endpoint.is_socket:
            if "*" not in own and not any(within(os.path.realpath(host), e) for e in own):
                raise self._outside(endpoint)
            return
        if not address.is_name(host):
            raise self._refuse(f"{host!r} is no name of a host", "give a name or an address")
        found = [literal] if (literal := address.literal(host)) else []
        if resolve and not found:
            found = address.resolve(host, endpoint.port)
            if not found:
                raise Unavailable(
                    f"the name {host} does not resolve",
                    kind=self.scope.kind,
                    tenant_id=self.scope.tenant_id,
                    env=self.scope.env,
                    backend_type=self.backend_type,
                    next_step="correct the route's config, or the worker's DNS",
                )
        for one in found:
            if address.never(one):
                raise self._refuse(
                    f"{host} is {one}" if str(one) != host else f"{host} is an address",
                    "link-local and metadata addresses are never reached",
                )
        if endpoint.exposes and not all(address.is_loopback(one) for one in found):
            raise self._refuse(f"{host} is not this machine", "use TLS")
        if address.names_metadata(host):
            raise self._refuse(f"{host} is a metadata service", "it is never reached")
        if not address.allowed(host, endpoint.port, found, own, resolved=resolve):
            raise self._outside(endpoint)

    def _own(self, entries: Iterable[str]) -> list[str]:
        scope = self.scope
        return [
            entry.replace("{tenant_id}", scope.tenant_id).replace("{env}", scope.env)
            for entry in entries
        ]

    def _outside(self, endpoint: Endpoint) -> PlaceForbidden:
        port = f":{endpoint.port}" if endpoint.port else ""
        return self._refuse(
            f"{endpoint.host}{port} is outside of SIGNALBOX_ENDPOINTS",
            "choose one of those, or have the operator add it",
        )

    def _refuse(self, message: str, next_step: str) -> PlaceForbidden:
        return PlaceForbidden(
            f"a route of {self.scope.tenant_id} may not reach this: {message}",
            kind=self.scope.kind,
            tenant_id=self.scope.tenant_id,
            env=self.scope.env,
            backend_type=self.backend_type,
            next_step=next_step,
        )


@dataclass(frozen=True)
class _Limits:
    data_roots: tuple[str, ...]
    credential_roots: tuple[str, ...]
    endpoints: tuple[str, ...]
    payload_dir: str


def _limits() -> _Limits:
    return _read_limits(tuple(os.environ.get(name) for name in _VARIABLES))


@lru_cache(maxsize=4)
def _read_limits(_: tuple[str | None, ...]) -> _Limits:
    settings = Settings()
    return _Limits(
        _entries(settings.data_roots),
        _entries(settings.credential_roots),
        _entries(settings.endpoints),
        os.path.realpath(settings.payload_dir) if settings.payload_dir else "",
    )


def _entries(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())

"""The catalogue: which backend types exist for which kind, and where each is implemented.

Adding a backend takes a folder and an entry here, or an entry point of another distribution in the
group `signalbox.backends`, whose object is one `Backend` or several. Nothing is imported before a
route needs it: a worker without S3 routes never loads boto3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from signalbox.adapters.capability import Capability
from signalbox.commands.error import (
    BackendNotImplemented,
    BackendNotInstalled,
    UnknownBackend,
)
from signalbox.commands.vocabulary import ResourceKind

if TYPE_CHECKING:  # `signalbox backends` imports no models
    from signalbox.adapters.port import AdapterContext
    from signalbox.adapters.reach import Boundary
    from signalbox.commands.scope import Scope


@dataclass(frozen=True)
class Backend:
    """A backend type for one kind.

    Its module has `open_driver(context)`, which makes the driver, and `check_config(config)`, which
    raises InvalidRouteConfig when a route is set; neither makes a network call. The `config.py`
    beside it has `reaches(config, kind)`, which returns what the config names outside the process
    (that is checked against the operator's settings before the driver is opened), and
    `location(config, kind)`, which returns the entries that say where the data are.
    """

    kind: ResourceKind
    """Kind of resource."""
    backend_type: str
    """Name of the backend type in routes."""
    module: str
    """Module with `open_driver` and `check_config`."""
    capabilities: frozenset[Capability] = frozenset()
    """What it can do in addition to the operations that every backend of its kind has. A route's
    config may exclude some of it."""
    lab_only: bool = False
    """True if it may only be used in mode `lab`."""
    scopes_fail_alone: bool = False
    """True if failures mostly concern a single scope (its database files) and not everything that
    the config names; each scope then has its own circuit breaker."""
    bulk_verbs: frozenset[str] = frozenset()
    """Verbs with a bulk form `<verb>_many([(command, call), …])`, which returns a result or a
    SignalboxError for each; no order key may occur twice."""
    ordered_bulk_verbs: frozenset[str] = frozenset()
    """Verbs whose bulk form accepts an order key several times, in accepted order; it attempts none
    after one of the same key that ended in a temporary error."""

    def open(self, context: AdapterContext) -> Any:
        """Open an adapter.

        Raises InvalidRouteConfig, PlaceForbidden, BackendNotInstalled and Unavailable (a host
        name).
        """
        self.boundary(context.scope, context.config).check()
        module, name = STORES[self.kind]
        return getattr(import_module(module), name)(self.load().open_driver(context))

    def load(self) -> ModuleType:
        """Import and return its module with its SDK and store: seconds at first, then nothing.

        Raises BackendNotInstalled.
        """
        import_module(STORES[self.kind][0])
        return self._module(self.module)

    def check_config(self, config: dict[str, Any]) -> None:
        """Check a route's config. Raises InvalidRouteConfig."""
        self.load().check_config(config)

    def boundary(self, scope: Scope, config: Mapping[str, Any]) -> Boundary:
        """Return what the config reaches, to be checked. Raises InvalidRouteConfig."""
        from signalbox.adapters.reach import Boundary

        return Boundary(scope, self.backend_type, self._config().reaches(config, self.kind))

    def location(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of a config that say where the data are, with defaults filled in.

        Configs that differ in none of them lead to the same data. Raises InvalidRouteConfig.
        """
        found: dict[str, Any] = self._config().location(config, self.kind)
        return found

    def _config(self) -> ModuleType:
        return self._module(f"{self.module.rpartition('.')[0]}.config")

    def _module(self, name: str) -> ModuleType:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == name.partition(".")[0]:
                raise  # A mistake in the backend's own code, not a missing package.
            raise BackendNotInstalled(
                f"the backend {self.backend_type} needs {error.name}, which is not installed here",
                kind=self.kind,
                backend_type=self.backend_type,
                next_step=f"install it: pip install 'signalbox[{self.backend_type}]'; then replay "
                "what failed",
            ) from error


STORES: Mapping[ResourceKind, tuple[str, str]] = {
    ResourceKind.OBJECT_STORE: ("signalbox.adapters.object_store", "ObjectStore"),
    ResourceKind.TABULAR_STORE: ("signalbox.adapters.tabular_store", "TabularStore"),
    ResourceKind.METRICS_STORE: ("signalbox.adapters.metrics_store", "MetricsStore"),
    ResourceKind.EVENT_STREAM: ("signalbox.adapters.event_stream", "EventStream"),
}
"""Module and class of the store of each kind, which implements the operations with a driver."""

CATALOGUE: tuple[Backend, ...] = (
    Backend(
        ResourceKind.OBJECT_STORE,
        "filesystem",
        "signalbox.adapters.filesystem.object_driver",
        capabilities=frozenset({Capability.CONDITIONAL_PUT, Capability.CONDITIONAL_DELETE}),
        lab_only=True,
        scopes_fail_alone=True,
        bulk_verbs=frozenset({"get", "head"}),
        ordered_bulk_verbs=frozenset({"put", "delete"}),
    ),
    Backend(
        ResourceKind.OBJECT_STORE,
        "s3",
        "signalbox.adapters.s3.object_driver",
        capabilities=frozenset(Capability),
    ),
    Backend(
        ResourceKind.OBJECT_STORE,
        "azure_blob",
        "signalbox.adapters.azure_blob.object_driver",
        capabilities=frozenset(Capability) - {Capability.PRESIGN_POST},
    ),
    Backend(
        ResourceKind.EVENT_STREAM,
        "filesystem",
        "signalbox.adapters.filesystem.stream_driver",
        lab_only=True,
        scopes_fail_alone=True,
        ordered_bulk_verbs=frozenset({"append"}),
    ),
    Backend(
        ResourceKind.TABULAR_STORE,
        "filesystem",
        "signalbox.adapters.filesystem.table_driver",
        lab_only=True,
        scopes_fail_alone=True,
        bulk_verbs=frozenset({"get"}),
        ordered_bulk_verbs=frozenset({"upsert", "delete"}),
    ),
    Backend(
        ResourceKind.METRICS_STORE,
        "filesystem",
        "signalbox.adapters.filesystem.metrics_driver",
        lab_only=True,
        scopes_fail_alone=True,
        bulk_verbs=frozenset({"ingest"}),
    ),
    Backend(
        ResourceKind.TABULAR_STORE,
        "firestore",
        "signalbox.adapters.firestore.table_driver",
        bulk_verbs=frozenset({"upsert"}),
    ),
    Backend(
        ResourceKind.METRICS_STORE,
        "firestore",
        "signalbox.adapters.firestore.metrics_driver",
        bulk_verbs=frozenset({"ingest"}),
    ),
    Backend(
        ResourceKind.EVENT_STREAM,
        "firestore",
        "signalbox.adapters.firestore.stream_driver",
        ordered_bulk_verbs=frozenset({"append"}),
    ),
    Backend(
        ResourceKind.TABULAR_STORE,
        "dynamodb",
        "signalbox.adapters.dynamodb.table_driver",
        bulk_verbs=frozenset({"upsert"}),
    ),
    Backend(
        ResourceKind.METRICS_STORE,
        "dynamodb",
        "signalbox.adapters.dynamodb.metrics_driver",
        bulk_verbs=frozenset({"ingest"}),
    ),
    Backend(
        ResourceKind.EVENT_STREAM,
        "dynamodb",
        "signalbox.adapters.dynamodb.stream_driver",
        ordered_bulk_verbs=frozenset({"append"}),
    ),
    Backend(
        ResourceKind.TABULAR_STORE,
        "postgres",
        "signalbox.adapters.postgres.table_driver",
        bulk_verbs=frozenset({"upsert"}),
    ),
)
"""The backends of this distribution."""

GROUP = "signalbox.backends"
"""Group of the entry points of other distributions."""


@cache
def catalogue() -> tuple[Backend, ...]:
    """Return all backends; those of other distributions cannot replace one of this distribution."""
    from importlib.metadata import entry_points  # takes a while and is rarely needed

    cells = {(entry.kind, entry.backend_type): entry for entry in CATALOGUE}
    for point in entry_points(group=GROUP):
        brought = point.load()
        for entry in (brought,) if isinstance(brought, Backend) else brought:
            cells.setdefault((entry.kind, entry.backend_type), entry)
    return tuple(cells.values())


def supported(kind: ResourceKind) -> list[str]:
    """Return the backend types for this kind."""
    return [entry.backend_type for entry in catalogue() if entry.kind is kind]


def _find(entries: Sequence[Backend], kind: ResourceKind, backend_type: str) -> Backend | None:
    for entry in entries:
        if entry.kind is kind and entry.backend_type == backend_type:
            return entry
    return None


def find_backend(kind: ResourceKind, backend_type: str) -> Backend:
    """Return the backend for a kind and type. Raises UnknownBackend and BackendNotImplemented."""
    # Entry points are searched only if needed, since that reads the metadata of all distributions.
    found = _find(CATALOGUE, kind, backend_type) or _find(catalogue(), kind, backend_type)
    if found is not None:
        return found
    choices = ", ".join(supported(kind)) or "no backend yet"
    if all(entry.backend_type != backend_type for entry in catalogue()):
        raise UnknownBackend(
            f"unknown backend {backend_type[:64]!r}",
            kind=kind,
            backend_type=backend_type[:64],
            next_step=f"{kind} is supported on: {choices}",
        )
    raise BackendNotImplemented(
        f"{kind} is not implemented on {backend_type}",
        kind=kind,
        backend_type=backend_type,
        next_step=f"{kind} is supported on: {choices}",
    )

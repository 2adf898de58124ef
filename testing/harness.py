"""Harnesses: a running server, and a route to it, for each backend that the suite tests.

A *harness* is a function without arguments whose context is a running server and the config of a
route to it. Those of this repository are registered by `tests/conformance/harness.py`; another
distribution names its own in an entry point of the group `signalbox.harnesses`, called
`<kind>-<backend type>`, and runs

    pytest --pyargs signalbox.testing.suite -k <backend type>
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from signalbox.adapters.catalogue import Backend, catalogue
from signalbox.commands.scope import ResourceKind

GROUP = "signalbox.harnesses"


@dataclass
class Harness:
    """A running backend, with the config of a route to it."""

    backend_type: str
    """Name of the backend type."""
    config: dict[str, Any]
    """A config that works."""
    unusable_config: dict[str, Any]
    """A valid config that names a bucket or base_dir which cannot be used."""


OpenHarness = Callable[[], AbstractContextManager[Harness]]


@contextmanager
def filesystem_harness() -> Iterator[Harness]:
    """A temporary directory; the unusable config is below a regular file."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file").touch()
        yield Harness(
            backend_type="filesystem",
            config={"base_dir": f"{directory}/objects"},
            unusable_config={"base_dir": f"{directory}/file/objects"},
        )


HARNESSES: dict[tuple[ResourceKind, str], OpenHarness] = {
    (kind, "filesystem"): filesystem_harness for kind in ResourceKind
}
"""The registered harnesses of this repository."""
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {"s3": {"boto3": {"engine": "boto3"}}}
"""Configs that make other code serve the same backend: its cases run with each of them too."""


def find_harness(backend: Backend) -> OpenHarness | None:
    """Return the harness of a backend; None if none is registered."""
    if (found := HARNESSES.get((backend.kind, backend.backend_type))) is not None:
        return found
    for entry in entry_points(group=GROUP, name=f"{backend.kind}-{backend.backend_type}"):
        opened: OpenHarness = entry.load()
        return opened
    return None


@dataclass(frozen=True)
class Variant(Backend):
    """A backend with one of these configs."""

    name: str = ""
    """Name of the config."""

    @property
    def config(self) -> dict[str, Any]:
        """The config."""
        return VARIANTS[self.backend_type][self.name]


def served(kinds: Collection[ResourceKind]) -> dict[str, Backend]:
    """Return the backends and variants that cases of these kinds run on, by name."""
    found = {}
    for entry in (entry for entry in catalogue() if entry.kind in kinds):
        found[f"{entry.kind}-{entry.backend_type}"] = entry
        for name in VARIANTS.get(entry.backend_type, ()):
            found[f"{entry.kind}-{entry.backend_type}-{name}"] = Variant(**vars(entry), name=name)
    return found

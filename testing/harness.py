"""A place for each backend in which the conformance suite may do what it likes.

A backend joins the suite by a *harness*: a function without arguments whose context is a running
server and the config of a route to it. Those of this repository are registered by
`tests/conformance/harness.py`; another distribution names its own in an entry point of the group
`signalbox.harnesses`, called `<kind>-<backend type>`, and runs

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
    """A backend that is up, and what a route to it says."""

    backend_type: str
    config: dict[str, Any]
    bad_place: dict[str, Any]
    """A well-formed config that names a bucket or base_dir which cannot be used."""


OpenHarness = Callable[[], AbstractContextManager[Harness]]


@contextmanager
def filesystem_harness() -> Iterator[Harness]:
    """A directory of its own; the bad place is one below a plain file."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "file").touch()
        yield Harness(
            backend_type="filesystem",
            config={"base_dir": f"{directory}/objects"},
            bad_place={"base_dir": f"{directory}/file/objects"},
        )


HARNESSES: dict[tuple[ResourceKind, str], OpenHarness] = {
    (kind, "filesystem"): filesystem_harness for kind in ResourceKind
}
"""Those of this repository that are registered."""
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {"s3": {"boto3": {"engine": "boto3"}}}
"""Configs with which other code serves the same backend: its cases run with each once more."""


def find_harness(backend: Backend) -> OpenHarness | None:
    """The harness of a backend; None: nobody has registered one."""
    if (found := HARNESSES.get((backend.kind, backend.backend_type))) is not None:
        return found
    for entry in entry_points(group=GROUP, name=f"{backend.kind}-{backend.backend_type}"):
        opened: OpenHarness = entry.load()
        return opened
    return None


@dataclass(frozen=True)
class Variant(Backend):
    """A cell of the catalogue with one of those configs."""

    name: str = ""

    @property
    def config(self) -> dict[str, Any]:
        return VARIANTS[self.backend_type][self.name]


def served(kinds: Collection[ResourceKind]) -> dict[str, Backend]:
    """All that the cases of these kinds run on, by name."""
    found = {}
    for entry in (entry for entry in catalogue() if entry.kind in kinds):
        found[f"{entry.kind}-{entry.backend_type}"] = entry
        for name in VARIANTS.get(entry.backend_type, ()):
            found[f"{entry.kind}-{entry.backend_type}-{name}"] = Variant(**vars(entry), name=name)
    return found

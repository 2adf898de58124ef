"""A config says where its data are, so that setting a route never leaves them behind."""

from __future__ import annotations

from signalbox.adapters.catalogue import Backend
from signalbox.commands.scope import ResourceKind
from signalbox.testing.harness import Harness

KINDS = tuple(ResourceKind)


def test_another_place_is_another_location(backend: Backend, harness: Harness) -> None:
    location = backend.location(harness.config)
    assert location
    assert set(location) == set(backend.location(harness.unusable_config))
    assert backend.location(harness.unusable_config) != location

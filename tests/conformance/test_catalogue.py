"""No backend goes untested unnoticed, and each says the same things about itself."""

from __future__ import annotations

import pytest

from signalbox.adapters.catalogue import CATALOGUE, Backend
from signalbox.adapters.port import AdapterContext
from signalbox.commands.error import ForbiddenBackend, InvalidRouteConfig
from signalbox.commands.scope import Mode, Scope
from signalbox.testing.harness import Harness
from tests.conformance.harness import HARNESSES

ENTRIES = [pytest.param(entry, id=f"{entry.kind}-{entry.backend_type}") for entry in CATALOGUE]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_cell_of_the_catalogue_has_a_harness(entry: Backend) -> None:
    assert (entry.kind, entry.backend_type) in HARNESSES


def test_every_harness_is_for_a_cell_of_the_catalogue() -> None:
    assert set(HARNESSES) <= {(entry.kind, entry.backend_type) for entry in CATALOGUE}


def test_a_harness_names_its_backend(backend: Backend, harness: Harness) -> None:
    assert harness.backend_type == backend.backend_type


def test_the_configs_of_a_harness_are_accepted_and_lead_to_two_places(
    backend: Backend, harness: Harness
) -> None:
    backend.check_config(harness.config)
    backend.check_config(harness.unusable_config)
    assert harness.config != harness.unusable_config


def test_an_empty_config_is_refused_with_the_next_step(backend: Backend) -> None:
    with pytest.raises(InvalidRouteConfig) as refused:
        backend.check_config({})
    assert refused.value.backend_type == backend.backend_type
    assert refused.value.next_step


def test_an_unknown_config_key_is_refused_by_name(backend: Backend, harness: Harness) -> None:
    with pytest.raises(InvalidRouteConfig) as refused:
        backend.check_config(harness.config | {"colour": "green"})
    assert "colour" in str(refused.value)


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode.sellable])
def test_a_lab_backend_refuses_a_sellable_mode_and_the_others_open_in_it(
    backend: Backend, harness: Harness, mode: Mode, tenant: str
) -> None:
    scope = Scope(kind=backend.kind, tenant_id=tenant, env="prod")
    context = AdapterContext(scope=scope, mode=mode, config=harness.config)
    if not backend.lab_only:
        backend.open(context).close()
        return
    with pytest.raises(ForbiddenBackend) as refused:
        backend.open(context)
    detail = refused.value.detail()
    assert (detail.code, detail.http_status) == ("FORBIDDEN_BACKEND_CLASS", 403)
    assert (detail.kind, detail.tenant_id, detail.env) == (backend.kind, tenant, "prod")
    assert detail.backend_type == backend.backend_type
    assert detail.next_step

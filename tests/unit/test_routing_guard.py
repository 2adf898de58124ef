"""The guard: what is for the lab does not hold what is sold."""

from __future__ import annotations

import pytest

from signalbox.adapters.catalogue import find_backend
from signalbox.commands.error import ForbiddenBackend
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.routing.policy.mode_check import check_mode

SCOPE = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_x", env="dev")
LAB_ONLY = find_backend(SCOPE.kind, "filesystem")
SOLD = [mode for mode in Mode if mode.sellable]


@pytest.mark.parametrize("sold", SOLD)
def test_the_stricter_of_two_modes_holds_whichever_side_names_it(sold: Mode) -> None:
    for modes in ((sold,), (sold, Mode.LAB), (Mode.LAB, sold)):
        with pytest.raises(ForbiddenBackend) as caught:
            check_mode(SCOPE, LAB_ONLY, *modes)
        assert (caught.value.code, caught.value.http_status) == ("FORBIDDEN_BACKEND_CLASS", 403)
        text = str(caught.value)
        for word in ("object_store", "t_x", "dev", "filesystem", sold.value):
            assert word in text
        assert caught.value.next_step


def is_allowed(backend_type: str, mode: Mode) -> bool:
    try:
        check_mode(SCOPE, find_backend(SCOPE.kind, backend_type), mode, Mode.LAB)
    except ForbiddenBackend:
        return False
    return True


@pytest.mark.parametrize("mode", list(Mode))
def test_a_cloud_backend_serves_every_mode_and_a_folder_the_lab(mode: Mode) -> None:
    assert is_allowed("s3", mode)
    assert is_allowed("filesystem", mode) == (mode is Mode.LAB)

"""What Firestore reports, in the vocabulary of the project; never in the service's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from signalbox.adapters.batch import RequestSize
from signalbox.adapters.failure import Reporter
from signalbox.adapters.firestore.config import read_config
from signalbox.adapters.firestore.database import MAX_BYTES, room
from signalbox.adapters.firestore.failure import SERVICE, translate
from signalbox.adapters.firestore.table_driver import open_driver
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.tabular_store import TabularStore
from signalbox.commands.error import (
    Contended,
    LeaseExpired,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Throttled,
    TooLarge,
    Unavailable,
)
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.tabular_store import GetRow

SCOPE = Scope(kind=ResourceKind.TABULAR_STORE, tenant_id="t_a", env="dev")


@pytest.mark.parametrize(
    ("family", "message", "kind"),
    [
        (api.NotFound, "hunter2", Misconfigured),
        (api.FailedPrecondition, "hunter2 is in Datastore mode", Misconfigured),
        (api.MethodNotImplemented, "hunter2", Misconfigured),
        (api.InvalidArgument, "hunter2 is no name", Misconfigured),
        (api.InvalidArgument, "the value of property hunter2 is longer than 1048487", TooLarge),
        (api.InvalidArgument, "hunter2: too many index entries", TooLarge),
        (api.PermissionDenied, "hunter2", PermissionDenied),
        (api.Unauthenticated, "hunter2", PermissionDenied),
        (auth.RefreshError, "hunter2", PermissionDenied),
        (api.ServiceUnavailable, "plugin failed: invalid_grant hunter2", PermissionDenied),
        (api.ResourceExhausted, "hunter2", Throttled),
        (api.ServiceUnavailable, "hunter2", Unavailable),
        (api.DeadlineExceeded, "hunter2", Unavailable),
        (api.Aborted, "hunter2", Contended),
        (api.InternalServerError, "hunter2", Unavailable),
        (api.Cancelled, "hunter2", Unavailable),
        (auth.TransportError, "hunter2", Unavailable),
    ],
)
def test_each_family_of_errors_has_its_meaning_and_a_next_step(
    family: type[api.GoogleAPICallError | auth.GoogleAuthError],
    message: str,
    kind: type[SignalboxError],
) -> None:
    error = family(message)
    with pytest.raises(kind) as caught, Reporter(SERVICE, SCOPE).errors():
        raise error
    assert type(caught.value) is type(translate(error))
    assert "hunter2" not in str(caught.value)
    detail = caught.value.detail()
    assert detail.next_step
    assert (detail.kind, detail.tenant_id, detail.backend_type) == (
        "tabular_store",
        "t_a",
        "firestore",
    )


def test_nothing_is_asked_once_the_lease_ran_out(tmp_path: Path) -> None:
    config = {"project": "signalbox-lab", "emulator_host": "127.0.0.1:1"}
    assert read_config(config, SCOPE.kind).emulator_host
    store = TabularStore(open_driver(AdapterContext(scope=SCOPE, mode=Mode.LAB, config=config)))
    call = Call("op", 1, False, 0.0, DirectoryPayloadStore(tmp_path))
    with pytest.raises(LeaseExpired):
        store.get(GetRow(tenant_id="t_a", env="dev", table_name="a", key="b"), call)


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [
        ([], []),
        ([1] * 7, [3, 3, 1]),
        ([MAX_BYTES, 1, 1], [1, 2]),
        ([MAX_BYTES * 2], [1]),
        ([1, MAX_BYTES - 1, 1], [2, 1]),
    ],
)
def test_requests_are_cut_by_number_and_by_bytes(sizes: list[int], cut: list[int]) -> None:
    parts = list(RequestSize(3, MAX_BYTES).cut(sizes))
    assert [len(part) for part in parts] == cut
    assert [number for part in parts for number in part] == list(range(len(sizes)))


def test_a_request_of_the_worst_documents_stays_within_what_firestore_takes() -> None:
    assert 6 / 3 * MAX_BYTES < 10 * 1024 * 1024
    assert room(0) > 0

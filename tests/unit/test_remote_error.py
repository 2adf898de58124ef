"""What failed in a worker is raised as what it is."""

from __future__ import annotations

import copy
import pickle

import pytest

from signalbox.commands.error import (
    BackendError,
    NotFound,
    OpIdReused,
    PreconditionFailed,
    RemoteError,
    SignalboxError,
    StateUnavailable,
)

ERRORS: list[SignalboxError] = [
    NotFound("no such object", kind="object_store", tenant_id="t_a", env="dev", next_step="look"),
    PreconditionFailed("another ETag"),
    OpIdReused("it is taken"),
    StateUnavailable("it is away"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_a_remote_error_is_of_the_class_of_its_code(error: SignalboxError) -> None:
    raised = RemoteError(error.detail())
    assert isinstance(raised, type(error))
    assert isinstance(raised, RemoteError)
    assert raised.detail() == error.detail()
    assert str(raised) == str(error)
    for other in (copy.copy(raised), pickle.loads(pickle.dumps(raised))):  # noqa: S301 - our own
        assert type(other) is type(raised)
        assert other.detail() == raised.detail()


def test_only_its_own_class_and_those_above_catch_it() -> None:
    raised = RemoteError(NotFound("no").detail())
    assert isinstance(raised, BackendError)
    assert not isinstance(raised, PreconditionFailed)
    assert type(raised).__name__ == "NotFound"


def test_a_code_of_a_later_release_is_an_error_all_the_same() -> None:
    detail = NotFound("no").detail().model_copy(update={"code": "NEW_ONE", "http_status": 418})
    raised = RemoteError(detail)
    assert type(raised) is RemoteError
    assert (raised.code, raised.http_status) == ("NEW_ONE", 418)

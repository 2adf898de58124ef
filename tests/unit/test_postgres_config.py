"""The config of routes to PostgreSQL, and what its errors become."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from signalbox.adapters.postgres.config import read_config
from signalbox.adapters.postgres.failure import translate
from signalbox.commands.error import (
    BackendResting,
    Contended,
    InvalidRouteConfig,
    Misconfigured,
    PermissionDenied,
    SignalboxError,
    Unavailable,
)

GOOD = {"host": "db", "database": "data", "user": "signalbox"}


def test_a_port_may_come_as_text_from_the_command_line() -> None:
    assert read_config(GOOD | {"port": "6432"}).port == 6432


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"port": 0},
        {"sslmode": "prefer"},
        {"db_schema": 'a"; drop'},
        {"colour": "green"},
    ],
)
def test_a_config_that_cannot_be_is_refused_with_the_next_step(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRouteConfig) as refused:
        read_config(GOOD | wrong)
    assert refused.value.next_step


@pytest.mark.parametrize("key", ["password", "dsn", "url", "secret"])
def test_credentials_in_a_route_are_refused_without_repeating_them(key: str) -> None:
    with pytest.raises(InvalidRouteConfig, match="never stand in a route") as refused:
        read_config(GOOD | {key: "hunter2"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidPassword("secret"), PermissionDenied),
        (errors.InvalidCatalogName("secret"), Misconfigured),
        (errors.DeadlockDetected("secret"), Contended),
        (errors.QueryCanceled("secret"), Contended),
        (errors.SerializationFailure("secret"), Contended),
        (errors.LockNotAvailable("secret"), BackendResting),
        (psycopg.OperationalError("secret"), Unavailable),
    ],
)
def test_an_error_is_told_in_our_words_without_its_text(
    error: Exception, kind: type[SignalboxError]
) -> None:
    told = translate(error)
    assert type(told) is kind
    assert "secret" not in str(told)
    assert told.next_step

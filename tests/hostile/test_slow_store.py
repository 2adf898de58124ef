"""Whatever takes too long ends as an error of its call, on every object store over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signalbox.commands.error import SignalboxError, Unavailable
from tests.hostile.server import Behaviour, serve
from tests.hostile.slow import (
    SLOW,
    drips_an_error,
    drips_the_body,
    reads_a_byte_at_a_time,
    stalls_mid_body,
)
from tests.hostile.store import (
    ALL,
    BACKENDS,
    LARGE,
    Operation,
    Shop,
    delete,
    get,
    get_range,
    head,
    list_keys,
    open_shop,
    put_large,
    register,
)

WAIT = 120
"""Seconds after which a call counts as held for ever; no server here ends one before."""


def end_of(operation: Operation, shop: Shop) -> SignalboxError | None:
    try:
        operation(shop)
    except SignalboxError as error:
        return error
    return None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("behaviour", SLOW)
def test_a_call_ends_by_itself(
    backend: str, behaviour: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 0.4)
    with serve(behaviour) as server, ThreadPoolExecutor(len(ALL)) as threads:
        shop = open_shop(backend, server.endpoint, tmp_path)
        operations = [each for each in ALL if _meets(each, behaviour)]
        ends = [threads.submit(end_of, each, shop) for each in operations]
        for operation, end in zip(operations, ends, strict=True):
            error = end.result(WAIT)
            assert isinstance(error, Unavailable), operation
            assert "too slow" in error.message, (operation, error)
            assert error.backend_type == backend.partition("-")[0]
            assert error.tenant_id == "t_demo"
            assert error.next_step


def _meets(operation: Operation, behaviour: Behaviour) -> bool:
    if behaviour is reads_a_byte_at_a_time:
        return operation is put_large
    if behaviour is drips_an_error:
        # A HEAD has no body that could be slow, and the answer to it is an error at once.
        return operation not in (head, delete, register)
    # What is large is of another range than was asked for.
    return behaviour not in (drips_the_body, stalls_mid_body) or operation not in (head, get_range)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_ends_with_its_lease_if_that_is_sooner(backend: str, tmp_path: Path) -> None:
    # Of a write's lease a part is kept for the service, so a busy machine may not begin it.
    operations = (get, list_keys)
    with serve(drips_the_body) as server, ThreadPoolExecutor(len(operations)) as threads:
        shop = open_shop(backend, server.endpoint, tmp_path, seconds=5)
        for end in [threads.submit(end_of, each, shop) for each in operations]:
            error = end.result(WAIT)
            assert isinstance(error, Unavailable), error
            assert "too slow" in error.message


def test_the_large_content_is_more_than_buffers_take() -> None:
    assert len(LARGE) > 4 * 1024 * 1024

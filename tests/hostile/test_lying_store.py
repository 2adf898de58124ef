"""Whatever a server says that cannot be, ends as a typed error, and nothing of it gets through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signalbox.commands.error import IntegrityMismatch, InternalError, SignalboxError
from tests.hostile.lying import (
    OF_ALL,
    OF_CONTENT,
    OF_LISTS,
    OF_ONE,
    code_with_escapes,
    etag_with_escapes,
    lists_more_than_was_asked,
    lists_what_is_anothers,
    long_etag,
    without_etag,
)
from tests.hostile.server import Behaviour, serve
from tests.hostile.store import (
    ALL,
    BACKENDS,
    Operation,
    delete,
    get,
    get_range,
    head,
    list_keys,
    open_shop,
    put,
    replace,
)
from tests.hostile.test_slow_store import WAIT, end_of

CASES: list[tuple[Behaviour, tuple[Operation, ...]]] = [
    *((each, (get, get_range, head)) for each in OF_ONE),
    *((each, (put, replace)) for each in (without_etag, etag_with_escapes, long_etag)),
    *((each, (get, get_range)) for each in OF_CONTENT),
    *((each, ALL) for each in OF_ALL),
    *((each, (list_keys,)) for each in OF_LISTS),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("behaviour", "operations"), CASES)
def test_what_cannot_be_is_a_typed_error(
    backend: str,
    behaviour: Behaviour,
    operations: tuple[Operation, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A flood is over sooner.
    monkeypatch.setattr("signalbox.adapters.deadline.ANSWER_BYTES", 2_000_000)
    with serve(behaviour) as server, ThreadPoolExecutor(len(ALL)) as threads:
        shop = open_shop(backend, server.endpoint, tmp_path)
        ends = [threads.submit(end_of, each, shop) for each in operations]
        for operation, end in zip(operations, ends, strict=True):
            error = end.result(WAIT)
            assert isinstance(error, SignalboxError), f"{operation.__name__} believed it"
            assert not isinstance(error, InternalError)
            assert error.backend_type == backend.partition("-")[0]
            assert error.next_step
            text = str(error)
            assert text.isprintable()
            assert len(text) < 400, text
            assert "t_other" not in text


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("behaviour", [lists_what_is_anothers, lists_more_than_was_asked])
def test_an_answer_to_another_question_is_no_matter_of_time(
    backend: str, behaviour: Behaviour, tmp_path: Path
) -> None:
    with serve(behaviour) as server:
        error = end_of(list_keys, open_shop(backend, server.endpoint, tmp_path))
    assert isinstance(error, IntegrityMismatch)
    assert not error.temporary


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_code_that_cannot_be_shown_gives_way_to_the_status(backend: str, tmp_path: Path) -> None:
    with serve(code_with_escapes) as server:
        error = end_of(delete, open_shop(backend, server.endpoint, tmp_path))
    assert error is not None
    assert "400" in error.message
    assert "forged" not in error.message

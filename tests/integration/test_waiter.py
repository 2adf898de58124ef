"""The client's listener for outcomes."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from signalbox.producers.client import outcome_waiter as waiter
from tests.integration.conftest import RunningStack


def listeners() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "signalbox-outcomes"]


def test_closing_a_client_ends_its_listener_at_once(
    two_workers: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiter, "LISTEN_SECONDS", 3600.0)
    before = set(listeners())  # of clients of other tests, which may end meanwhile
    with two_workers.client() as client:
        listener = waiter.OutcomeWaiter(client.state, client.ledger)
        listener.wait(["nobody/dev/none"], timedelta(0))
        [its] = set(listeners()) - before
        listener.close()
        its.join(60)
        assert not its.is_alive()

"""What is acknowledged is on a replica first, where that is set, whichever step it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.ledger.dead import DeadLetters
from signalbox.commands.ledger.entry import Action
from signalbox.commands.ledger.era import LedgerEras
from signalbox.commands.state import State, connect
from tests.integration.parcel_harness import ParcelHarness
from tests.integration.test_ledger import put


@pytest.fixture
def careful(
    state: State, state_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ParcelHarness, ParcelHarness]]:
    """A ledger on a server without a replica, for who asks for one and for who does not."""
    monkeypatch.setattr("signalbox.commands.exchange.WAIT_MS", 50)
    harness = ParcelHarness(state)
    assert harness.ledger.totals()["open"] == 0
    with connect(state_url, ledger_shards=16, replicas=1) as client:
        yield ParcelHarness(client), harness


def test_each_step_is_acknowledged_when_a_replica_has_it(
    careful: tuple[ParcelHarness, ParcelHarness],
) -> None:
    asking, other = careful
    other.submit(put("a"), put("b"))
    whole = other.taken()
    other.submit(put("c"), put("d"))
    partly = other.taken()
    [retried, _] = partly.claimed
    other.submit(put("e"))
    record, dead = put("f"), put("g")
    other.submit(record, dead, as_records=True)
    claimed = other.claim(record)
    other.finish(*other.claim(dead), action=Action.DEAD)
    letters = DeadLetters(asking.connection, asking.settings)
    steps: dict[str, Callable[[], object]] = {
        "submit in parcels": lambda: asking.submit(put("h")),
        "submit as records": lambda: asking.submit(put("i"), as_records=True),
        "take": asking.taken,
        "end, all done": lambda: asking.end(whole),
        "end, not all done": lambda: asking.end(partly, {retried.command.ref: Action.RETRY}),
        "claim": lambda: asking.claim(record),
        "finish": lambda: asking.finish(*claimed),
        "replay": lambda: letters.replay([dead.ref]),
        "purge": lambda: letters.purge([dead.ref]),
        "rebase": lambda: LedgerEras(asking.connection).rebase("1"),
    }
    for step in steps.values():
        with pytest.raises(StateUnavailable, match="0 of 1 replicas"):
            step()

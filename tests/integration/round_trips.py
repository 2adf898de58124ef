"""Records what is sent to the one server of a state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from signalbox.commands.exchange import Unit, exchange, exchange_with_one


@contextmanager
def round_trips() -> Iterator[list[list[str]]]:
    """Yield the names of the commands of each round trip that is made meanwhile."""
    trips: list[list[str]] = []

    def recorded(server: redis.Redis, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        trips.append([str(command[0]) for command in commands])
        return exchange_with_one(server, commands)

    def recorded_units(parts: Any, units: Sequence[Unit], *more: Any) -> None:
        trips.append([str(command[0]) for unit in units for command in unit.commands])
        exchange(parts, units, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signalbox.commands.state.exchange", recorded_units)
        patch.setattr("signalbox.commands.state.exchange_with_one", recorded)
        yield trips

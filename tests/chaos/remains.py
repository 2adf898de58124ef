"""What a ledger in which nothing is open must not hold any more.

A count that drifts stalls the window of its scope, and a key that nobody gives up stalls its order.
"""

from __future__ import annotations

from signalbox.commands.ledger.layout import shards_of
from signalbox.commands.state import State

OF_OPEN_COMMANDS = {"par", "pdue", "due", "hold", "holds", "rdy", "c", "keys", "ord"}


def remains(state: State) -> list[str]:
    """The keys and counts that should have gone with the last open command, by name."""
    found: list[str] = []
    for shard in shards_of(state).tags:
        for key in state.scan(f"{shard}:*", shard):
            name = key.decode()
            if name.removeprefix(f"{shard}:").partition(":")[0] in OF_OPEN_COMMANDS:
                found.append(name)
        for field, value in state.call("HGETALL", f"{shard}:open").items():
            # Until when help is awaited is a time.
            if not field.startswith(b"g/") and int(value) != 0:
                found.append(f"{shard}:open {field.decode()} {int(value)}")
        running = state.call("HGET", f"{shard}:count", "running")
        if running and int(running) != 0:
            found.append(f"{shard}:count running {int(running)}")
    return found

"""All entrances of a deployment, and attacks at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from signalbox.commands.object_store import PutObject
from signalbox.commands.state import State
from tests.integration.attacks.attacker import Attacker, Draw
from tests.integration.attacks.changes import Changes
from tests.integration.attacks.http import Http
from tests.integration.attacks.ledger_entries import Parcels, Records
from tests.integration.attacks.messages import Messages
from tests.integration.attacks.table import ENTRANCES
from tests.integration.signed_deployment import put

REGISTRY = "registry"
TOGETHER = 8
"""About how many attacks a worker finds at once."""


class Entrances:
    """Tries attacks, and remembers the commands that honest producers sent meanwhile."""

    def __init__(
        self, attacker: Attacker, http: httpx.Client, look: Callable[[PutObject], None]
    ) -> None:
        """`look` is called while the registry is as an attack left it, with a command that an
        honest producer has submitted then."""
        self.attacker, self.look = attacker, look
        self.http, self.changes = Http(attacker, http), Changes(attacker)
        kinds = (
            Messages(attacker).kinds,
            self.http.kinds,
            Records(attacker).kinds,
            Parcels(attacker).kinds,
            self.changes.kinds,
        )
        self.kinds: dict[tuple[str, str], Draw] = {
            (entrance, kind): draw
            for entrance, its in zip(ENTRANCES, kinds, strict=True)
            for kind, draw in its.items()
        }
        self.honest: list[PutObject] = []
        self.client = attacker.site.client(attacker.owner)

    def attack(self, times: int) -> None:
        """Each kind once, and then some more at random."""
        for entrance, kind in self.kinds:
            self.try_one(entrance, kind)
        for _ in range(times - len(self.kinds)):
            self.try_one(*self.attacker.random.choice(list(self.kinds)))

    def try_one(self, entrance: str, kind: str) -> None:
        attacker, draw = self.attacker, self.kinds[entrance, kind]
        attacker.tried[entrance, kind] += 1
        if entrance != REGISTRY:
            draw()
            if attacker.random.random() < 1 / TOGETHER:
                attacker.site.run_all()
            return
        saved = registry_of(attacker.site.state)
        draw()
        command = put(f"beside/{len(self.honest)}", b"honest")
        self.honest.append(command)
        self.client.submit(command)
        attacker.site.run_all()
        self.look(command)
        restore(attacker.site.state, saved)


def registry_of(state: State) -> dict[bytes, bytes | None]:
    """All that the registry holds."""
    server = state.server()
    names: Any = server.keys("{rt}*")
    with server.pipeline() as calls:
        for name in names:
            calls.dump(name)
        return dict(zip(names, calls.execute(), strict=True))


def restore(state: State, saved: dict[bytes, bytes | None]) -> None:
    """Put it back."""
    server = state.server()
    with server.pipeline() as calls:
        for key in set(server.keys("{rt}*")) - saved.keys():
            calls.delete(key)
        for key, value in saved.items():
            calls.restore(key, 0, value or b"", replace=True)
        calls.execute()

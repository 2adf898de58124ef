"""Clients, workers, a backend and a ledger in parcels, and what must hold of them at each moment.

Fields whose names begin with `real_` are what an observer knows and the system does not.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.model.parcel.ledger import DONE, Ledger, Parcel


class Scene(NamedTuple):
    """Who submits what, and which faults there may be, how often."""

    keys: tuple[int, ...] = (0, 1, 0)
    """The key of each command."""
    calls: tuple[tuple[int, ...], ...] = ((0, 1), (2,))
    """What each client submits in one call."""
    window: int = 0
    """Commands on the queue; 0: any number."""
    fenced: bool = False
    """The backend compares numbers, so that effects may come after their lease."""
    crashes: int = 0
    """Of workers."""
    clients_crash: int = 0
    answers_lost: int = 0
    rings_lost: int = 0
    late: int = 0
    """Leases that end while their worker lives."""
    retries: int = 0
    """Temporary errors, with the effect or without it."""
    failures: int = 0
    """Permanent ones."""
    early: int = 0
    """Ends of a parcel of which some commands still run."""
    replays: int = 0
    """Of dead letters."""
    switches: int = 0
    server_restarts: int = 0
    restores: int = 0
    rebases: int = 0

    def fewer(self, fault: str) -> Scene:
        return self._replace(**{fault: getattr(self, fault) - 1})


class Client(NamedTuple):
    ops: tuple[int, ...] = ()
    """Yet to be submitted in a parcel."""
    refused: tuple[int, ...] = ()
    """And as records."""


class Item(NamedTuple):
    """A command in a worker's hand."""

    op: int
    parcel: int
    """0: it is a record."""
    seq: int
    mark: int
    takeover: bool
    end: str = ""
    real: int = 0
    real_route: int = 0
    """That at its take or claim."""


class Worker(NamedTuple):
    token: int = 0
    items: tuple[Item, ...] = ()
    drains: bool = False
    """It takes again when it has nothing in hand."""
    asking: bool = False
    """For the answer to a take that was lost."""
    route: int = -1
    """As its fence said; -1: not read."""
    late: bool = False
    """Its lease is over, as it knows by its own clock."""

    def may_end(self) -> list[int]:
        """Parcels in hand of which nothing runs any more."""
        running = {item.parcel for item in self.items if not item.end}
        return sorted({item.parcel for item in self.items if item.parcel} - running)

    def rested(self) -> Worker:
        if self.items:
            return self
        return Worker(drains=True) if self.drains else IDLE


IDLE = Worker()


class World(NamedTuple):
    ledger: Ledger
    scene: Scene
    clients: tuple[Client, ...]
    workers: tuple[Worker, Worker] = (IDLE, IDLE)
    looked: Parcel | None = None
    """A parcel whose lease was over when the reconciler looked."""
    time: int = 0
    server: int = 1
    route: int = 0
    copy: Ledger | None = None
    stored: tuple[tuple[int, int, int], ...] = ()
    """By backend and key: the mark of what is there, its number, and the true one."""
    real_told: frozenset[int] = frozenset()
    """Accepted, as a client was told."""
    real_accepted: frozenset[int] = frozenset()
    real_written: frozenset[tuple[int, int, int]] = frozenset()
    """Command, mark and route."""
    real_ended: frozenset[int] = frozenset()
    real_dead: frozenset[int] = frozenset()
    """Tokens with which workers died."""
    real_lost: bool = False
    """The ledger was restored from a copy."""
    wrong: str = ""

    def unlike(self) -> list[tuple[int, Worker]]:
        """Of two workers in the same state only one: what the other does is the same."""
        both = list(enumerate(self.workers))
        return both[:1] if self.workers[0] == self.workers[1] else both

    def with_worker(self, index: int, worker: Worker) -> World:
        first, second = self.workers
        return self._replace(workers=(worker, second) if index == 0 else (first, worker))

    def with_client(self, index: int, client: Client) -> World:
        clients = (*self.clients[:index], client, *self.clients[index + 1 :])
        return self._replace(clients=clients)

    def lives(self, token: int) -> bool:
        return any(worker.token == token for worker in self.workers)

    def unused_token(self) -> int:
        """One that nobody has or remembers: tokens are compared, and nothing else."""
        used = {worker.token for worker in self.workers} | self.real_dead
        for ledger in (self.ledger, self.copy or self.ledger):
            used.update(parcel.token for parcel in ledger.parcels)
            used.update(record.token for record in ledger.records if record)
            used.update(token for token, _ in ledger.took)
        return next(token for token in range(1, 99) if token not in used)

    def judged(self) -> World:
        """With what is wrong now, whichever step led here; workers that change places are the
        same."""
        world = self
        if world.workers[0] > world.workers[1]:
            world = world._replace(workers=(world.workers[1], world.workers[0]))
        if world.wrong:
            return world
        wrong = next((w for op in range(len(world.ledger.ids)) if (w := world._wrong_of(op))), "")
        return world._replace(wrong=wrong) if wrong else world

    def _wrong_of(self, op: int) -> str:
        ledger, end = self.ledger, self.ledger.end_of(op)
        if ledger.records[op] is not None and (ledger.is_done(op) or ledger.parcel(ledger.ids[op])):
            return "it stands in two places"
        if op in self.real_ended and not end:
            return "its outcome cannot be read"
        if op in self.real_told and not ledger.is_known(op):
            return "what was accepted is lost"
        effect = self.real_lost or any(entry[0] == op for entry in self.real_written)
        if end == DONE and not effect:
            return "done is said of what had no effect"
        return ""

    def left_over(self) -> str:
        """What has not come to its end; '' if all has, as it must where nobody goes on."""
        ledger = self.ledger
        if any(client != Client() for client in self.clients):
            return "a client is not told"
        if any(worker != IDLE for worker in self.workers) or ledger.rings:
            return "a worker does not go on"
        if any(ledger.is_known(op) and not ledger.end_of(op) for op in range(len(ledger.ids))):
            return "a command is open for ever"
        if ledger.parcels or any(ledger.lists) or any(ledger.held_keys) or ledger.held:
            return "something is left behind"
        return ""

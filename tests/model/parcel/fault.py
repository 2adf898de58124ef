"""What may go wrong, as often as the scene says; nothing relies on any of it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.parcel.client import Clients
from tests.model.parcel.worker import Workers
from tests.model.parcel.world import IDLE, World


class Faults:
    def __init__(self, clients: Clients, workers: Workers) -> None:
        self._clients = clients
        self._workers = workers

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        scene, ledger = world.scene, world.ledger
        if scene.clients_crash:
            yield from self._clients.dying(_fewer(world, "clients_crash"))
        if scene.replays:
            yield from self._clients.replaying(_fewer(world, "replays"))
        if scene.answers_lost:
            fewer = _fewer(world, "answers_lost")
            yield from self._clients.without_answer(fewer)
            yield from self._workers.without_answer(fewer)
        if scene.early:
            yield from self._workers.ending_early(_fewer(world, "early"))
        if scene.crashes:
            yield from _dying(_fewer(world, "crashes"))
        if scene.late:
            yield from _late(_fewer(world, "late"))
        if scene.rings_lost and ledger.rings:
            fewer = _fewer(world, "rings_lost")
            yield "a ring is lost", fewer._replace(ledger=ledger._replace(rings=ledger.rings - 1))
        if ledger.ready() and not ledger.rings:
            # No fault, but not to be relied on: much is ready, or the drain at work takes long.
            yield "help is rung for", world._replace(ledger=ledger._replace(bell=True, rings=1))
        if scene.switches:
            yield (
                "the route is switched",
                _fewer(world, "switches")._replace(route=world.route + 1),
            )
        if scene.server_restarts:
            restarted = _fewer(world, "server_restarts")._replace(server=world.server + 1)
            yield "server restarts", restarted
        if scene.rebases and ledger.seq > ledger.older:
            rebased = ledger._replace(older=ledger.seq)
            yield "rebase", _fewer(world, "rebases")._replace(ledger=rebased)
        if scene.restores and world.copy is None:
            yield "copy", world._replace(copy=ledger)
        if scene.restores and world.copy not in (None, ledger):
            yield "restore", _restored(_fewer(world, "restores"))


def _fewer(world: World, fault: str) -> World:
    return world._replace(scene=world.scene.fewer(fault))


def _dying(world: World) -> Iterator[tuple[str, World]]:
    for index, worker in world.unlike():
        if worker != IDLE:
            dead = world.real_dead | ({worker.token} if worker.token else set())
            yield f"{index} dies", world.with_worker(index, IDLE)._replace(real_dead=dead)


def _late(world: World) -> Iterator[tuple[str, World]]:
    """A worker's lease ends, and the reconciler sees that of a parcel; or of its records."""
    ledger = world.ledger
    for index, worker in world.unlike():
        if not worker.token or worker.late:
            continue
        after = world.with_worker(index, worker._replace(late=True))
        for parcel in ledger.parcels:
            if world.looked is None and parcel.token == worker.token:
                yield f"{index} is late with {parcel.number}", after._replace(looked=parcel)
        records = tuple(
            record._replace(lease_over=True) if record and record.token == worker.token else record
            for record in ledger.records
        )
        if records != ledger.records:
            yield f"{index} is late", after._replace(ledger=ledger._replace(records=records))


def _restored(world: World) -> World:
    """The ledger is what it was at the copy."""
    assert world.copy is not None
    workers = []
    for worker in world.workers:
        # No effect begins once the lease is over; an end is told as soon as there is a server.
        kept = tuple(item for item in worker.items if item.end)
        workers.append(worker._replace(items=kept) if kept else IDLE)
    ledger = world.copy._replace(rings=world.ledger.rings)
    known = frozenset(op for op in range(len(ledger.ids)) if ledger.is_known(op))
    return world._replace(
        ledger=ledger,
        copy=None,
        server=world.server + 1,
        looked=None,
        workers=(workers[0], workers[1]),
        real_told=world.real_told & known,
        real_accepted=known,
        real_ended=frozenset(op for op in known if ledger.end_of(op)),
        real_lost=True,
    )

"""What clients do: what is ordinary in a parcel, and what comes back of it as records."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.parcel.ledger import FAILED, POISON, Ledger
from tests.model.parcel.script import Scripts
from tests.model.parcel.world import Client, World


class Clients:
    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        for index, client in enumerate(world.clients):
            if client.ops:
                yield f"client {index} submits a parcel", self._submit(world, index)
            if client.refused:
                yield f"client {index} submits records", self._submit_refused(world, index)

    def without_answer(self, world: World) -> Iterator[tuple[str, World]]:
        for index, client in enumerate(world.clients):
            if client.ops:
                after = self._submit(world, index)
            elif client.refused:
                after = self._submit_refused(world, index)
            else:
                continue
            after = after.with_client(index, client)._replace(real_told=world.real_told)
            yield f"client {index} gets no answer", after

    def dying(self, world: World) -> Iterator[tuple[str, World]]:
        """One begins anew what it was not told of yet."""
        for index, client in enumerate(world.clients):
            again = Client(ops=world.scene.calls[index])
            if client not in (Client(), again):
                yield f"client {index} begins anew", world.with_client(index, again)

    def replaying(self, world: World) -> Iterator[tuple[str, World]]:
        """An operator has dead letters run again."""
        for op, record in enumerate(world.ledger.records):
            if record is not None and record.end in (FAILED, POISON):
                ledger = self._scripts.replay(world.ledger, op, world.time)
                ended = world.real_ended - {op}
                after = world._replace(ledger=ledger, time=world.time + 1, real_ended=ended)
                yield f"{op} is replayed", after

    def _submit(self, world: World, index: int) -> World:
        client = world.clients[index]
        ledger, refused = self._scripts.submit_parcel(world.ledger, client.ops, world.time)
        accepted = tuple(op for op in client.ops if op not in refused)
        world = _accept(world, ledger, accepted)
        return world.with_client(index, Client(refused=refused))

    def _submit_refused(self, world: World, index: int) -> World:
        client = world.clients[index]
        for op in client.refused:
            ledger = self._scripts.submit_record(world.ledger, op, world.time)
            world = _accept(world, ledger, (op,) if ledger != world.ledger else ())
        world = world._replace(real_told=world.real_told.union(client.refused))
        return world.with_client(index, client._replace(refused=()))


def _accept(world: World, ledger: Ledger, ops: tuple[int, ...]) -> World:
    wrong = "accepted twice" if world.real_accepted.intersection(ops) else ""
    return world._replace(
        ledger=ledger,
        time=world.time + len(ops),
        real_accepted=world.real_accepted.union(ops),
        real_told=world.real_told.union(ops),
        wrong=world.wrong or wrong,
    )

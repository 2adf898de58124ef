"""What workers do: they take parcels and claim records, run them, and tell their ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.model.parcel.backend import write
from tests.model.parcel.ledger import DONE, FAILED, MAX_DEATHS, POISON, RETRY, Ledger
from tests.model.parcel.script import Scripts
from tests.model.parcel.world import IDLE, Item, Worker, World


@dataclass(frozen=True)
class Habits:
    """What workers and backends do; each of the defaults taken away must be caught as well."""

    fence_behind_take: bool = True
    """A route's fence is read behind the take or claim, not before it."""
    takeover_looks: bool = True
    numbers_compared: bool = True
    """A backend that can compare numbers is asked to."""
    stops_behind_retry: bool = True
    """What stands behind a command of its key that comes again is not run."""


class Workers:
    def __init__(self, scripts: Scripts, habits: Habits) -> None:
        self._scripts = scripts
        self._habits = habits

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        for index, worker in world.unlike():
            if worker.asking:
                yield f"{index} takes again", self._take(world, index)
            elif worker.items:
                yield from self._work(world, index)
            elif self._reads_first(worker) and (worker.drains or world.ledger.rings):
                yield f"{index} reads the fence", _read_fence(world, index)
            elif worker.drains:
                yield f"{index} takes", self._take(world, index)
            else:
                if world.ledger.rings:
                    yield f"{index} takes, rung for", self._take(world, index)
                for op in range(len(self._scripts.keys)):
                    if self._scripts.may_claim(_without_dead_leases(world, op), op):
                        yield f"{index} claims {op}", self._claim(world, index, op)
                    elif (ledger := self._scripts.turn_away(world.ledger, op)) != world.ledger:
                        yield f"{op} is turned away", world._replace(ledger=ledger)

    def without_answer(self, world: World) -> Iterator[tuple[str, World]]:
        for index, worker in world.unlike():
            may_take = not worker.items and not worker.asking and not self._reads_first(worker)
            if may_take and (worker.drains or world.ledger.rings):
                after = self._take(world, index, is_lost=True)
                if after.ledger.took != world.ledger.took:
                    yield f"{index} gets no answer to its take", after
            for number in worker.may_end():
                after = self._end_parcel(world, index, number).with_worker(index, worker)
                yield f"{index} gets no answer to its end", after

    def ending_early(self, world: World) -> Iterator[tuple[str, World]]:
        """A parcel is ended of which some commands have ended and others run."""
        for index, worker in world.unlike():
            ended = {item.parcel for item in worker.items if item.parcel and item.end}
            for number in sorted(ended.difference(worker.may_end())):
                yield f"{index} ends {number} early", self._end_parcel(world, index, number)

    def _reads_first(self, worker: Worker) -> bool:
        return not self._habits.fence_behind_take and worker.route < 0

    def _take(self, world: World, index: int, *, is_lost: bool = False) -> World:
        worker, ledger = world.workers[index], world.ledger
        if not (worker.drains or worker.asking):
            ledger = ledger._replace(rings=ledger.rings - 1, bell=False)
        token = worker.token or world.unused_token()
        ledger, parcels = self._scripts.take(ledger, token, world.server)
        if is_lost:
            asking = worker._replace(token=token, asking=True, drains=False)
            return world._replace(ledger=ledger).with_worker(index, asking)
        # Nobody asks with this token again.
        took = tuple(entry for entry in ledger.took if entry[0] != token)
        world = world._replace(ledger=ledger._replace(took=took))
        if not parcels:
            return world.with_worker(index, IDLE)
        items = []
        for parcel in parcels:
            for position, op in enumerate(parcel.ops):
                seq = self._scripts.number_of(parcel, position)
                takeover, real = self._scripts.is_takeover(ledger, seq), parcel.real + position
                items.append(Item(op, parcel.number, seq, seq, takeover, "", real, world.route))
        route = worker.route if worker.route >= 0 else _route_behind(world)
        return world.with_worker(index, Worker(token, tuple(items), drains=True, route=route))

    def _claim(self, world: World, index: int, op: int) -> World:
        token = world.unused_token()
        ledger, record = self._scripts.claim(
            _without_dead_leases(world, op), op, token, world.server
        )
        takeover = record.attempt > 1 or self._scripts.is_takeover(ledger, record.seq)
        end = POISON if record.deaths >= MAX_DEATHS else ""
        item = Item(op, 0, record.seq, record.mark, takeover, end, record.real, world.route)
        worker = Worker(token, (item,), route=_route_behind(world))
        return world._replace(ledger=ledger).with_worker(index, worker)

    def _work(self, world: World, index: int) -> Iterator[tuple[str, World]]:
        worker, keys = world.workers[index], self._scripts.keys
        if worker.route < 0:
            yield f"{index} reads the fence", _read_fence(world, index)
            return
        for number in worker.may_end():
            yield f"{index} ends {number}", self._end_parcel(world, index, number)
            return
        busy: set[int] = set()
        for at, item in enumerate(worker.items):
            if item.end and not item.parcel:
                yield f"{index} finishes {item.op}", self._finish(world, index, at)
                return
            if not item.end and keys[item.op] not in busy:
                busy.add(keys[item.op])
                for name, after in self._run(world, index, at):
                    yield f"{name} of {item.op} by {index}", after
                if not world.scene.early:
                    return  # which of two keys goes first makes no difference

    def _run(self, world: World, index: int, at: int) -> Iterator[tuple[str, World]]:
        worker, scene, keys = world.workers[index], world.scene, self._scripts.keys
        item = worker.items[at]
        before = [other for other in worker.items[:at] if keys[other.op] == keys[item.op]]
        if self._habits.stops_behind_retry and any(other.end == RETRY for other in before):
            yield "nothing", _ended(world, index, at, RETRY)
            return
        if worker.late and not scene.fenced:
            yield "nothing, late,", _ended(world, index, at, RETRY)
            return
        yield "effect", _ended(self._write(world, worker, item), index, at, DONE)
        if scene.retries:
            fewer = world._replace(scene=scene.fewer("retries"))
            yield "temporary error", _ended(fewer, index, at, RETRY)
            yield "lost effect", _ended(self._write(fewer, worker, item), index, at, RETRY)
        if scene.failures:
            fewer = world._replace(scene=scene.fewer("failures"))
            yield "permanent error", _ended(fewer, index, at, FAILED)

    def _write(self, world: World, worker: Worker, item: Item) -> World:
        compares = world.scene.fenced and self._habits.numbers_compared
        looks = compares or (item.takeover and self._habits.takeover_looks)
        place = worker.route * (max(self._scripts.keys) + 1) + self._scripts.keys[item.op]
        return write(world, item, worker.route, place, looks=looks)

    def _end_parcel(self, world: World, index: int, number: int) -> World:
        worker = world.workers[index]
        done = tuple(i.op for i in worker.items if i.parcel == number and i.end == DONE)
        ledger, accepted = self._scripts.end_parcel(
            world.ledger, number, worker.token, done, world.server
        )
        if accepted:
            world = world._replace(real_ended=world.real_ended.union(done))
        # What is not done is a record under the same token by now; if the end was refused, all is.
        items = tuple(
            item._replace(parcel=0) if item.parcel == number else item
            for item in worker.items
            if not (accepted and item.parcel == number and item.end == DONE)
        )
        rested = worker._replace(items=items).rested()
        return world._replace(ledger=ledger).with_worker(index, rested)

    def _finish(self, world: World, index: int, at: int) -> World:
        worker = world.workers[index]
        item = worker.items[at]
        ledger, accepted = self._scripts.finish(
            world.ledger, item.op, worker.token, item.end, world.server
        )
        if accepted and item.end != RETRY:
            world = world._replace(real_ended=world.real_ended | {item.op})
        items = (*worker.items[:at], *worker.items[at + 1 :])
        rested = worker._replace(items=items).rested()
        return world._replace(ledger=ledger).with_worker(index, rested)


def _read_fence(world: World, index: int) -> World:
    return world.with_worker(index, world.workers[index]._replace(route=world.route))


def _route_behind(world: World) -> int:
    """Not known yet, if it could change before its fence is read."""
    return -1 if world.scene.switches else world.route


def _without_dead_leases(world: World, op: int) -> Ledger:
    """The lease of a worker that died is over at some time."""
    ledger, record = world.ledger, world.ledger.records[op]
    if record is None or not record.token or world.lives(record.token):
        return ledger
    return ledger.with_record(op, record._replace(lease_over=True))


def _ended(world: World, index: int, at: int, end: str) -> World:
    worker = world.workers[index]
    items = (*worker.items[:at], worker.items[at]._replace(end=end), *worker.items[at + 1 :])
    return world.with_worker(index, worker._replace(items=items))

"""A ledger in parcels, explored exhaustively. **It is not built yet**: see `ledger.py` beside this.

Each step is one script, one look, one effect or one fault. Where nothing but faults could go on,
all must have come to its end, and no run goes round for ever.

Wake-ups of records are left out, since every open record has a due time: one that may be claimed
is claimed at some time. But one that was turned away behind another waits for the hand-over, since
its due time is far then. Rings for parcels are here, since one stands for many.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import explore as exploration
from tests.model.parcel.client import Clients
from tests.model.parcel.fault import Faults
from tests.model.parcel.ledger import new_ledger
from tests.model.parcel.script import Rules, Scripts
from tests.model.parcel.worker import Habits, Workers
from tests.model.parcel.world import Client, Scene, World


def explore(
    scene: Scene, rules: Rules, habits: Habits | None = None, most: int = 60_000
) -> tuple[str, int]:
    """The first violation with its path, or '', and how many states there are."""
    model = _Model(Scripts(rules, scene.keys, scene.window), habits or Habits())
    clients = tuple(Client(ops) for ops in scene.calls)
    first = World(new_ledger(scene.keys), scene, clients)
    return exploration.explore(first, model.steps, most, circles=False)


class _Model:
    def __init__(self, scripts: Scripts, habits: Habits) -> None:
        self._scripts = scripts
        self._clients = Clients(scripts)
        self._workers = Workers(scripts, habits)
        self._faults = Faults(self._clients, self._workers)

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        going = False
        for steps in (self._clients.steps, self._workers.steps, self._reconcile):
            for name, after in steps(world):
                going = True
                yield name, after.judged()
        if not going and (left := world.left_over()):
            yield "nobody goes on", world._replace(wrong=left)
        for name, after in self._faults.steps(world):
            yield name, after.judged()

    def _reconcile(self, world: World) -> Iterator[tuple[str, World]]:
        ledger = world.ledger
        if world.looked is not None:
            unpacked = self._scripts.unpack_late(ledger, world.looked)
            yield "the late parcel is unpacked", world._replace(ledger=unpacked, looked=None)
        else:
            for parcel in ledger.parcels:
                if parcel.token and not world.lives(parcel.token):
                    known = parcel.token in world.real_dead or world.real_lost
                    wrong = "" if known else "a lease ran out of which no worker knew"
                    late = world._replace(looked=parcel, wrong=wrong)
                    yield f"parcel {parcel.number} is late", late
        nobody_comes = not any(worker.drains or worker.asking for worker in world.workers)
        if not ledger.rings and nobody_comes and self._scripts.may_ring_again(ledger):
            yield "the reconciler rings", world._replace(ledger=self._scripts.ring_again(ledger))
        swept = self._scripts.sweep(ledger)
        if swept != ledger:
            yield "op_ids are swept", world._replace(ledger=swept)

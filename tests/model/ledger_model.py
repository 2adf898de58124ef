"""The ledger's numbers, eras and takeovers as a small model that is explored exhaustively.

One shard, one key, two workers, a backend, and a state server that may crash, start again, and
be brought back from any earlier copy. Leases stand for mutual exclusion: what is in a worker's
hand when its history is lost ends within its lease, before the restored server is started (the
runbook says to wait that long). Each step of the model is one script, one effect or one fault.

Fields whose names begin with `real_` are what an observer knows and the system does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.model import explore as exploration

OPEN, RUNNING, DONE = "open", "running", "done"


@dataclass(frozen=True)
class Rules:
    """What the scripts do; each of the defaults taken away is a mutant that must be caught."""

    number_counts_on: bool = True
    """A number is higher than the last, whatever the clock says."""
    number_follows_time: bool = True
    """A number is higher than the time, whatever the counter says."""
    era_by_server: bool = True
    """Another server process than the shard noted begins an era."""
    open_before_era_is_takeover: bool = True
    seen: str = "era and clock"
    """What a worker compares: also 'clock', 'number', 'era' or 'nothing'."""
    loss_is_kept: bool = True
    """A loss that one worker notices is noted in the ledger, for the others."""
    rebase_names_epoch: bool = True
    takeover_looks: bool = True
    leases_end_before_restore: bool = True
    finish_enters_era: bool = True
    """Not only a claim notes that another server process has the ledger."""
    finish_names_era: bool = True
    """A worker takes a finish's count only for the era in which that is."""


class Scene(NamedTuple):
    """What may happen, how often; and the backend."""

    commands: int = 3
    workers_restart: int = 1
    server_restarts: int = 0
    restores: int = 1
    rebases: int = 0
    clock_steps: int = 0
    fenced: bool = False
    """First attempts compare numbers on the backend too."""
    deletes: bool = False
    """The second command is a delete."""
    tombstones: bool = True


class Entry(NamedTuple):
    state: str
    seq: int
    attempt: int = 0
    token: int = 0


class Era(NamedTuple):
    server: int
    name: int
    """Unique to it: numbers are."""
    seq: int


class Ledger(NamedTuple):
    """All that a copy of the state server holds."""

    seq: int = 0
    clock: int = 0
    entries: tuple[Entry | None, ...] = ()
    era: Era | None = None
    ended: tuple[tuple[int, int], ...] = ()
    """Earlier eras, with the clock at which each ended."""
    epoch: int = 0
    lost: bool = False


Position = tuple[int, int, int, int]  # epoch, era, clock, number


class Hand(NamedTuple):
    command: int
    seq: int
    takeover: bool
    token: int
    effect: str = ""


class Worker(NamedTuple):
    seen: Position | None = None
    hand: Hand | None = None
    real_since_copy: bool = False
    """It had an answer that the copy does not contain."""
    real_missing: bool = False
    """It had an answer that the ledger lost."""
    real_forgiven: int = 0
    """The epoch of the rebase that declared the ledger right since."""

    def misses_something(self, ledger: Ledger) -> bool:
        return self.real_missing and not 0 < self.real_forgiven <= ledger.epoch


class World(NamedTuple):
    ledger: Ledger
    scene: Scene
    time: int = 0
    server: int = 1
    copy: Ledger | None = None
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    stored: tuple[int, int] | None = None
    """Command and number of what the backend holds, or remembers as deleted."""
    real_accepted: int = 0
    real_effects: frozenset[int] = frozenset()
    real_newest: int = -1
    """The newest acceptance that ever took effect."""
    claims: int = 0
    eras: int = 0
    wrong: str = ""


def explore(scene: Scene, rules: Rules, most: int = 400_000) -> tuple[str, int]:
    """The first violation with its path, or '', and how many states there are."""
    first = World(Ledger(entries=(None,) * scene.commands), scene)
    return exploration.explore(first, partial(_steps, rules=rules), most)


def _steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    scene = world.scene
    if world.real_accepted < scene.commands:
        yield "submit", _submit(world, rules)
    for index, worker in enumerate(world.workers):
        if worker.hand is None:
            yield f"claim by {index}", _claim(world, index, rules)
        elif not worker.hand.effect:
            yield f"effect by {index}", _effect(world, index, rules)
        else:
            yield f"finish by {index}", _finish(world, index, rules)
    if scene.workers_restart and world.workers[1] != Worker():
        fewer = scene._replace(workers_restart=scene.workers_restart - 1)
        yield "worker 1 restarts", world._replace(scene=fewer, workers=(world.workers[0], Worker()))
    if scene.server_restarts:
        fewer = scene._replace(server_restarts=scene.server_restarts - 1)
        yield "server restarts", world._replace(scene=fewer, server=world.server + 1)
    if scene.clock_steps:
        fewer = scene._replace(clock_steps=scene.clock_steps - 1)
        yield "clock steps back", world._replace(scene=fewer, time=world.time - 2)
    if scene.restores and world.copy is None:
        first, second = (worker._replace(real_since_copy=False) for worker in world.workers)
        yield "copy", world._replace(copy=world.ledger, workers=(first, second))
    if scene.restores and world.copy not in (None, world.ledger):
        yield "restore", _restore(world, rules)
    if scene.rebases and world.ledger.lost:
        yield "rebase", _rebase(world, rules)


def _submit(world: World, rules: Rules) -> World:
    time = world.time + 1
    last = world.ledger.seq if rules.number_counts_on else 0
    seq = max(last, time if rules.number_follows_time else 0) + 1
    # In a history of its own the entry may be there already: this is then another acceptance.
    entries = list(world.ledger.entries)
    entries[world.real_accepted] = Entry(OPEN, seq)
    ledger = world.ledger._replace(seq=max(seq, world.ledger.seq), entries=tuple(entries))
    return world._replace(time=time, ledger=ledger, real_accepted=world.real_accepted + 1)


def _enter_era(world: World, rules: Rules) -> World:
    ledger, known = world.ledger, world.ledger.era
    if known is not None and (not rules.era_by_server or known.server == world.server):
        return world
    ended = (*ledger.ended, (known.name, ledger.clock)) if known else ledger.ended
    era = Era(world.server, world.eras + 1, ledger.seq)
    return world._replace(ledger=ledger._replace(era=era, ended=ended), eras=world.eras + 1)


def _lost(ledger: Ledger, seen: Position | None, rules: Rules) -> bool:
    """Whether this ledger lacks something of what a worker has seen."""
    if seen is None or rules.seen == "nothing":
        return False
    epoch, era, clock, number = seen
    if rules.seen == "clock":
        return clock > ledger.clock
    if rules.seen == "number":
        return number > ledger.seq
    if epoch != ledger.epoch:
        return epoch > ledger.epoch
    assert ledger.era is not None
    if era == ledger.era.name:
        return rules.seen != "era" and clock > ledger.clock
    end = dict(ledger.ended).get(era)
    return end is None or (rules.seen != "era" and clock > end)


def _claim(world: World, index: int, rules: Rules) -> World:
    world, worker = _enter_era(world, rules), world.workers[index]
    ledger, wrong = world.ledger, ""
    notices = _lost(ledger, worker.seen, rules)
    missing = worker.misses_something(ledger)
    if notices and not missing:
        wrong = "a loss was noticed, and there was none"
    elif missing and not (notices or ledger.lost):
        wrong = "a loss was not noticed"
    if notices or ledger.lost:
        kept = ledger.lost or rules.loss_is_kept
        return world._replace(ledger=ledger._replace(lost=kept), wrong=wrong)
    hand, ledger = _first_open(world, rules)
    if hand is None:
        return world._replace(wrong=wrong)
    assert ledger.era is not None
    seen = (ledger.epoch, ledger.era.name, ledger.clock, ledger.seq)
    worker = worker._replace(seen=seen, hand=hand, real_since_copy=True)
    world = world._replace(ledger=ledger, claims=world.claims + 1, wrong=wrong)
    return _with(world, index, worker)


def _first_open(world: World, rules: Rules) -> tuple[Hand | None, Ledger]:
    ledger, token = world.ledger, world.claims + 1
    in_hand = {w.hand.token for w in world.workers if w.hand}
    order = sorted((e.seq, c) for c, e in enumerate(ledger.entries) if e and e.state != DONE)
    for _, command in order[:1]:
        entry = ledger.entries[command]
        assert entry is not None
        assert ledger.era is not None
        if entry.state == RUNNING and entry.token in in_hand:
            break
        attempt = entry.attempt + 1
        takeover = attempt > 1
        if rules.open_before_era_is_takeover and entry.seq <= ledger.era.seq:
            takeover = True
        entries = list(ledger.entries)
        entries[command] = Entry(RUNNING, entry.seq, attempt, token)
        hand = Hand(command, entry.seq, takeover, token)
        return hand, ledger._replace(entries=tuple(entries), clock=ledger.clock + 1)
    return None, ledger


def _effect(world: World, index: int, rules: Rules) -> World:
    hand = world.workers[index].hand
    assert hand is not None
    there, wrong = world.stored, ""
    looks = world.scene.fenced or (hand.takeover and rules.takeover_looks)
    if looks and there == (hand.command, hand.seq):
        ended = "repeated"
    elif looks and there is not None and there[1] > hand.seq:
        ended = "superseded"
        if there[0] < hand.command:
            wrong = "dropped as older, and it was the newest"
    else:
        ended = "written"
        if hand.command < world.real_newest:
            wrong = "something newer was undone"
        forgotten = world.scene.deletes and hand.command == 1 and not world.scene.tombstones
        world = world._replace(
            stored=None if forgotten else (hand.command, hand.seq),
            real_effects=world.real_effects | {hand.command},
            real_newest=max(world.real_newest, hand.command),
        )
    worker = world.workers[index]._replace(hand=hand._replace(effect=ended))
    return _with(world._replace(wrong=wrong), index, worker)


def _finish(world: World, index: int, rules: Rules) -> World:
    if rules.finish_enters_era:
        world = _enter_era(world, rules)
    worker, ledger, wrong = world.workers[index], world.ledger, ""
    hand = worker.hand
    assert hand is not None
    entry = ledger.entries[hand.command]
    # It is counted, whether the lease is still its own or not.
    ledger = ledger._replace(clock=ledger.clock + 1)
    if entry and entry.state == RUNNING and entry.token == hand.token:
        entries = list(ledger.entries)
        entries[hand.command] = entry._replace(state=DONE)
        ledger = ledger._replace(entries=tuple(entries))
        if hand.effect != "superseded" and hand.command not in world.real_effects:
            wrong = "done is said of what had no effect"
    worker = worker._replace(hand=None)
    assert worker.seen is not None
    epoch, era, clock, number = worker.seen
    if ledger.era and (era == ledger.era.name or not rules.finish_names_era):
        seen = (epoch, era, max(clock, ledger.clock), number)
        worker = worker._replace(seen=seen, real_since_copy=True)
    return _with(world._replace(ledger=ledger, wrong=wrong), index, worker)


def _restore(world: World, rules: Rules) -> World:
    assert world.copy is not None
    first, second = (
        worker._replace(
            hand=_left_in_hand(worker, rules),
            real_missing=worker.real_missing or worker.real_since_copy,
            real_forgiven=0 if worker.real_since_copy else worker.real_forgiven,
            real_since_copy=False,
        )
        for worker in world.workers
    )
    return world._replace(
        scene=world.scene._replace(restores=world.scene.restores - 1),
        ledger=world.copy,
        copy=None,
        server=world.server + 1,
        workers=(first, second),
    )


def _left_in_hand(worker: Worker, rules: Rules) -> Hand | None:
    """No effect begins once the lease is over; an end is told as soon as there is a server."""
    if rules.leases_end_before_restore and worker.hand and not worker.hand.effect:
        return None
    return worker.hand


def _rebase(world: World, rules: Rules) -> World:
    name = world.eras + 1
    era = Era(world.server, name, world.ledger.seq)
    ledger = world.ledger._replace(era=era, ended=(), lost=False)
    if rules.rebase_names_epoch:
        ledger = ledger._replace(epoch=name)
    first, second = (worker._replace(real_forgiven=name) for worker in world.workers)
    return world._replace(
        scene=world.scene._replace(rebases=world.scene.rebases - 1),
        ledger=ledger,
        eras=name,
        workers=(first, second),
    )


def _with(world: World, index: int, worker: Worker) -> World:
    first, second = world.workers
    return world._replace(workers=(worker, second) if index == 0 else (first, worker))

"""A small model of the signed registry, with an attacker who writes what he likes into Redis.

One route, `a`, is in the registry, beside the list of principals (the roster). Operators `op_a` and
`op_b` have keys, for `a` and for another tenant. The attacker knows every statement that was ever
signed, has a key that nobody granted anything, and the keys of whom the scene says. Workers read
and act.

The tree over all records is left out: what workers remember has to be enough without it. What it
shows to workers that have just started is in tests/integration/test_registry_attacks.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

EVIL = "evil"


class Statement(NamedTuple):
    """What a key has signed: a record of the route, or with `members` of the roster."""

    key: str
    subject: str
    value: str
    """`gone` for a deletion."""
    revision: int
    epoch: int
    members: frozenset[str] = frozenset()


class Record(NamedTuple):
    """What stands in Redis: the content, and the statement beside it."""

    value: str
    revision: int
    proof: Statement | None
    members: frozenset[str] = frozenset()


class Redis(NamedTuple):
    route: Record | None = None
    """The route, or the mark that a deletion leaves."""
    fence: int = 0
    roster: Record | None = None
    roster_fence: int = 0
    epoch: int = 0
    rebased: Statement | None = None
    """The signed event that began the epoch."""


class Worker(NamedTuple):
    """What a worker remembers; nothing when it starts."""

    route: int = 0
    roster: int = 0
    epoch: int = 0
    """The highest that was proven; 0 for none."""
    misled: bool = False
    """For the promise alone: whether it has acted on what a thief signed with a key that counted,
    whose revision may be any; a rebase ends what it remembers of it."""
    without: frozenset[str] = frozenset()
    """For the promise alone: whom it has seen revoked."""


class Rules(NamedTuple):
    """What a worker checks; a mutant leaves one out."""

    signature: bool = True
    subject: bool = True
    content: bool = True
    revision: bool = True
    grants: bool = True
    own_keys: bool = True
    """Keys come from the roster, not from the statement."""
    roster_by_admin: bool = True
    remembers_route: bool = True
    remembers_roster: bool = True
    remembers_proven: bool = True
    """What was not proven does not raise what is remembered."""
    epoch_proven: bool = True
    gone_proven: bool = True
    roster_of_now: bool = True
    """A key counts as the roster of now says, not as it was when it signed."""
    floor: bool = True


class Scene(NamedTuple):
    sets: int = 2
    deletes: int = 0
    revokes: int = 0
    rebases: int = 0
    writes: int = 2
    """How often the attacker writes."""
    restarts: int = 0
    stolen: frozenset[str] = frozenset({"op_b", "thief"})
    """Whose keys the attacker has: `op_b` may be the attacker, and `thief` is granted nothing."""
    floors: bool = False
    """Whether the administrator names the roster's revision in the trust file at a revocation."""


class World(NamedTuple):
    scene: Scene
    redis: Redis
    honest: Redis
    """What Redis would hold if there was no attacker."""
    made: frozenset[Statement]
    members: frozenset[str]
    revision: int
    worker: Worker
    floor: int = 0
    wrong: str = ""


FULL = frozenset({"op_a", "op_b"})
GRANTED = {"op_a": "a", "op_b": "b"}


def first(scene: Scene) -> World:
    roster = Statement("admin", "roster", "", 1, 0, FULL)
    redis = Redis(roster=Record("", 1, roster, FULL), roster_fence=1)
    # A route of the other tenant is known, to be moved.
    other = Statement("op_b", "b", "b's", 2, 0)
    return World(scene, redis, redis, frozenset({roster, other}), FULL, 2, Worker())


def steps(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    if world.wrong:
        return
    yield from _honest(world)
    if world.scene.writes:
        yield from _attacks(world)
    if world.scene.restarts:
        yield "worker restarts", _fewer(world, "restarts")._replace(worker=Worker())
    yield from _read(world, rules)


def _fewer(world: World, what: str) -> World:
    return world._replace(scene=world.scene._replace(**{what: getattr(world.scene, what) - 1}))


def _honest(world: World) -> Iterator[tuple[str, World]]:
    """An honest change also mends what it writes, and nothing else."""
    scene, revision = world.scene, world.revision + 1
    epoch = world.honest.epoch

    def made(after: World, statement: Statement, **written: Any) -> World:
        return after._replace(
            redis=after.redis._replace(**written),
            honest=after.honest._replace(**written),
            made=after.made | {statement},
            revision=revision,
        )

    if "op_a" in world.members:
        for value, what in ((f"v{revision}", "sets"), ("gone", "deletes")):
            if getattr(scene, what):
                new = Statement("op_a", "a", value, revision, epoch)
                record = Record(value, revision, new)
                yield what, made(_fewer(world, what), new, route=record, fence=revision)
    if scene.revokes:
        members = world.members - {"op_a"}
        new = Statement("admin", "roster", "", revision, epoch, members)
        record = Record("", revision, new, members)
        after = made(_fewer(world, "revokes"), new, roster=record, roster_fence=revision)
        yield "revoke", after._replace(members=members, floor=revision if scene.floors else 0)
    if scene.rebases:
        new = Statement("admin", "registry", "rebased", revision, epoch + 1)
        yield "rebase", made(_fewer(world, "rebases"), new, epoch=epoch + 1, rebased=new)


def _attacks(world: World) -> Iterator[tuple[str, World]]:
    fewer = _fewer(world, "writes")
    redis, next_revision = world.redis, world.revision + 1

    def wrote(what: str, **written: Any) -> tuple[str, World]:
        return f"attacker: {what}", fewer._replace(redis=redis._replace(**written))

    own = [
        Statement(key, "a", EVIL, revision, redis.epoch)
        for key in world.scene.stolen
        for revision in {redis.fence, next_revision}
    ]
    for s in (*world.made, *own):
        for record in {
            Record(s.value, s.revision, s),
            Record(EVIL, s.revision, s),
            Record(s.value, next_revision, s),
        }:
            for fence in {redis.fence, record.revision}:
                yield wrote(f"route {record} at {fence}", route=record, fence=fence)
    yield wrote("an unsigned route", route=Record(EVIL, redis.fence, None))
    yield wrote("no route, no fence", route=None, fence=0)
    yield wrote("no route", route=None, fence=redis.fence + 5)
    yield wrote("a fence", fence=redis.fence + 5)
    with_thief = FULL | {"thief"}
    rosters = [s for s in world.made if s.subject == "roster"]
    rosters += [
        Statement(key, "roster", "", next_revision, redis.epoch, with_thief)
        for key in world.scene.stolen
    ]
    for s in rosters:
        for members in {s.members, with_thief}:
            record = Record("", s.revision, s, members)
            for fence in {redis.roster_fence, s.revision}:
                yield wrote(f"roster {record} at {fence}", roster=record, roster_fence=fence)
    yield wrote("an epoch", epoch=redis.epoch + 1)
    yield wrote("the state of before", **world.honest._asdict())


def _read(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    redis, worker = world.redis, world.worker
    epoch = _epoch(redis, worker, rules)
    if epoch is None:
        yield _refused(world, "epoch")
        return
    if epoch != worker.epoch:
        worker = Worker(roster=worker.roster, epoch=epoch, without=worker.without)
    members = _roster(redis, worker, rules, world.floor)
    if members is None:
        yield _refused(world, "roster")
        return
    assert redis.roster is not None
    worker = worker._replace(roster=redis.roster.revision, without=world_without(worker, members))
    record = redis.route
    if not rules.remembers_proven:
        worker = worker._replace(route=max(worker.route, redis.fence))
    if not _counts(redis, worker, members, rules):
        yield _refused(world._replace(worker=worker), "route")
        return
    if record is None:
        wrong = "a deletion that nobody signed is believed" if redis.fence else ""
        yield "no route", world._replace(worker=worker, wrong=wrong or _lost(world, "none"))
        return
    wrong = _wrong(record, worker, world)
    misled = worker.misled or record.proof not in world.made
    worker = worker._replace(route=record.revision, misled=misled)
    yield f"acts on {record.value}", world._replace(worker=worker, wrong=wrong)


def world_without(worker: Worker, members: frozenset[str]) -> frozenset[str]:
    """Whom the worker has seen revoked: the roster only shrinks in this model."""
    return worker.without | (FULL - members)


def _epoch(redis: Redis, worker: Worker, rules: Rules) -> int | None:
    s = redis.rebased
    proven = s is not None and s.key == "admin" and s.epoch == redis.epoch
    if redis.epoch >= worker.epoch and (proven or not rules.epoch_proven):
        return redis.epoch
    # Before it has seen a rebase, an epoch says nothing: what it remembers is kept.
    return None if worker.epoch and redis.epoch != worker.epoch else worker.epoch


def _roster(redis: Redis, worker: Worker, rules: Rules, floor: int) -> frozenset[str] | None:
    record = redis.roster
    if record is None or record.proof is None:
        return None
    s = record.proof
    if rules.signature and (s.members, s.revision) != (record.members, record.revision):
        return None
    if rules.roster_by_admin and s.key != "admin":
        return None
    if not rules.roster_by_admin and s.key not in {"admin", *FULL}:
        return None
    if s.subject != "roster" or (rules.remembers_roster and record.revision < worker.roster):
        return None
    if rules.floor and record.revision < floor:
        return None
    if record.revision != redis.roster_fence:
        return None
    return record.members


def _counts(redis: Redis, worker: Worker, members: frozenset[str], rules: Rules) -> bool:
    """Whether what stands there for the route is proven and not older than what was seen."""
    record = redis.route
    if record is None:
        if rules.gone_proven and redis.fence:
            return False
        return not (rules.remembers_route and worker.route)
    s = record.proof
    if record.revision != redis.fence:
        return False
    if rules.remembers_route and max(record.revision, 0) < worker.route:
        return False
    if not rules.signature:
        return True
    if s is None:
        return False
    if rules.own_keys and rules.roster_of_now and s.key not in members:
        return False
    if not rules.roster_of_now and s.key not in FULL:
        return False
    if rules.grants and GRANTED.get(s.key, "a") != "a":
        return False
    return (
        (not rules.subject or s.subject == "a")
        and (not rules.content or s.value == record.value)
        and (not rules.revision or s.revision == record.revision)
    )


def _wrong(record: Record, worker: Worker, world: World) -> str:
    """Which promise it breaks to act on this record."""
    s = record.proof
    if s is None or s.key != "op_a" or (s.subject, s.value) != ("a", record.value):
        return "acts on what nobody signed who may"
    if s not in world.made and "op_a" not in world.scene.stolen:
        return "acts on what nobody signed who may"
    if s.key in worker.without:
        return "acts on what a revoked key has signed"
    if world.floor and s.key not in world.members:
        return "acts on what a revoked key has signed, below the floor"
    if s.revision < worker.route:
        return "acts on an older route than before"
    return ""


def _refused(world: World, why: str) -> tuple[str, World]:
    return f"refused: {why}", world._replace(wrong=_lost(world, why))


def _lost(world: World, why: str) -> str:
    """Whether honest content is refused, because of what an attacker wrote before."""
    redis, honest = world.redis, world.honest
    if redis != honest or world.worker.misled:
        return ""
    if why == "none":
        return "" if honest.route is None else "an honest route is not seen"
    may = "op_a" in world.members or honest.route is None
    return f"an honest {why} is refused" if may else ""

"""A backend that looks and writes in one step, and what an observer finds wrong in an effect."""

from __future__ import annotations

from tests.model.parcel.world import Item, World


def write(world: World, item: Item, route: int, place: int, *, looks: bool) -> World:
    """The effect of a command; one that looks knows its own by mark, what is newer by number."""
    stored = (*world.stored, *((0, 0, 0),) * (place + 1 - len(world.stored)))
    mark, seq, real = stored[place]
    its = (item.op, item.mark, route)
    wrong = "on the former route" if route < item.real_route else ""
    if looks and mark == item.mark:
        if its not in world.real_written:
            wrong = "another's effect was taken for its own"
    elif looks and seq > item.seq:
        if real < item.real:
            wrong = "dropped as older, and it was the newest"
        elif not (world.real_lost or any(entry[:2] == its[:2] for entry in world.real_written)):
            wrong = "overtaken on its key"
    else:
        if real > item.real:
            wrong = "something newer was undone"
        elif _has_written(world, item, route) and not _is_replay_behind(item, mark):
            wrong = "took effect twice"
        elif item.op in world.real_ended and not world.real_lost:
            wrong = "took effect after its end"
        stored = (*stored[:place], (item.mark, item.seq, item.real), *stored[place + 1 :])
        world = world._replace(stored=stored, real_written=world.real_written | {its})
    return world._replace(wrong=wrong)


def _has_written(world: World, item: Item, route: int) -> bool:
    """Under whichever mark: as long as nothing is lost, an op_id is accepted once."""
    its = {(mark, at) for op, mark, at in world.real_written if op == item.op and at == route}
    return bool(its) and (not world.real_lost or (item.mark, route) in its)


def _is_replay_behind(item: Item, mark: int) -> bool:
    """A replay is a new acceptance: behind another's effect since, it is right to write again."""
    return item.seq != item.mark and mark != item.mark

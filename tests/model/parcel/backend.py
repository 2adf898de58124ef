"""A backend that looks and writes in one step, and what an observer finds wrong in an effect."""

from __future__ import annotations

from tests.model.parcel.world import Item, World


def write(world: World, item: Item, route: int, place: int, *, looks: bool) -> World:
    """The effect of a command; one that looks knows its own and what is newer, by their marks."""
    stored = (*world.stored, *((0, 0),) * (place + 1 - len(world.stored)))
    mark, real = stored[place]
    its = (item.op, item.real, route)
    wrong = "on the former route" if route < item.real_route else ""
    if looks and mark == item.seq:
        if its not in world.real_written:
            wrong = "another's effect was taken for its own"
    elif looks and mark > item.seq:
        if real < item.real:
            wrong = "dropped as older, and it was the newest"
        elif not (world.real_lost or any(entry[:2] == its[:2] for entry in world.real_written)):
            wrong = "overtaken on its key"
    else:
        if real > item.real:
            wrong = "something newer was undone"
        elif its in world.real_written:
            wrong = "took effect twice"
        elif item.op in world.real_ended and not world.real_lost:
            wrong = "took effect after its end"
        stored = (*stored[:place], (item.seq, item.real), *stored[place + 1 :])
        world = world._replace(stored=stored, real_written=world.real_written | {its})
    return world._replace(wrong=wrong)

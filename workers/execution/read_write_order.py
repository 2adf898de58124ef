"""Order of reads and writes within one message: a read runs after the writes that it could see."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from signalbox.workers.execution.pipeline_types import Admitted

Steps = list[list[Admitted]]
"""Commands of a step run in parallel, except that writes of one key run in accepted order.

A step begins when the step before it has ended.
"""


def split_into_sequences(admitted: Sequence[Admitted]) -> list[Steps]:
    """Return commands that need not wait for one another in different sequences.

    In a message with reads and writes, a read of one item (object, row, stream) follows the earlier
    writes of that item. A read of many items (a list, a query, points) follows all earlier writes
    of its scope. A write follows the earlier reads that could see it.
    """
    if len({item.claimed.command.writes for item in admitted}) < 2:
        return [[list(admitted)]]
    wide = {_scope(item) for item in admitted if _is_wide(item)}
    sequences: dict[Hashable, list[Admitted]] = {}
    for number, item in enumerate(admitted):
        scope, key = _scope(item), item.claimed.command.item_key
        sequences.setdefault(scope if scope in wide else (scope, key or number), []).append(item)
    return [_steps_of(items) for items in sequences.values()]


def _scope(item: Admitted) -> str:
    return item.route.scope.field


def _is_wide(item: Admitted) -> bool:
    command = item.claimed.command
    return not command.writes and command.item_key is None


def _steps_of(items: Sequence[Admitted]) -> Steps:
    written: dict[str, int] = {}
    read: dict[str, int] = {}
    last_write = last_wide_read = -1
    steps: Steps = []
    for item in items:
        command = item.claimed.command
        key = command.item_key
        if command.writes:
            step = last_wide_read + 1
            if key is not None:
                step = max(step, written.get(key, 0), read.get(key, -1) + 1)
                written[key] = step
            last_write = max(last_write, step)
        elif key is None:
            step = last_wide_read = max(last_wide_read, last_write + 1)
        else:
            step = written.get(key, -1) + 1
            read[key] = max(read.get(key, -1), step)
        if step == len(steps):
            steps.append([])
        steps[step].append(item)
    return steps

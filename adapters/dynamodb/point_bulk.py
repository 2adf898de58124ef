"""The points of many commands, stored in as few requests as they take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapters.dynamodb.batch import earliest, lapsed
from adapters.dynamodb.failure import dynamodb_errors, located, translate_reason
from adapters.dynamodb.item import Item, key_of
from adapters.dynamodb.key import Key, Layout
from adapters.dynamodb.point import day_item, point_item
from adapters.dynamodb.table import MOST_PUTS, Table
from adapters.port import Call
from commands.error import SignalboxError
from commands.metrics_store import IngestPoints
from commands.scope import Scope


def store_points(
    table: Table, scope: Scope, layout: Layout, items: Sequence[tuple[IngestPoints, Call]]
) -> dict[int, SignalboxError]:
    """The error of each command of which not everything was stored, by its place."""
    failed: dict[int, SignalboxError] = {}
    puts, owners = _puts(layout, items)
    keys = list(puts)
    for begin in range(0, len(keys), MOST_PUTS):
        part = keys[begin : begin + MOST_PUTS]
        for number in {owner for key in part for owner in owners[key]} - failed.keys():
            if (late := lapsed(items[number][1])) is not None:
                failed[number] = located(late, scope)
        # What only commands that have failed already want is not worth a request.
        open_ones = {key: owners[key] - failed.keys() for key in part}
        part = [key for key in part if open_ones[key]]
        if not part:
            continue
        lease = earliest([items[number][1] for key in part for number in open_ones[key]])
        for key, error in _store(table, scope, [puts[key] for key in part], lease).items():
            failed |= dict.fromkeys(open_ones[key], error)
    return failed


def _puts(
    layout: Layout, items: Sequence[tuple[IngestPoints, Call]]
) -> tuple[dict[Key, Item], dict[Key, set[int]]]:
    """Items to be put, and the commands that want each. Days come first."""
    puts: dict[Key, Item] = {}
    points: dict[Key, Item] = {}
    owners: dict[Key, set[int]] = {}
    for number, (command, call) in enumerate(items):
        for point in command.points:
            day, item = day_item(layout, point), point_item(layout, point, call.seq)
            puts[key_of(day)] = day
            points[key_of(item)] = item
            owners.setdefault(key_of(day), set()).add(number)
            owners.setdefault(key_of(item), set()).add(number)
    return puts | points, owners


def _store(
    table: Table, scope: Scope, items: Iterable[Item], lease: Call
) -> dict[Key, SignalboxError]:
    keys = {key_of(item): item for item in items}
    try:
        with dynamodb_errors(scope):
            left = table.write(list(keys.values()), lease)
    except SignalboxError as error:
        return dict.fromkeys(keys, error)
    busy = located(translate_reason("ProvisionedThroughputExceeded"), scope)
    return {key_of(item): busy for item in left}

"""Metrics stores for every backend: the operations, implemented with a driver's primitives.

Every method may raise PermissionDenied, Misconfigured, Throttled, Unavailable and
InsufficientStorage.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple, cast

from signalbox.adapters.batch import earliest, lapsed, only
from signalbox.adapters.failure import Reporter
from signalbox.adapters.metrics_driver import (
    Changed,
    MetricsDriver,
    PointWrite,
    RecordMetricsDriver,
    SeenPoint,
    TransactionalMetricsDriver,
)
from signalbox.adapters.metrics_page import page_of, read_from
from signalbox.adapters.name_list import list_names
from signalbox.adapters.port import Call
from signalbox.commands.error import Contended, SignalboxError
from signalbox.commands.metrics_store import (
    IngestPoints,
    IngestResult,
    ListSeries,
    ListSeriesResult,
    PointsResult,
    QueryPoints,
)

LOOKS = 5
"""Maximum number of attempts to store a point while others write it too."""

Item = tuple[IngestPoints, Call]


class MetricsStore:
    """The series of one tenant and env on one backend. Methods are thread-safe."""

    def __init__(self, driver: MetricsDriver) -> None:
        self.driver = driver
        self._reporter = Reporter(driver.service, driver.scope)

    def ingest(self, command: IngestPoints, call: Call) -> IngestResult:
        """Store all points of the command durably.

        Series, labels and timestamp identify a point. If two commands ingest the same point, the
        value of the higher `seq` is kept, in whichever order they run. A command that failed may
        have stored some of its points; its retry stores the rest.
        """
        return only(self.ingest_many([(command, call)]))

    def ingest_many(self, items: Sequence[Item]) -> list[IngestResult | SignalboxError]:
        """Ingest many commands in few calls; return an answer for each.

        A point may occur in several of them.
        """
        failed: dict[int, SignalboxError] = {}
        self._fail_lapsed(items, range(len(items)), failed)
        if self.driver.traits.transactional:
            self._store_all(cast(TransactionalMetricsDriver, self.driver), items, failed)
        else:
            self._store_records(cast(RecordMetricsDriver, self.driver), items, failed)
        return [
            failed.get(number) or IngestResult(points=len(command.points))
            for number, (command, _) in enumerate(items)
        ]

    def query(self, command: QueryPoints, call: Call) -> PointsResult:
        """Return one page, as `adapters/metrics_page.py` defines it, in bounded memory.

        For raw points it reads little more than the page. Raises InvalidCommand for a cursor of
        another query.
        """
        with (
            self._reporter.errors(),
            self.driver.walk(command, read_from(command), call) as points,
        ):
            return page_of(command, points)

    def list_series(self, command: ListSeries, call: Call) -> ListSeriesResult:
        """Return one page of names, as `adapters/name_list.py` defines it.

        Raises InvalidCommand for a cursor of another list; ScanRefused, unless it says
        `allow_scan`, where the backend has no list of names.
        """
        with self._reporter.errors():
            names, cursor = list_names(self.driver, command, call)
        return ListSeriesResult(series=names, next_cursor=cursor or None)

    def close(self) -> None:
        """Release the driver's resources; the store cannot be used afterwards."""
        self.driver.close()

    def _store_all(
        self,
        driver: TransactionalMetricsDriver,
        items: Sequence[Item],
        failed: dict[int, SignalboxError],
    ) -> None:
        part = [number for number in range(len(items)) if number not in failed]
        if not part:
            return
        points = (
            (point, call.seq)
            for command, call in (items[number] for number in part)
            for point in command.points
        )
        try:
            with self._reporter.errors():
                driver.store_all(points, earliest([items[number][1] for number in part]))
        except SignalboxError as error:
            failed |= dict.fromkeys(part, error)

    def _store_records(
        self,
        driver: RecordMetricsDriver,
        items: Sequence[Item],
        failed: dict[int, SignalboxError],
    ) -> None:
        records = _records(driver, items, failed)
        names = list(records)
        sizes = [driver.size(record.record) for record in records.values()]
        for group in driver.traits.request.cut(sizes):
            part = names[group.start : group.stop]
            numbers = {number for name in part for number in records[name].owners}
            self._fail_lapsed(items, numbers - failed.keys(), failed)
            # No request is made for records that only failed commands need.
            owners = {name: records[name].owners - failed.keys() for name in part}
            wanted = {name: records[name] for name in part if owners[name]}
            if not wanted:
                continue
            lease = earliest([items[number][1] for name in wanted for number in owners[name]])
            for name, error in self._store(driver, wanted, lease).items():
                for number in owners[name]:
                    failed.setdefault(number, error)

    def _store(
        self, driver: RecordMetricsDriver, records: dict[Hashable, _Record], lease: Call
    ) -> dict[Hashable, SignalboxError]:
        """Store the records; return the errors of those that were not stored.

        They are first assumed to be new, which needs no look. Those that exist are looked at, and
        replaced if they are older.
        """
        failed: dict[Hashable, SignalboxError] = {}
        todo, seen = list(records), dict[Hashable, SeenPoint]()
        try:
            with self._reporter.errors():
                for _ in range(LOOKS):
                    writes = [PointWrite(records[name].record, seen.get(name)) for name in todo]
                    ends = zip(todo, driver.store(writes, lease), strict=True)
                    changed = []
                    for name, end in ends:
                        if isinstance(end, Changed):
                            changed.append(name)
                        elif end is not None:
                            failed[name] = self._reporter.translated(end)
                    if not changed:
                        return failed
                    seen = dict(driver.look(changed, lease))
                    todo = [
                        name
                        for name in changed
                        if name not in seen or seen[name].seq < records[name].seq
                    ]
                    if not todo:
                        return failed
        except SignalboxError as error:
            return failed | dict.fromkeys(todo, error)
        contended = Contended("the point changed under each look", next_step="it is tried again")
        return failed | dict.fromkeys(todo, self._reporter.located(contended))

    def _fail_lapsed(
        self, items: Sequence[Item], numbers: Iterable[int], failed: dict[int, SignalboxError]
    ) -> None:
        for number in numbers:
            if (error := lapsed(items[number][1])) is not None:
                failed[number] = self._reporter.located(error)


class _Record(NamedTuple):
    """A record to store, and the positions of the commands that need it."""

    record: Any
    seq: int
    owners: set[int]


def _records(
    driver: RecordMetricsDriver, items: Sequence[Item], failed: dict[int, SignalboxError]
) -> dict[Hashable, _Record]:
    """Return the records to store: for each point that of the highest `seq`, dependencies first."""
    ahead: dict[Hashable, _Record] = {}
    records: dict[Hashable, _Record] = {}
    for number, (command, call) in sorted(enumerate(items), key=lambda item: item[1][1].seq):
        if number in failed:
            continue
        for point in command.points:
            for name, record in driver.ahead(point):
                ahead.setdefault(name, _Record(record, 0, set())).owners.add(number)
            name, record = driver.record(point, call.seq)
            before = records.get(name)
            owners = before.owners | {number} if before else {number}
            records[name] = _Record(record, call.seq, owners)
    return ahead | records

"""Writes of rows: look, decide and write, and again while others change the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from signalbox.adapters.batch import UNBOUNDED, earliest, lapsed
from signalbox.adapters.failure import Reporter
from signalbox.adapters.port import Call
from signalbox.adapters.row_condition import Demand, Trace, demand, demand_of, kept_mark
from signalbox.adapters.table_driver import (
    Changed,
    Refused,
    RowId,
    RowWrite,
    TableDriver,
    TableSession,
)
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import Contended, LeaseExpired, SignalboxError, Unavailable
from signalbox.commands.tabular_store import DeleteRow, UpsertRow

LOOKS = 5
"""Maximum number of attempts while others change the rows."""
NOTHING = Trace()
"""The trace of a row that never existed."""

Command = UpsertRow | DeleteRow
Item = tuple[Command, Call]
Answer = bool | SignalboxError
"""Whether the write was superseded by a newer command, or its error."""


class RowWriter:
    """The writes of one store."""

    def __init__(self, driver: TableDriver, reporter: Reporter) -> None:
        self._driver = driver
        self._reporter = reporter

    def write(self, items: Sequence[Item]) -> list[Answer]:
        """Write the rows in the given order; return an answer for each.

        After a temporary error, no other write of the same row is attempted.
        """
        answers: dict[int, Answer] = {}
        rows = [(command.table_name, command.key) for command, _ in items]
        late: dict[RowId, SignalboxError] = {}
        todo: list[int] = []
        now = lease_clock()
        for number, (_, call) in enumerate(items):
            if (late and rows[number] in late) or call.deadline <= now:
                error = late.get(rows[number]) or lapsed(call) or LeaseExpired("the lease ran out")
                answers[number] = late[rows[number]] = self._reporter.located(error)
            else:
                todo.append(number)
        traits = self._driver.traits
        if traits.judges:
            self._judged(items, todo, answers)
        elif traits.request is UNBOUNDED:
            self._together(todo, answers, lambda part: self._looked(items, rows, part, answers))
        else:
            sizes = [traits.room(_size(items[number][0])) for number in todo]
            for group in traits.request.cut(sizes):
                part = todo[group.start : group.stop]
                self._together(part, answers, lambda part: self._looked(items, rows, part, answers))
        return [answers[number] for number in range(len(items))]

    def _together(
        self,
        part: Sequence[int],
        answers: dict[int, Answer],
        write: Callable[[Sequence[int]], None],
    ) -> None:
        try:
            with self._reporter.errors():
                write(part)
        except SignalboxError as error:
            # What was decided in it does not count either.
            answers |= dict.fromkeys(part, error)

    def _looked(
        self,
        items: Sequence[Item],
        rows: Sequence[RowId],
        part: Sequence[int],
        answers: dict[int, Answer],
    ) -> None:
        """Look, decide and write; look again at rows that changed meanwhile."""
        if not part:
            return
        lease = earliest([items[number][1] for number in part])
        todo = part
        for _ in range(LOOKS):
            with self._driver.session(lease) as session:
                batch = _Batch(self._driver, session, [rows[number] for number in todo])
                for number in todo:
                    answers[number] = batch.answer(rows[number], *items[number])
                ends = session.write([*batch.records.values()])
            failed = {row: end for row, end in zip(batch.records, ends, strict=True) if end}
            if batch.refused:
                for number in todo:
                    if isinstance(answer := answers[number], SignalboxError):
                        self._reporter.located(answer)
            if not failed:
                return
            again = []
            for number in todo:
                end = failed.get(rows[number])
                if isinstance(end, Changed) and answers[number] is False:
                    again.append(number)
                elif end is not None and answers[number] is False:
                    answers[number] = self._reporter.translated(end)
            if not again:
                return
            todo = again
        error = Contended(
            f"the row changed under each of {LOOKS} looks", next_step="it is tried again"
        )
        answers |= dict.fromkeys(todo, self._reporter.located(error))

    def _judged(
        self, items: Sequence[Item], todo: Sequence[int], answers: dict[int, Answer]
    ) -> None:
        """Write without looking: the service checks the conditions, and returns why it refused."""
        records: dict[int, Any] = {}
        for number in todo:
            command, call = items[number]
            try:
                with self._reporter.errors():
                    row = (command.table_name, command.key)
                    judge = demand_of(command, call)
                    records[number] = self._driver.record(
                        _write_of(row, command, call, None, judge)
                    )
            except SignalboxError as error:
                answers[number] = error
        numbers = list(records)
        sizes = [self._driver.size(record) for record in records.values()]
        for group in self._driver.traits.request.cut(sizes):
            part = numbers[group.start : group.stop]
            self._together(part, answers, lambda part: self._judge(items, part, records, answers))

    def _judge(
        self,
        items: Sequence[Item],
        part: Sequence[int],
        records: Mapping[int, Any],
        answers: dict[int, Answer],
    ) -> None:
        lease = earliest([items[number][1] for number in part])
        with self._driver.session(lease) as session:
            ends = session.write([records[number] for number in part])
        for number, end in zip(part, ends, strict=True):
            if end is None:
                answers[number] = False
            elif isinstance(end, Refused):
                answers[number] = self._refused(end.found or NOTHING, *items[number])
            else:
                answers[number] = self._reporter.translated(end)

    def _refused(self, trace: Trace, command: Command, call: Call) -> Answer:
        try:
            demand(command, trace, call)
        except SignalboxError as error:
            return self._reporter.located(error)
        if trace.seq >= call.seq:
            return trace.supersedes(call)
        return self._reporter.located(
            Unavailable(
                f"the row is not as {self._driver.service.name} had said",
                next_step="it is tried again",
            )
        )


class _Batch:
    """The writes of one session, each based on the ones before it."""

    def __init__(self, driver: TableDriver, session: TableSession, rows: Sequence[RowId]) -> None:
        self._record = driver.record
        self._found = session.look(list(dict.fromkeys(rows)))
        self._after: dict[RowId, tuple[Command, Call]] = {}
        self._stopped: dict[RowId, SignalboxError] = {}
        self.records: dict[RowId, Any] = {}
        """The rows to be written."""
        self.refused = False
        """True if an answer is an error."""

    def answer(self, row: RowId, command: Command, call: Call) -> Answer:
        """Decide one write; return its answer, which is valid once the session has written."""
        if self._stopped and (stopped := self._stopped.get(row)) is not None:
            return stopped
        try:
            return self._decide(row, command, call)
        except SignalboxError as error:
            self.refused = True
            if error.temporary:
                self._stopped[row] = error
            return error

    def _decide(self, row: RowId, command: Command, call: Call) -> bool:
        found = self._found.get(row)
        trace = found or NOTHING
        if self._after and (before := self._after.get(row)) is not None:
            trace = Trace(before[1].seq, isinstance(before[0], DeleteRow), kept_mark(before[1]))
        demand(command, trace, call)
        # Checked within the session: a worker that takes the command over comes either before it or
        # after it.
        call.remaining()
        if trace.seq >= call.seq:
            return trace.supersedes(call)
        self.records[row] = self._record(_write_of(row, command, call, found, None))
        self._after[row] = (command, call)
        return False


def _write_of(
    row: RowId, command: Command, call: Call, over: Trace | None, judge: Demand | None
) -> RowWrite:
    data = command.data if isinstance(command, UpsertRow) else None
    return RowWrite(row, data, call.seq, kept_mark(call), over, judge)


def _size(command: Command) -> int:
    return command.size if isinstance(command, UpsertRow) else 0

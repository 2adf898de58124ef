"""Writes on rows: looked at, decided and written, until nobody came in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from adapters.batch import earliest, lapsed
from adapters.failure import Reporter
from adapters.port import Call
from adapters.row_condition import Trace, demand, demand_of, kept_mark
from adapters.table_driver import Changed, Refused, RowId, RowWrite, TableDriver, TableTurn
from commands.error import Contended, SignalboxError, Unavailable
from commands.tabular_store import DeleteRow, UpsertRow

LOOKS = 5
NOTHING = Trace()

Command = UpsertRow | DeleteRow
Item = tuple[Command, Call]
Answer = bool | SignalboxError
"""Whether a newer command's trace kept the write out, or its error."""


class RowWriter:
    """The writes of one store."""

    def __init__(self, driver: TableDriver, reporter: Reporter) -> None:
        self._driver = driver
        self._reporter = reporter

    def write(self, items: Sequence[Item]) -> list[Answer]:
        """An answer for each, in the order given; none on a row is attempted behind one that ended
        in a temporary error."""
        answers: dict[int, Answer] = {}
        late: dict[RowId, SignalboxError] = {}
        for number, (command, call) in enumerate(items):
            error = late.get(_row(command)) if late else None
            if error is None and (error := lapsed(call)) is not None:
                late[_row(command)] = error
            if error is not None:
                answers[number] = self._reporter.located(error)
        traits = self._driver.traits
        todo = [number for number in range(len(items)) if number not in answers]
        if traits.judges:
            self._judged(items, todo, answers)
        else:
            sizes = [traits.room(_size(items[number][0])) for number in todo]
            for group in traits.request.cut(sizes):
                part = todo[group.start : group.stop]
                self._together(part, answers, lambda part: self._looked(items, part, answers))
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
            # What was decided in it counts no more either.
            answers |= dict.fromkeys(part, error)

    def _looked(
        self, items: Sequence[Item], part: Sequence[int], answers: dict[int, Answer]
    ) -> None:
        """Look, decide and write; what changed in between is looked at again."""
        lease = earliest([items[number][1] for number in part])
        todo = part
        for _ in range(LOOKS):
            with self._driver.turn(lease) as turn:
                batch = _Batch(self._driver, turn, (items[number][0] for number in todo))
                for number in todo:
                    answers[number] = batch.answer(*items[number])
                ends = dict(zip(batch.records, turn.write([*batch.records.values()]), strict=True))
            again = []
            for number in todo:
                answer = answers[number]
                if isinstance(answer, SignalboxError):
                    self._reporter.located(answer)
                elif (end := ends.get(_row(items[number][0]))) is not None and answer is False:
                    if isinstance(end, Changed):
                        again.append(number)
                    else:
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
        """Write without a look: the service judges, and tells what it refused a write for."""
        records: dict[int, Any] = {}
        for number in todo:
            command, call = items[number]
            try:
                with self._reporter.errors():
                    records[number] = self._driver.record(
                        _write_of(command, call, None, judged=True)
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
        with self._driver.turn(lease) as turn:
            ends = turn.write([records[number] for number in part])
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
    """The writes of one turn, each on top of those before it."""

    def __init__(self, driver: TableDriver, turn: TableTurn, commands: Iterable[Command]) -> None:
        self._driver = driver
        self._found = turn.look([*dict.fromkeys(_row(command) for command in commands)])
        self._after: dict[RowId, tuple[Command, Call]] = {}
        self._stopped: dict[RowId, SignalboxError] = {}
        self.records: dict[RowId, Any] = {}
        """What the rows are to be."""

    def answer(self, command: Command, call: Call) -> Answer:
        """The answer, true once the turn has written."""
        row = _row(command)
        if self._stopped and (stopped := self._stopped.get(row)) is not None:
            return stopped
        try:
            return self._decide(row, command, call)
        except SignalboxError as error:
            if error.temporary:
                self._stopped[row] = error
            return error

    def _decide(self, row: RowId, command: Command, call: Call) -> bool:
        found = self._found.get(row)
        trace = found or NOTHING
        if self._after and (before := self._after.get(row)) is not None:
            trace = Trace(before[1].seq, isinstance(before[0], DeleteRow), kept_mark(before[1]))
        demand(command, trace, call)
        # Asked within the turn: whoever took the command over comes before it or behind it.
        call.remaining()
        if trace.seq >= call.seq:
            return trace.supersedes(call)
        self.records[row] = self._driver.record(_write_of(command, call, found))
        self._after[row] = (command, call)
        return False


def _write_of(
    command: Command, call: Call, over: Trace | None, *, judged: bool = False
) -> RowWrite:
    data = command.data if isinstance(command, UpsertRow) else None
    judge = demand_of(command, call) if judged else None
    return RowWrite(_row(command), data, call.seq, kept_mark(call), over, judge)


def _row(command: Command) -> RowId:
    return (command.table_name, command.key)


def _size(command: Command) -> int:
    return command.size if isinstance(command, UpsertRow) else 0

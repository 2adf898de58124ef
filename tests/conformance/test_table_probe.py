"""What `routes check` tries on a table: it leaves no row, however often its command comes again."""

from __future__ import annotations

from signalbox.commands.routing import ProbeRoute
from signalbox.commands.scope import ResourceKind
from signalbox.testing.table_caller import TableCaller
from signalbox.workers.execution.backend_probe import _TRIES, NAME, _Watch

KIND = ResourceKind.TABULAR_STORE


def test_a_probe_leaves_no_row_also_when_its_command_comes_again(table: TableCaller) -> None:
    command = ProbeRoute(**table.scope_fields, resource_kind=KIND)
    call = table.call()
    for _ in range(2):
        watch = _Watch()
        _TRIES[KIND](table.store, command, call, watch)
        assert [step.name for step in watch.steps] == ["write", "read", "compare", "delete"]
    assert table.rows(table=NAME) == []

"""What runs beside what in one message, and what is told early."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from signalbox.adapters import reach
from signalbox.adapters.catalogue import Backend
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.reach import Boundary, Reaches
from signalbox.commands.error import LeaseExpired, PlaceForbidden, Throttled
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.metrics_store import IngestPoints, Point, QueryPoints
from signalbox.commands.model import Command
from signalbox.commands.object_store import DeleteObject, GetObject, ListObjects, PutObject
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.result import Result
from signalbox.commands.scope import Mode, Scope
from signalbox.routing.policy.policy import FREE
from signalbox.routing.route import Route
from signalbox.workers.execution import adapter_pool
from signalbox.workers.execution.adapter_pool import MAX_READ, AdapterPool
from signalbox.workers.execution.pipeline_types import Admitted, Ended
from signalbox.workers.execution.read_write_order import split_into_sequences

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


class Said(Result):
    value: str


@dataclass
class RecordingStore:
    """An adapter that keeps what it is told, and does what the test wants before it."""

    before: Callable[[Command], None] = lambda _: None
    kept: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    bulk_verbs: frozenset[str] = frozenset()
    ordered_bulk_verbs: frozenset[str] = frozenset()
    folder: str = "/data"

    def boundary(self, scope: Scope, _: object) -> Boundary:
        return Boundary(scope, "filesystem", Reaches(data=(self.folder,)))

    def open(self, _: AdapterContext) -> RecordingStore:
        return self

    def close(self) -> None:
        return

    def put(self, command: PutObject, _: Call) -> Said:
        self.before(command)
        assert isinstance(command.payload, InlinePayload)
        self.kept[command.key] = command.payload.data.decode()
        self.log.append(f"put {command.key}")
        return Said(value="")

    def put_many(self, items: Sequence[tuple[PutObject, Call]]) -> list[Said]:
        return [self.put(command, call) for command, call in items]

    def get(self, command: GetObject, _: Call) -> Said:
        self.before(command)
        return Said(value=self.kept.get(command.key, ""))

    def list(self, command: ListObjects, _: Call) -> Said:
        self.before(command)
        return Said(value=" ".join(f"{k}={v}" for k, v in sorted(self.kept.items())))


class Blind:
    """A watch that lets everything pass."""

    def begin(self, _: Sequence[Admitted]) -> list[Ended]:
        return []

    def moved(self, _: Admitted, __: float) -> None:
        return

    def ended(self, _: Sequence[Ended]) -> None:
        return


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[AdapterPool]:
    pool = AdapterPool(DirectoryPayloadStore(tmp_path), 1024, threads=4)
    yield pool
    pool.close()


def admitted(commands: Sequence[Command], store: RecordingStore | None = None) -> list[Admitted]:
    items = []
    for number, command in enumerate(commands):
        route = Route(
            scope=command.scope,
            backend_type="filesystem",
            config={},
            mode=Mode.LAB,
            revision=1,
            hash="0" * 64,
            updated_at=WHEN,
            updated_by="a",
            reason="r",
        )
        deadline = time.monotonic() + 60
        claimed = Claimed(command, "t", number, number, 1, 1, deadline, WHEN, "1-0")
        items.append(Admitted(claimed, route, cast(Backend, store), Mode.LAB, FREE.quotas))
    return items


def put(key: str, data: str = "x", tenant: str = "t_a") -> PutObject:
    payload = InlinePayload(data=data.encode())
    return PutObject(tenant_id=tenant, env="dev", key=key, payload=payload)


def get(key: str, tenant: str = "t_a") -> GetObject:
    return GetObject(tenant_id=tenant, env="dev", key=key)


def all_keys(tenant: str = "t_a") -> ListObjects:
    return ListObjects(tenant_id=tenant, env="dev")


def told(ends: Sequence[Ended]) -> dict[str, str]:
    return {e.claimed.command.op_id: (e.result or {}).get("value", "") for e in ends}


def never(_: Sequence[Ended]) -> None:
    raise AssertionError("nothing takes long here")


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nothing takes long."""
    monkeypatch.setattr(adapter_pool, "EARLY_SECONDS", 600.0)


def sequences_of(*commands: Command) -> list[list[list[int]]]:
    """The steps, each command by its index."""
    index = {id(command): number for number, command in enumerate(commands)}
    return [
        [[index[id(item.claimed.command)] for item in step] for step in steps]
        for steps in split_into_sequences(admitted(commands))
    ]


def test_sequences_and_their_steps() -> None:
    a, b = put("a"), put("b")
    assert sequences_of(a, b, put("a")) == [[[0, 1, 2]]]
    assert sequences_of(get("a"), all_keys()) == [[[0, 1]]]
    assert sequences_of(a, get("a"), b, get("b")) == [[[0], [1]], [[2], [3]]]
    assert sequences_of(a, get("a"), put("a"), get("a")) == [[[0], [1], [2], [3]]]
    assert sequences_of(get("a"), a) == [[[0], [1]]]
    assert sequences_of(a, get("b")) == [[[0]], [[1]]]
    assert sequences_of(a, b, get("b"), all_keys(), get("a"), put("c")) == [
        [[0, 1], [2, 3, 4], [5]]
    ]
    assert sequences_of(a, all_keys(), b, all_keys()) == [[[0], [1], [2], [3]]]
    assert sequences_of(a, put("c", tenant="t_b"), get("a")) == [[[0], [2]], [[1]]]
    point = Point(series="s", value=1.0, timestamp=WHEN)
    ingest = IngestPoints(tenant_id="t_a", env="dev", points=[point])
    query = QueryPoints(tenant_id="t_a", env="dev", series="s", start=WHEN, end=WHEN.replace(day=2))
    assert sequences_of(ingest, query) == [[[0], [1]]]


@pytest.mark.parametrize("bulk", [frozenset(), frozenset({"put"})])
def test_a_read_behind_a_write_of_its_message_sees_it(
    pool: AdapterPool, bulk: frozenset[str]
) -> None:
    for _ in range(20):
        store = RecordingStore(bulk_verbs=bulk)
        store.before = lambda command: time.sleep(0.002 * command.writes)
        first, second, whole = get("k"), get("k"), all_keys()
        commands = [put("k", "1"), first, put("l", "1"), whole, put("k", "2"), second]
        early: list[Ended] = []
        ends = told([*pool.run(admitted(commands, store), Blind(), early.extend), *early])
        assert (ends[first.op_id], ends[second.op_id]) == ("1", "2")
        assert ends[whole.op_id] == "k=1 l=1"


@pytest.mark.usefixtures("unhurried")
def test_a_write_that_comes_again_keeps_back_those_behind_it_also_behind_a_read(
    pool: AdapterPool,
) -> None:
    def busy(command: Command) -> None:
        if command.writes and command.subject == "k":
            raise Throttled("busy", next_step="wait")

    commands = [put("k", "1"), get("k"), put("k", "2"), put("l")]
    ends = pool.run(admitted(commands, RecordingStore(before=busy)), Blind(), never)
    by_id = {end.claimed.command.op_id: end for end in ends}
    assert isinstance(by_id[commands[0].op_id].error, Throttled)
    assert by_id[commands[1].op_id].result == {"value": ""}
    assert not by_id[commands[2].op_id].attempted
    assert by_id[commands[3].op_id].result is not None


def test_what_ended_is_told_while_others_run_each_once_and_a_key_in_order(
    pool: AdapterPool,
) -> None:
    gate, early = threading.Event(), list[str]()

    def slow(command: Command) -> None:
        if command.subject == "slow":
            assert gate.wait(60)

    commands = [put("k", "1"), put("k", "2"), put("slow"), put("k", "3"), get("slow"), get("k")]
    wanted = [c.op_id for c in (*commands[:2], commands[3], commands[5])]

    def tell(ends: Sequence[Ended]) -> None:
        early.extend(end.claimed.command.op_id for end in ends)
        if sorted(early) == sorted(wanted):
            gate.set()

    last = pool.run(admitted(commands, RecordingStore(before=slow)), Blind(), tell)
    assert early == wanted
    assert [end.claimed.command.op_id for end in last] == [commands[2].op_id, commands[4].op_id]


def test_reads_behind_a_bulk_begin_together(pool: AdapterPool) -> None:
    store = RecordingStore(bulk_verbs=frozenset({"put"}))
    commands: list[Command] = []
    for n in range(20):
        commands += [put(f"k{n}", str(n)), get(f"k{n}")]
    early: list[Ended] = []
    ends = told([*pool.run(admitted(commands, store), Blind(), early.extend), *early])
    assert [ends[c.op_id] for c in commands if not c.writes] == [str(n) for n in range(20)]


@pytest.mark.usefixtures("unhurried")
def test_nothing_is_told_early_where_nothing_takes_long(pool: AdapterPool) -> None:
    assert (
        len(pool.run(admitted([put(f"k{n}") for n in range(50)], RecordingStore()), Blind(), never))
        == 50
    )
    assert pool.run([], Blind(), never) == []


@pytest.mark.usefixtures("unhurried")
def test_an_error_of_the_line_itself_comes_out_once_all_has_ended(pool: AdapterPool) -> None:
    class Broken(Blind):
        def begin(self, items: Sequence[Admitted]) -> list[Ended]:
            if items[0].claimed.command.subject == "k1":
                raise LeaseExpired("the line is broken")
            return []

    store = RecordingStore()
    with pytest.raises(LeaseExpired):
        pool.run(admitted([put(f"k{n}") for n in range(5)], store), Broken(), never)
    assert len(store.log) == 4


def test_deletes_stand_in_line_with_reads_as_well() -> None:
    delete = DeleteObject(tenant_id="t_a", env="dev", key="a")
    assert sequences_of(put("a"), get("a"), delete, get("a")) == [[[0], [1], [2], [3]]]


def test_a_folder_that_leads_elsewhere_later_is_not_used_any_more(
    pool: AdapterPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "GOOD_SECONDS", 0.0)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    store = RecordingStore(folder=str(link))
    [first] = pool.run(admitted([put("a")], store), Blind(), lambda _: None)
    assert first.error is None
    link.unlink()
    link.symlink_to("/etc")
    [second] = pool.run(admitted([put("b")], store), Blind(), lambda _: None)
    assert isinstance(second.error, PlaceForbidden)
    assert store.log == ["put a"]


@pytest.mark.usefixtures("unhurried")
def test_an_answer_of_a_bulk_that_breaks_off_is_the_end_of_its_command_alone(
    pool: AdapterPool,
) -> None:
    sizes: list[int] = []

    class Breaking(RecordingStore):
        def get_many(self, items: Sequence[tuple[GetObject, Call]]) -> list[Any]:
            sizes.append(len(items))
            return [_Broken() if c.key == "k1" else self.get(c, call) for c, call in items]

    store = Breaking(bulk_verbs=frozenset({"get"}))
    commands = [get(f"k{n}") for n in range(MAX_READ + 2)]
    ends = pool.run(admitted(commands, store), Blind(), never)
    failed = {end.claimed.command.subject: end.error for end in ends if end.error}
    assert failed.keys() == {"k1"}
    assert failed["k1"] is not None
    assert failed["k1"].code == "INTERNAL_ERROR"
    assert (failed["k1"].tenant_id, len(ends)) == ("t_a", len(commands))
    assert sorted(sizes) == [2, MAX_READ]


class _Broken(Said):
    value: str = ""

    def model_dump(self, **_: Any) -> dict[str, Any]:
        raise OSError("it broke off")

"""Fuzzed messages on real workers, and the account of what became of each."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from signalbox.commands.error import SignalboxError
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.client import Client
from signalbox.producers.embedded.process import ManagedProcess
from tests.fuzz import memory
from tests.fuzz.line import Line
from tests.fuzz.sample import Sample

TENANT = "t_fuzz"
CHUNK = 5000
TIMEOUT = timedelta(seconds=120)


@dataclass
class Report:
    sent: int = 0
    accepted: int = 0
    refused: int = 0
    """Became dead letters; most are dropped by and by, since their number is bounded."""
    again: int = 0
    """Were kept already, byte for byte."""
    dropped: int = 0
    ended: int = 0
    """Workers, and children of pools that are not the ones from before."""
    frozen: int = 0
    """Good commands in between that had no outcome."""
    growth: int = 0
    """MiB: of the process that grew most, its peak beyond what it had when idle."""
    notes: list[str] = field(default_factory=list)

    @property
    def vanished(self) -> int:
        # One that is delivered a second time, since its connection was lost, may be kept twice.
        return max(0, self.sent - self.accepted - self.refused - self.again)


def play(
    client: Client, workers: Sequence[ManagedProcess], line: Line, samples: Iterable[Sample]
) -> Report:
    """Send all, in chunks with a good command behind each, and wait until each left a trace."""
    report = Report()
    for _ in range(8):
        _good(client, report)
    idle = {pid: memory.resident(pid) for w in workers for pid in memory.processes(w.pid)}
    for pid in idle:
        memory.forget_peak(pid)
    before = _counts(client)
    rest = iter(samples)
    mine = 0
    while chunk := list(islice(rest, CHUNK)):
        report.sent += line.send(chunk)
        mine += _good(client, report)
        if not _settled(client, line, report, before, mine):
            report.notes.append(f"not settled behind {report.sent} messages")
            break
    _account(client, report, before, mine)
    now = {pid for w in workers if w.running for pid in memory.processes(w.pid)}
    report.ended = len(set(idle) - now)
    report.growth = max((memory.peak(pid) - idle[pid] for pid in set(idle) & now), default=0)
    return report


def _good(client: Client, report: Report) -> int:
    put = PutObject(
        tenant_id=TENANT, env="dev", key="good", op_id=new_op_id(), payload=InlinePayload(data=b"x")
    )
    try:
        client.run(put, TIMEOUT)
    except SignalboxError as error:
        report.frozen += 1
        report.notes.append(str(error))
    return 1


def _settled(client: Client, line: Line, report: Report, before: dict[str, int], mine: int) -> bool:
    until = time.monotonic() + TIMEOUT.total_seconds()
    while time.monotonic() < until:
        _account(client, report, before, mine)
        if report.vanished <= 0 and line.waiting() == 0:
            return True
        time.sleep(0.2)
    return False


def _account(client: Client, report: Report, before: dict[str, int], mine: int) -> None:
    now = _counts(client)
    report.accepted = now["accepted"] - before["accepted"] - mine
    report.refused = now["dead"] - before["dead"]
    report.again = now["again"] - before["again"]
    report.dropped = now["dropped"] - before["dropped"]


def _counts(client: Client) -> dict[str, int]:
    totals = client.ledger.totals()
    return {name: totals.get(name, 0) for name in ("accepted", "dead", "again", "dropped")}

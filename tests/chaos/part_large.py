"""A large object through the queue: memory of client and worker, and size of the message."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.client.client import Client
from tests.chaos.load import ENV
from tests.chaos.part import CannotRun, Part, Row
from tests.chaos.strike import answer_of
from tests.chaos.testbed import Testbed, open_testbed, put

GIB = 2**30
MAX_ABOVE_IDLE = 64
"""MiB."""
MAX_MESSAGE = 8 * 1024
TENANT = "t_large"
TIMEOUT = timedelta(minutes=10)


def large(folder: Path) -> Row:
    """One GiB put and got again."""
    if not Path("/proc/self/clear_refs").exists():
        raise CannotRun("the peak of a process' memory is read from Linux' /proc")
    source = folder / "large"
    with source.open("wb") as file:
        for _ in range(GIB // 2**20):
            file.write(os.urandom(2**20))
    with open_testbed(folder, workers=1, SIGNALBOX_LEASE="120") as testbed:
        testbed.route(TENANT)
        testbed.waits(TENANT, 30, 30)
        [worker] = testbed.stack.workers
        pids = _session(worker.pid)
        idle = [_reset(pid) for pid in pids]
        client = answer_of(lambda: _put_and_get(source, folder), folder)
        grown = sum(_peak(pid) for pid in pids) - sum(idle)
        message = _message_size(testbed, source)
    values = {
        "client, MiB above idle": client["grown"],
        "worker, MiB above idle": grown,
        "broker message, bytes": message,
        "equal": "yes" if client["equal"] else "no",
    }
    good = client["equal"] and max(client["grown"], grown) <= MAX_ABOVE_IDLE
    return Row(values, good and message <= MAX_MESSAGE)


def _put_and_get(source: Path, folder: Path) -> dict[str, object]:
    """In a process of its own, the memory of which is measured."""
    with Client(Settings()) as client:
        client.run(put(TENANT, "small"), TIMEOUT)
        idle = _reset(os.getpid())
        payload = client.content.payload(source)
        command = PutObject(tenant_id=TENANT, env=ENV, key="large", payload=payload)
        client.run(command, TIMEOUT)
        get = GetObject(tenant_id=TENANT, env=ENV, key="large")
        result = client.run(get, TIMEOUT)
        equal = True
        with source.open("rb") as expected, client.content.open(result) as found:
            while chunk := found.read(2**20):
                equal = equal and chunk == expected.read(len(chunk))
            equal = equal and not expected.read(1)
        return {"grown": _peak(os.getpid()) - idle, "equal": equal}


def _message_size(testbed: Testbed, source: Path) -> int:
    """Of the largest message on the broker, while a worker that is frozen leaves them there."""
    [worker] = testbed.stack.workers
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        payload = testbed.client.content.payload(source)
        command = PutObject(tenant_id=TENANT, env=ENV, key="again", payload=payload)
        testbed.client.submit(command)
        broker = connect(testbed.stack.addresses["broker"])
        sizes = [
            len(message)
            for key in broker.server().scan_iter("object_store.*", _type="list")
            for message in broker.server().lrange(key, 0, -1)
        ]
        sizes += [len(message) for message in broker.server().hvals("unacked")]
    finally:
        os.killpg(worker.pid, signal.SIGCONT)
    return max(sizes)


def _session(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            if int(fields[2]) == leader:
                found.append(int(entry.name))
    return found


def _reset(pid: int) -> int:
    """Forget the peak; MiB that are resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def _peak(pid: int) -> int:
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) // 1024


LARGE_PART = Part(
    "large",
    "A large object",
    f"""
A client puts one GiB of random bytes, a worker stores it, and the client reads and compares it.
The peak memory of client and worker may be at most {MAX_ABOVE_IDLE} MiB above idle, and the
message on the broker at most {MAX_MESSAGE // 1024} KiB.
""",
    {"1 GiB": large},
)

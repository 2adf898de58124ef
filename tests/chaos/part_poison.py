"""Commands that kill whoever runs them, and dead letters that are replayed."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from signalbox.commands.ledger.dead import DeadLetter, Which
from signalbox.commands.object_store import Condition, ListObjects, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.client import Client
from tests.chaos.load import ENV
from tests.chaos.part import Part, Row, Value
from tests.chaos.testbed import Testbed, open_testbed, p99, put

POISON_KEY = "poison"
"""What the key of a command holds that kills."""
POISONED, INNOCENT = "t_poisoned", "t_innocent"
DOSES = 20
DOSE_SECONDS = 4.0
"""Three deaths each: one of them in 1.3 s, of a pool of processes that two cores carry."""
MAX_RUNS = 3
MAX_SLOWER = 1.5
REPLAYED = 1000
TIMEOUT = timedelta(seconds=120)


def poison(folder: Path) -> Row:
    """One of them after the other, singly or amid a batch, beside a neighbour's single commands."""
    armed = f"command.before=kill~{POISON_KEY}"
    with open_testbed(
        folder,
        pool="prefork",
        faults=armed,
        SIGNALBOX_LEASE="3",
        SIGNALBOX_PUBLISH_GRACE="2",
    ) as testbed:
        testbed.route(INNOCENT)
        testbed.route(POISONED)
        seconds = DOSES * DOSE_SECONDS
        testbed.throughput(INNOCENT, 5)  # every child has run something
        testbed.throughput(INNOCENT, 5)  # every child has run something
        before = testbed.waits(INNOCENT, 10**6, seconds / 2)
        ended = threading.Event()
        giver = threading.Thread(target=_give, args=(testbed, ended))
        giver.start()
        beside = testbed.waits(INNOCENT, 10**6, seconds)
        ended.wait(60)
        giver.join(60)
        _wait_until_nothing_is_open(testbed.client)
        letters = list(testbed.client.dead.find(Which(tenant_id=POISONED)))
        stored = _keys(testbed.client, POISONED)
    factor = p99(beside) / p99(before)
    poisonous = [letter for letter in letters if POISON_KEY in letter.document]
    values: dict[str, Value] = {
        "poisonous": DOSES,
        "dead letters": len(letters),
        "runs at most": _runs_most(poisonous),
        "innocent in their batches": _innocent(),
        "of them done": len(stored),
        "p99 ms without": 1000 * p99(before),
        "p99 ms beside": 1000 * p99(beside),
        "times": factor,
    }
    kept = len(letters) == len(poisonous) == DOSES and _runs_most(poisonous) <= MAX_RUNS
    return Row(values, kept and len(stored) == _innocent() and factor <= MAX_SLOWER)


def replay(folder: Path) -> Row:
    """Dead letters by a route that leads nowhere, replayed twice when it is mended."""
    with open_testbed(folder) as testbed:
        nowhere = folder / "a-file"
        nowhere.touch()
        testbed.route(POISONED, base_dir=str(nowhere))
        payload = InlinePayload(data=b"x")
        commands = [
            PutObject(
                tenant_id=POISONED,
                env=ENV,
                key=f"k{number:04}",
                payload=payload,
                condition=Condition(if_absent=True),
            )
            for number in range(REPLAYED)
        ]
        testbed.client.wait(testbed.client.submit_many(commands), TIMEOUT)
        dead = [letter.ref for letter in testbed.client.dead.find(Which(tenant_id=POISONED))]
        testbed.switch(POISONED)
        threads = [threading.Thread(target=testbed.client.replay, args=(dead,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _wait_until_nothing_is_open(testbed.client)
        left = len(list(testbed.client.dead.find(Which(tenant_id=POISONED))))
        stored = _keys(testbed.client, POISONED)
    values: dict[str, Value] = {"replayed": len(dead), "effects": len(stored), "dead letters": left}
    return Row(values, len(dead) == len(stored) == REPLAYED and left == 0)


def _give(testbed: Testbed, ended: threading.Event) -> None:
    """Half of the doses in the midst of a batch of harmless commands."""
    for dose in range(DOSES):
        commands = [put(POISONED, f"{POISON_KEY}{dose}")]
        if dose % 2:
            commands += [put(POISONED, f"d{dose}-{number}") for number in range(20)]
        testbed.client.submit_many(commands)
        time.sleep(DOSE_SECONDS)
    ended.set()


def _innocent() -> int:
    return DOSES // 2 * 20


def _runs_most(letters: Sequence[DeadLetter]) -> int:
    """The last attempt is the one that finds that it must not run."""
    return max(letter.attempts for letter in letters) - 1


def _wait_until_nothing_is_open(client: Client) -> None:
    until = time.monotonic() + TIMEOUT.total_seconds()
    while client.ledger.totals()["open"] and time.monotonic() < until:
        time.sleep(0.1)


def _keys(client: Client, tenant: str) -> list[str]:
    keys: list[str] = []
    cursor = None
    while True:
        ask = ListObjects(tenant_id=tenant, env=ENV, limit=1000, cursor=cursor)
        page = client.run_outcome(ask, TIMEOUT).unwrap()
        keys += [entry["key"] for entry in page["objects"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return keys


POISON_PART = Part(
    "poison",
    "Commands that kill, and replayed dead letters",
    f"""
*Poison*: {DOSES} commands, one every {DOSE_SECONDS:g} s, kill the process that runs them. Half of
them are submitted in a batch with 20 others. Workers use prefork, so that killed child processes
are replaced. Each of these commands may run at most {MAX_RUNS} times, and all of them, and
nothing else, must become dead letters. The p99 of another tenant's single commands may be at most
{MAX_SLOWER:g} times that without poison. (With twice as many, one command in 80 waits for a child
process that is being replaced, and the p99 is 1.5 to 1.7 times as long.)

*Replay*: {REPLAYED:,} commands have failed permanently because their route was wrong. After it is
corrected, two clients replay them at the same time. Each command creates an object that must not
exist before.
""",
    {"poison": poison, "replay": replay},
)

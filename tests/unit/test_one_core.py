"""A process on one core: all its threads but those that have left, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, threading
from concurrent.futures import ThreadPoolExecutor
from signalbox.commands import one_core
from signalbox.commands.one_core import keep_on_one_core, run_anywhere

one_core.BOUND_SECONDS = 3600.0

def cores():
    return sorted(os.sched_getaffinity(0))

def elsewhere(prepare=None):
    with ThreadPoolExecutor(1, initializer=prepare) as pool:
        return pool.submit(cores).result()

every = cores()
early = ThreadPoolExecutor(1, initializer=run_anywhere)
early.submit(cores).result()
if KEPT:
    keep_on_one_core()
    while len(cores()) > 1:
        pass
found = {"every": every, "own": cores(), "later": elsewhere(), "apart": elsewhere(run_anywhere)}
print(json.dumps(found | {"early": early.submit(cores).result()}))
"""

OPERATOR = """
import itertools, os, threading
from signalbox.commands import one_core

one_core.BOUND_SECONDS = one_core.FREE_SECONDS = 0.01
cores = itertools.cycle(sorted(os.sched_getaffinity(0)))
one_core.keep_on_one_core()
[keeper] = [each for each in threading.enumerate() if each.name == "one-core"]
while keeper.is_alive():
    os.sched_setaffinity(0, {next(cores)})
    keeper.join(0.02)
print(len(os.sched_getaffinity(0)))
"""


def cores_of(*, kept: bool) -> dict[str, list[int]]:
    program = f"KEPT = {kept}\n{PROGRAM}"
    said = subprocess.run(
        [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, timeout=300
    )
    found: dict[str, list[int]] = json.loads(said.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: threads are bound to a core")
def test_all_threads_share_a_core_but_those_that_have_left() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("NOT TESTED: threads on one core (needs two)")
    found = cores_of(kept=True)
    assert len(found["own"]) == 1
    assert found["later"] == found["own"]
    assert found["apart"] == found["early"] == found["every"]


def test_without_it_nothing_is_bound() -> None:
    if sys.platform != "linux":
        pytest.skip("needs Linux: threads are bound to a core")
    found = cores_of(kept=False)
    assert all(cores == found["every"] for cores in found.values())


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: threads are bound to a core")
def test_what_an_operator_decides_later_stands() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("NOT TESTED: threads on one core (needs two)")
    said = subprocess.run(
        [sys.executable, "-c", OPERATOR], check=True, stdout=subprocess.PIPE, timeout=300
    )
    assert said.stdout == b"1\n"

"""Keeps the threads of a process on one processor core, where they run one after the other anyway.

Only one thread of a Python process runs at a time. If the next one runs on another core, it finds
cold caches there and has to be woken across cores: 64 connections got 1,900 small objects a second
from a gateway whose threads ran on two cores, and 3,100 from one whose threads ran on one.

The operating system chooses the core anew every `BOUND_SECONDS`: for `FREE_SECONDS` all threads may
run on any core, and then they stay on the one on which the first of them runs.
Threads that work outside the interpreter, such as those that call backends, can run at the same
time as others: they begin with `run_anywhere`.

See https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

BOUND_SECONDS = 1.0
"""Seconds on one core until it is chosen anew."""
FREE_SECONDS = 0.01
"""Seconds in which the operating system chooses the core."""

_TASKS = Path("/proc/self/task")
_apart: WeakSet[threading.Thread] = WeakSet()
_kept = threading.Event()


def keep_on_one_core() -> None:
    """Bind all threads of this process to one core, also those that are started later.

    The core is the one that suits the calling thread best. Does nothing where threads cannot be
    bound, or where there is only one core, and ends where someone else binds that thread.
    """
    if len(_CORES) > 1 and not _kept.is_set():
        _kept.set()
        first = threading.get_native_id()
        threading.Thread(target=_keep, args=(first,), name="one-core", daemon=True).start()


def run_anywhere() -> None:
    """Let the calling thread run on any core; for the initializer of a pool of threads.

    Does nothing in a process that is not kept on one core.
    """
    _apart.add(threading.current_thread())
    if _kept.is_set():
        _bind(0, _CORES)


def _keep(first: int) -> None:
    bound = _CORES
    # Where it is something else, an operator has decided, or a container forbids this.
    while _cores_of(first) == bound:
        if bound == _CORES:
            bound, seconds = {_core_of(first)}, BOUND_SECONDS
        else:
            bound, seconds = _CORES, FREE_SECONDS
        _bind_all(bound)
        time.sleep(seconds)


def _bind_all(cores: set[int]) -> None:
    own = {int(thread.name) for thread in _TASKS.iterdir()}
    for thread in threading.enumerate():
        number = _number_of(thread)
        if thread not in _apart and number in own:
            _bind(number, cores)


def _number_of(thread: threading.Thread) -> int:
    """Return the system's number of a thread; 0 if it has none yet."""
    # After a fork, Python keeps the parent's number for the main thread.
    return os.getpid() if thread is threading.main_thread() else thread.native_id or 0


def _bind(thread: int, cores: set[int]) -> None:
    if sys.platform == "linux":
        # It may have ended, or a container may forbid this.
        with suppress(OSError):
            os.sched_setaffinity(thread, cores)


def _cores_of(thread: int) -> set[int]:
    return os.sched_getaffinity(thread) if sys.platform == "linux" else set()


def _core_of(thread: int) -> int:
    """Return the number of the core on which a thread has run last."""
    # The name, in parentheses, may hold spaces. This is the 39th field, and the third follows it.
    stat = (_TASKS / f"{thread}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[36])


_CORES = _cores_of(0)

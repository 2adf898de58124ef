"""Processes that the embedded stack starts, each a group of its own, and ends by their ids.

On Linux a child is told to end when the *thread* that started it ends (`prctl(2)`): start them
from a thread that lives as long as they should.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from signalbox.commands.error import Unavailable

_PR_SET_PDEATHSIG = 1
# Looked up here: between fork and exec, a lock of the loader may be held by a thread that does not
# exist in the child.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ManagedProcess:
    """One child process with its log file. It ends with its parent, for any reason (on Linux)."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment) if environment is not None else None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins = 0

    @property
    def pid(self) -> int:
        """Process id. Raises Unavailable before `start`."""
        if self._process is None:
            raise Unavailable(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, without waiting until it is ready. Raises OSError."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()

        def end_with_parent() -> None:
            if _PRCTL is not None:
                _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != parent:
                    os._exit(1)  # The parent ended before the call above, so no signal will come.

        with self.log.open("ab") as sink:
            self._log_begins = sink.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
                # It makes two system calls and takes no lock, so other threads do no harm.
                preexec_fn=end_with_parent if _PRCTL is not None else None,
            )

    def said(self, text: str) -> bool:
        """Return whether its log contains the text since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return text.encode() in log.read()

    def wait_until(self, ready: Callable[[], bool], limit: timedelta) -> None:
        """Return when `ready()` is true.

        Raise Unavailable with the end of the log after `limit`.
        """
        deadline = time.monotonic() + limit.total_seconds()
        # `ready` is not called after the process ended: another process may answer instead.
        while not (self.running and ready()):
            if not self.running or time.monotonic() > deadline:
                state = "did not get ready" if self.running else "ended at once"
                self.stop()
                tail = self.log.read_text(errors="replace")[-2000:]
                raise Unavailable(f"{self.name} {state}:\n{tail}", next_step=f"see {self.log}")
            time.sleep(0.02)

    def terminate(self) -> None:
        """Send SIGTERM if it runs, without waiting for its end."""
        if self._process is not None:
            # Only to the process: a worker's children finish their commands.
            self._process.terminate()

    def stop(self, limit: timedelta = timedelta(seconds=25)) -> None:
        """Send SIGTERM, and SIGKILL to what is left of the group after `limit`."""
        if self._process is None:
            return
        try:
            if self.running:
                self.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(limit.total_seconds())
        finally:
            # A second Ctrl-C meanwhile must not leave processes behind.
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the whole group, and wait until it has ended."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

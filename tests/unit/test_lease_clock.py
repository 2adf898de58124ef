"""A lease ends while the machine sleeps."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired
from signalbox.commands.payload import DirectoryPayloadStore


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the monotonic clock counts sleep")
def test_a_worker_that_slept_past_its_lease_begins_no_effect(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    call = Call("1", 1, False, lease_clock() + 3600, DirectoryPayloadStore(tmp_path))
    assert call.remaining() > 0
    asleep = 2 * 3600.0
    awake = time.clock_gettime

    def read(clock: int) -> float:
        # What Linux does while suspended: of these two only the clock since boot goes on.
        return awake(clock) + (asleep if clock == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, "clock_gettime", read)
    with pytest.raises(LeaseExpired):
        call.remaining()

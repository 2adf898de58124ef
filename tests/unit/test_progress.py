"""Content that comes earns its command time, and no more than it has come."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, StateUnavailable
from signalbox.commands.ledger.record_fields import SLOWEST_BYTES_PER_SECOND
from signalbox.commands.payload import DirectoryPayloadStore
from signalbox.workers.execution.lease_extension import RENEW_SECONDS, Progress
from tests.unit.test_adapter_pool import Blind, admitted, get

MIB = 1024 * 1024
ENOUGH = int(RENEW_SECONDS * SLOWEST_BYTES_PER_SECOND / MIB)
"""MiB for which the ledger is asked once."""


def make_call(tmp_path: Path, seconds: float = 60) -> Call:
    return Call("1", 1, False, lease_clock() + seconds, DirectoryPayloadStore(tmp_path))


def test_the_lease_moves_on_with_what_has_come(tmp_path: Path) -> None:
    call, asked = make_call(tmp_path), []

    def renew(ref: str, token: str, seconds: float) -> bool:
        needed = call.deadline + RENEW_SECONDS - lease_clock()
        asked.append((ref, token, needed <= seconds))
        return True

    (item,) = admitted([get("a")])
    moved, before = Progress(item, call, Blind(), renew), call.deadline
    for _ in range(3 * ENOUGH):
        moved(MIB)
    assert asked == [(item.claimed.command.ref, "t", True)] * 3
    assert call.deadline == pytest.approx(before + 3 * RENEW_SECONDS)


def test_content_for_a_command_that_is_anothers_by_now_is_not_read_on(tmp_path: Path) -> None:
    (item,) = admitted([get("a")])
    moved = Progress(item, make_call(tmp_path), Blind(), lambda *_: False)
    with pytest.raises(LeaseExpired, match="taken the command over"):
        moved(ENOUGH * MIB)


def test_a_ledger_that_is_away_gives_no_time_and_is_asked_again(tmp_path: Path) -> None:
    call, answers = make_call(tmp_path), [StateUnavailable("away"), None]

    def renew(*_: object) -> bool:
        if (fault := answers.pop(0)) is not None:
            raise fault
        return True

    (item,) = admitted([get("a")])
    moved, before = Progress(item, call, Blind(), renew), call.deadline
    moved(ENOUGH * MIB)
    assert call.deadline == before
    moved(MIB)
    assert call.deadline == pytest.approx(before + RENEW_SECONDS + MIB / SLOWEST_BYTES_PER_SECOND)


def test_nothing_is_staged_once_the_lease_is_over(tmp_path: Path) -> None:
    call = make_call(tmp_path)
    call.deadline = lease_clock()
    (item,) = admitted([get("a")])
    moved = Progress(item, call, Blind(), lambda *_: True)
    with pytest.raises(LeaseExpired, match="while the content was read"):
        moved(1)

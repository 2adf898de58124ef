"""What the dates of answers say of a service's clock, and when requests end by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from signalbox.adapters.http_date import http_date
from signalbox.adapters.port import Call
from signalbox.adapters.service_clock import MARGIN_SECONDS, WINDOW_SECONDS, ServiceClock
from signalbox.commands.error import LeaseExpired
from signalbox.commands.payload import DirectoryPayloadStore


class Times:
    """Our clock, and that of a service which differs by `ahead` seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
        self.now, self.ahead = 5000.25, ahead
        monkeypatch.setattr("signalbox.adapters.service_clock.lease_clock", lambda: self.now)

    @property
    def service(self) -> float:
        return self.now + self.ahead

    def date(self) -> str:
        moment = datetime.fromtimestamp(int(self.service), UTC)
        return format_datetime(moment, usegmt=True)


def call_of(folder: Path, deadline: float) -> Call:
    return Call("1", 1, False, deadline, DirectoryPayloadStore(folder))


@pytest.mark.parametrize("ahead", [1_700_000_000.0, 1_700_000_000.9, 12_345.5])
def test_what_is_sent_ends_before_the_lease_by_the_services_clock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ahead: float
) -> None:
    times, clock = Times(monkeypatch, ahead), ServiceClock()
    for step in range(40):
        clock.observe(times.date())
        times.now += 0.13
        deadline = times.now + 30
        at, end = clock.window(call_of(tmp_path, deadline))
        over = deadline + ahead
        assert at <= times.service
        assert over - MARGIN_SECONDS - 3 < end <= over - MARGIN_SECONDS, step


def test_a_clock_that_was_put_right_is_believed_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times, clock = Times(monkeypatch, 1_700_000_100), ServiceClock()
    clock.observe(times.date())
    times.ahead -= 50
    for _ in range(3):
        times.now += WINDOW_SECONDS + 1
        clock.observe(times.date())
    assert clock.now() <= times.service


def test_a_lease_with_too_little_left_is_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times, clock = Times(monkeypatch, 1_700_000_000), ServiceClock()
    clock.observe(times.date())
    with pytest.raises(LeaseExpired):
        clock.window(call_of(tmp_path, times.now + MARGIN_SECONDS))


def test_it_is_asked_once_and_again_after_a_long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    times, clock = Times(monkeypatch, 1_700_000_000), ServiceClock()
    asked: list[float] = []

    def ask() -> None:
        # What says no date is not asked for it each time.
        asked.append(times.now)

    for _ in range(3):
        clock.learn(ask)
    assert len(asked) == 1
    times.now += 500
    clock.observe(times.date())
    times.now += 500
    clock.learn(ask)
    assert len(asked) == 1
    times.now += 200
    clock.learn(ask)
    assert len(asked) == 2


@pytest.mark.parametrize("text", ["", "soon", "Mon, 99 Jan 2024 00:00:00 GMT"])
def test_a_date_that_is_none_changes_nothing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    times, clock = Times(monkeypatch, 1_700_000_000), ServiceClock()
    clock.observe(times.date())
    before = clock.now()
    clock.observe(text)
    clock.observe(None)
    assert clock.now() == before


def test_dates_of_http_are_read_in_each_of_their_forms() -> None:
    moment = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
    assert http_date("Thu, 29 Feb 2024 23:59:58 GMT") == moment
    assert http_date("Fri, 01 Mar 2024 01:59:58 +0200") == moment
    assert http_date(format_datetime(moment + timedelta(days=300), usegmt=True)).month == 12

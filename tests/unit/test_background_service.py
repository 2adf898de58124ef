"""Background services of a worker."""

from __future__ import annotations

import threading
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from signalbox.commands.error import StateUnavailable
from signalbox.workers.maintenance import background_service
from signalbox.workers.maintenance.background_service import BackgroundService


class Failing(BackgroundService):
    name: ClassVar[str] = "failing"
    interval: ClassVar[float] = 0.001
    at_once: ClassVar[bool] = True

    def __init__(self, answers: list[str | None]) -> None:
        super().__init__()
        self.answers = answers
        self.ended = threading.Event()

    def step(self) -> float:
        if not self.answers:
            self.stop()
            self.ended.set()
            return 60
        if (answer := self.answers.pop(0)) is not None:
            raise StateUnavailable(answer)
        return 0


def test_an_error_that_continues_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_service, "REPEAT_SECONDS", 1e9)
    service = Failing(["away"] * 50 + ["refused"] + ["away"] * 2 + [None] + ["away"] * 5)
    with capture_logs() as lines:
        service.start()
        assert service.ended.wait(60)
    assert [line["error"] for line in lines] == ["away", "refused", "away", "away"]

"""Processes that a fork server started, at the moment at which they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.forked import Forked


def test_a_signal_to_a_process_that_has_just_ended_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parent, the server, may have waited for it between the look and the signal."""
    with (tmp_path / "said").open("wb") as said, open(os.devnull, "rb") as nothing:
        streams = [nothing.fileno(), said.fileno(), said.fileno()]
        forked = Forked("signalbox.producers.cli.main", ["--help"], os.environ, streams)
    assert forked.wait(60) == 0
    monkeypatch.setattr(forked, "poll", lambda: None)
    monkeypatch.setattr(forked, "pid", 2**30)  # of no process, whatever has started meanwhile
    forked.terminate()

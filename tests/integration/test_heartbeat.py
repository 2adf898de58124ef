"""Signs of life: given while a pool takes work and the state Redis writes, and missed else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from signalbox.commands.error import StateUnavailable
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers import heartbeats as heartbeats_module
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.heartbeats import Heartbeats
from signalbox.workers.maintenance import heartbeat as heartbeat_module
from signalbox.workers.maintenance.heartbeat import Heartbeat, PoolProbe
from tests.conftest import need_redis


@pytest.fixture
def settings(state_url: str, tmp_path: Path) -> Settings:
    return Settings(state_url=state_url, ready_file=tmp_path / "ready")


def test_a_worker_that_moves_is_seen_until_it_stops(settings: Settings) -> None:
    heartbeats = Heartbeats(connect(settings.state_url))
    worker = Heartbeat(settings, "moves@here", lambda: True)
    assert worker.run_once()
    assert "moves@here" in heartbeats.beating()
    assert settings.ready_file is not None
    assert settings.ready_file.exists()
    worker.stop()
    assert "moves@here" not in heartbeats.beating()
    assert not settings.ready_file.exists()


def test_a_worker_that_is_stuck_gives_no_sign(settings: Settings) -> None:
    assert not Heartbeat(settings, "stuck@here", lambda: False).run_once()
    assert "stuck@here" not in Heartbeats(connect(settings.state_url)).beating()
    assert settings.ready_file is not None
    assert not settings.ready_file.exists()


def test_an_old_sign_counts_no_more(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    Heartbeat(settings, "was@here", lambda: True).run_once()
    monkeypatch.setattr(heartbeats_module, "KEPT_MS", -1)
    assert Heartbeats(connect(settings.state_url)).beating() == []


def test_no_sign_is_given_while_the_state_redis_is_away(tmp_path: Path) -> None:
    need_redis()
    server = RedisServer(tmp_path / "redis")
    server.start()
    worker = Heartbeat(Settings(state_url=server.url), "alone@here", lambda: True)
    server.stop()
    with pytest.raises(StateUnavailable):
        worker.run_once()


def test_a_pool_whose_threads_are_all_held_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_module, "BEAT_SECONDS", 0.05)
    free = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        moves = PoolProbe(SimpleNamespace(executor=threads))
        held = threads.submit(free.wait)
        assert not moves()
        assert not moves()
        free.set()
        held.result()
        while not moves():
            pass
    assert PoolProbe(SimpleNamespace())(), "other pools are taken at their word"

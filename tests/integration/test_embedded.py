"""The embedded stack: real processes that keep their data, and leave nothing behind."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import redis

from signalbox.commands.error import Conflict, Unavailable
from signalbox.producers.embedded import ports as module
from signalbox.producers.embedded.ports import free_port, start_on_free_port
from signalbox.producers.embedded.process import ManagedProcess
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.s3_stand_in import S3StandIn
from signalbox.producers.embedded.stack import EmbeddedStack
from tests.integration.conftest import TIMEOUT, wait_until

REAL_START = True
STACK_UNTIL_KILLED = """
import sys
from pathlib import Path
from signalbox.producers.embedded.stack import EmbeddedStack
with EmbeddedStack(Path(sys.argv[1]), workers=1, flower=False) as stack:
    print("up", flush=True)
    stack.wait()
"""
IGNORES_SIGTERM = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("ready", child.pid, flush=True)
signal.pause()
"""

BINDS = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    print("bound", flush=True)
    server.accept()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def listening(port: int = 0) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=300) as answer:  # noqa: S310 - our own stand-in
        return bytes(answer.read())


def below(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def ended(process: psutil.Process) -> bool:
    """Gone, or a zombie that only waits for this container's init to notice."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def none_outlives(processes: list[psutil.Process]) -> Iterator[None]:
    """A test that fails must not leave behind what it looked for."""
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_redis_has_the_settings_that_the_ledger_stands_on(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        for name, value in {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "save": "",
        }.items():
            assert client.config_get(name) == {name: value}


def test_what_redis_acknowledged_survives_kill_and_restart_on_the_same_address(
    server: RedisServer,
) -> None:
    url, first = server.url, server.pid
    with redis.Redis.from_url(url) as client:
        client.set("before", "kill")
        server.kill()
        with pytest.raises(redis.RedisError):
            client.ping()
        server.start()
        assert client.get("before") == b"kill"
        client.set("before", "restart")
        server.restart()
        assert client.get("before") == b"restart"
    assert server.url == url
    assert server.pid != first


def test_a_port_that_was_taken_in_the_meantime_is_replaced(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    with listening(server.port) as other:
        server.start()
        try:
            assert server.port != other.getsockname()[1]
        finally:
            server.stop()


def test_a_port_that_was_asked_for_is_never_replaced(tmp_path: Path) -> None:
    with listening() as other:
        server = RedisServer(tmp_path, port=other.getsockname()[1])
        with pytest.raises(Unavailable, match="ended at once"):
            server.start()


def test_a_free_port_is_the_preferred_one_or_another() -> None:
    with listening() as other:
        taken = other.getsockname()[1]
        assert free_port(taken) not in (0, taken)
    assert free_port(taken) == taken


def test_a_server_whose_port_was_taken_and_is_free_again_is_started_on_another(
    tmp_path: Path,
) -> None:
    other = listening()
    taken = other.getsockname()[1]
    ports: list[int] = []
    servers: list[ManagedProcess] = []

    def start(port: int) -> ManagedProcess:
        ports.append(port)
        server = ManagedProcess(
            "server", [sys.executable, "-c", BINDS, str(port)], tmp_path / "log"
        )
        server.start()
        servers.append(server)
        return server

    def ready(server: ManagedProcess, _: int) -> None:
        try:
            server.wait_until(lambda: server.said("bound"), TIMEOUT)
        finally:
            other.close()

    with pytest.MonkeyPatch.context() as patch:
        # The port is taken after the look at it, and free when its loss is noticed.
        patch.setattr(module, "free_port", lambda preferred=0: preferred or free_port())
        start_on_free_port(taken, start, ready)
    servers[-1].stop()
    assert ports[0] == taken
    assert len(ports) == 2


def test_a_server_that_ends_for_another_reason_is_started_once(tmp_path: Path) -> None:
    started: list[ManagedProcess] = []

    def start(_: int) -> ManagedProcess:
        command = [sys.executable, "-c", "raise SystemExit('no such setting')"]
        started.append(ManagedProcess("server", command, tmp_path / "log"))
        started[-1].start()
        return started[-1]

    with pytest.raises(Unavailable, match="no such setting"):
        start_on_free_port(0, start, lambda server, _: server.wait_until(lambda: False, TIMEOUT))
    assert len(started) == 1


def test_a_stopped_stack_leaves_no_process_and_frees_its_directory(tmp_path: Path) -> None:
    before = set(below(psutil.Process()))
    with EmbeddedStack(tmp_path, workers=2, flower=True) as stack:
        started = [process for process in below(psutil.Process()) if process not in before]
        assert {worker.pid for worker in stack.workers} < {process.pid for process in started}
        assert set(stack.addresses) == {"state", "broker", "flower"}
        with redis.Redis.from_url(stack.addresses["state"]) as client:
            client.set("kept", "yes")
    with none_outlives(started):
        assert [process for process in started if not ended(process)] == []

    with (
        EmbeddedStack(tmp_path, workers=0, flower=False) as again,
        redis.Redis.from_url(again.addresses["state"]) as client,
    ):
        assert client.get("kept") == b"yes"


def test_a_second_stack_on_the_same_directory_is_refused_with_the_holders_pid(
    tmp_path: Path,
) -> None:
    with EmbeddedStack(tmp_path, workers=0, flower=False) as first:
        with pytest.raises(Conflict, match=rf"process {os.getpid()}\b"):
            EmbeddedStack(tmp_path, workers=0, flower=False).start()
        with redis.Redis.from_url(first.addresses["state"]) as client:
            assert client.ping(), "the refused one must not stop the first"


def test_a_killed_worker_is_replaced_by_another_of_a_new_name(tmp_path: Path) -> None:
    with EmbeddedStack(tmp_path, workers=1, flower=False) as stack:
        [first] = stack.workers
        first.kill()
        assert not first.running
        second = stack.start_worker()
        assert second.running
        assert second.name != first.name


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: children end with their parent")
def test_nothing_is_left_when_the_process_of_the_stack_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STACK_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    children = below(psutil.Process(parent.pid))
    assert len(children) >= 2
    with none_outlives(children):
        parent.kill()
        parent.wait()
        wait_until(lambda: all(ended(child) for child in children), "its children ended")


def test_given_addresses_are_used_and_no_redis_is_started(
    tmp_path: Path, server: RedisServer
) -> None:
    with EmbeddedStack(
        tmp_path / "stack", workers=0, flower=False, state_url=server.url, broker_url=server.url
    ) as stack:
        assert stack.environment["SIGNALBOX_STATE_URL"] == server.url
        with pytest.raises(Unavailable):
            _ = stack.redis
    with redis.Redis.from_url(server.url) as client:
        assert client.ping(), "what the stack did not start it must not stop"


def test_a_process_that_ends_at_once_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = ManagedProcess("broken", [sys.executable, "-c", "exit('no such port')"],
                             tmp_path / "log")  # fmt: skip
    process.start()
    with pytest.raises(Unavailable, match=r"broken ended at once:\nno such port"):
        process.wait_until(lambda: False, TIMEOUT)


def test_a_process_that_ignores_the_request_to_stop_is_killed_with_its_children(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    process = ManagedProcess("stubborn", [sys.executable, "-c", IGNORES_SIGTERM], log)
    process.start()
    process.wait_until(lambda: "ready" in log.read_text(), TIMEOUT)
    group = [psutil.Process(process.pid), *below(psutil.Process(process.pid))]
    assert len(group) == 2
    with none_outlives(group):
        process.stop(timedelta(seconds=0.2))
        wait_until(lambda: all(ended(member) for member in group), "the group ended")


def test_the_stand_in_keeps_its_credentials_private_and_takes_buckets(tmp_path: Path) -> None:
    with S3StandIn(tmp_path) as stand_in:
        assert stat.S_IMODE(stand_in.credentials_file.stat().st_mode) == 0o600
        stand_in.create_bucket("mine")
        stand_in.create_bucket("mine")
        assert b"<Name>mine</Name>" in fetch(f"{stand_in.endpoint_url}/mine")
    with pytest.raises(urllib.error.URLError):
        fetch(stand_in.endpoint_url)

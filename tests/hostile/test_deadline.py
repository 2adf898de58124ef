"""The time of a call holds for whatever its sockets do."""

from __future__ import annotations

from pathlib import Path

import pytest
import urllib3

from signalbox.adapters.deadline import Late, TooLong, within
from signalbox.adapters.port import Call
from signalbox.adapters.timed_socket import TimedConnection, connect
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired
from signalbox.commands.payload import DirectoryPayloadStore
from tests.hostile.server import Behaviour, Visit, serve
from tests.hostile.slow import SLOW, reads_a_byte_at_a_time, says_nothing


class _Connection(TimedConnection, urllib3.connection.HTTPConnection):
    pass


def make_call(tmp_path: Path, seconds: float) -> Call:
    return Call("op-1", 1, False, lease_clock() + seconds, DirectoryPayloadStore(tmp_path))


@pytest.mark.parametrize("behaviour", SLOW)
@pytest.mark.parametrize("bounded_by", ["lease", "request"])
def test_a_request_ends_with_its_time_or_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour, bounded_by: str
) -> None:
    monkeypatch.setattr(
        "signalbox.adapters.deadline.REQUEST_SECONDS", 0.3 if bounded_by == "request" else 60
    )
    lease = 0.3 if bounded_by == "lease" else 60
    with serve(behaviour) as server, within(make_call(tmp_path, lease)) as deadline:
        host, _, port = server.endpoint.removeprefix("http://").partition(":")
        connection = _Connection(host, int(port), timeout=60)
        body = b"x" * 20_000_000 if behaviour is reads_a_byte_at_a_time else b"x"
        with pytest.raises((urllib3.exceptions.HTTPError, OSError)):  # noqa: PT012
            connection.request("PUT", "/", body)
            connection.getresponse().read()
        # On a busy machine a lease may be over before anything was sent.
        assert "too slow" in deadline.fault or (bounded_by, deadline.fault) == (
            "lease",
            "was not asked",
        )
        with pytest.raises(Late):
            deadline.begin()


def test_an_answer_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalbox.adapters.deadline.ANSWER_BYTES", 1_000_000)

    def floods(visit: Visit) -> None:
        while True:
            visit.send(b"x" * 65536)

    with serve(floods) as server, within(make_call(tmp_path, 60)) as deadline:
        deadline.begin()
        host, _, port = server.endpoint.removeprefix("http://").partition(":")
        with connect(host, int(port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(TooLong):  # noqa: PT012
                while sock.recv(65536):
                    pass
        assert deadline.fault


def test_steady_content_takes_as_long_as_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a request that moves nothing."""
    monkeypatch.setattr("signalbox.adapters.deadline.REQUEST_SECONDS", 2.0)
    monkeypatch.setattr("signalbox.adapters.deadline.STEADY_BYTES_PER_SECOND", 10_000)
    began = lease_clock()

    def steady(visit: Visit) -> None:
        while lease_clock() - began < 2.5:
            visit.send(b"x" * 20_000)
            visit.ended.wait(0.01)
        visit.connection.shutdown(2)

    with serve(steady) as server, within(make_call(tmp_path, 60)) as deadline:
        host, _, port = server.endpoint.removeprefix("http://").partition(":")
        with connect(host, int(port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while sock.recv(65536):
                pass
        assert not deadline.fault
        assert lease_clock() - began > 2.5


def test_nothing_begins_once_the_lease_is_over(tmp_path: Path) -> None:
    with serve(says_nothing) as server:
        with pytest.raises(LeaseExpired), within(make_call(tmp_path, -1)):
            raise AssertionError
        assert server.visits == []

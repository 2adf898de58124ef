"""State, broker and gateway behind TLS: what is trusted works, all else is refused in words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from redis import SSLConnection

from signalbox.commands.address import read_url
from signalbox.commands.error import (
    BrokerUnavailable,
    InvalidSetting,
    SignalboxError,
    StateUnavailable,
)
from signalbox.commands.ledger.entry import Ticket, Wake
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.broker.publisher import Publisher, broker_report, make_app
from signalbox.producers.embedded.redis_server import RedisServer
from signalbox.producers.embedded.stack import EmbeddedStack
from tests.integration.conftest import TIMEOUT, RunningStack, wait_until
from tests.tls import Authority, TlsProxy

HERE = "127.0.0.1"


def address(port: int, authority: Authority | None = None) -> str:
    option = f"?ssl_ca_certs={authority.file}" if authority else ""
    return f"rediss://{HERE}:{port}/0{option}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


@contextmanager
def served(server: RedisServer, certificate: Path) -> Iterator[int]:
    with TlsProxy(server.port, certificate) as proxy:
        yield proxy.port


def test_all_parts_work_with_certificates_that_they_trust(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = authority.certificate(HERE)
    with ExitStack() as running:
        ports = []
        for name in ("state", "broker"):
            server = RedisServer(tmp_path / name)
            server.start()
            running.callback(server.stop)
            ports.append(running.enter_context(served(server, certificate)))
        urls = [address(port, authority) for port in ports]
        data = tmp_path / "stack"
        stack = EmbeddedStack(data, workers=1, flower=False, state_url=urls[0], broker_url=urls[1])
        running.enter_context(stack)
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        its = RunningStack(stack, Settings(), data)
        place = {"tenant_id": "t_tls", "env": "dev", "key": "k"}
        its.route_to_folder("t_tls")
        with its.client() as client:
            content = InlinePayload(data=b"hello")
            client.run(PutObject.model_validate(place | {"payload": content}), TIMEOUT)
            assert client.run(GetObject.model_validate(place), TIMEOUT) is not None
        app = make_app(its.settings)
        wait_until(lambda: broker_report(app, ["object_store.0"])[1] != [], "the worker answers")
        gateway = httpx.URL(its.stack.start_gateway(SIGNALBOX_GATEWAY_PORT="0"))
        assert gateway.port is not None
        proxy = running.enter_context(TlsProxy(gateway.port, certificate))
        trusted = ssl.create_default_context(cafile=str(authority.file))
        with httpx.Client(base_url=f"https://{HERE}:{proxy.port}", verify=trusted) as http:
            stored = http.put("/v1/objects/t_tls/dev/over", content=b"tls", timeout=60)
            assert stored.status_code == 200
            assert http.get("/v1/objects/t_tls/dev/over").content == b"tls"


def refusals(url: str) -> dict[str, SignalboxError]:
    """What state and broker say at this address."""
    settings = Settings(state_url=url, broker_url=url)
    with pytest.raises(StateUnavailable) as state:
        connect(url).ping()
    app = make_app(settings)
    with pytest.raises(BrokerUnavailable) as asked:
        broker_report(app, ["object_store.0"])
    wake = Wake(Ticket("t_a/dev/x", "object_store.get"), "object_store.0")
    with pytest.raises(BrokerUnavailable) as published:
        Publisher(app).publish([wake])
    return {"state": state.value, "asked": asked.value, "published": published.value}


def assert_told(url: str, *words: str) -> None:
    for where, error in refusals(url).items():
        for word in words:
            assert word in (error.next_step or ""), f"{where}: {error} {error.next_step}"


def test_a_certificate_of_a_stranger_is_refused(
    redis_server: RedisServer, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger", "stranger")
    with served(redis_server, stranger.certificate(HERE)) as port:
        assert_told(address(port, authority), "certificate", "ssl_ca_certs")
        assert_told(address(port), "certificate", "ssl_ca_certs")


def test_a_certificate_of_another_host_is_refused(
    redis_server: RedisServer, authority: Authority
) -> None:
    with served(redis_server, authority.certificate("other.example.com")) as port:
        assert_told(address(port, authority), "certificate", "name")


def test_a_certificate_that_is_over_is_refused(
    redis_server: RedisServer, authority: Authority
) -> None:
    with served(redis_server, authority.certificate(HERE, -timedelta(hours=1))) as port:
        assert_told(address(port, authority), "certificate", "expired")


def test_a_server_without_tls_is_unavailable(
    redis_server: RedisServer, authority: Authority
) -> None:
    assert_told(address(redis_server.port, authority), "start it")


def test_an_authoritys_file_that_is_missing_is_named(tmp_path: Path) -> None:
    url = f"rediss://{HERE}:1/0?ssl_ca_certs={tmp_path / 'missing.pem'}"
    with pytest.raises(InvalidSetting, match=r"SIGNALBOX_STATE_URL: ssl_ca_certs .*missing\.pem"):
        connect(url)
    with pytest.raises(InvalidSetting, match=r"SIGNALBOX_BROKER_URL: ssl_ca_certs"):
        make_app(Settings(broker_url=url))


@pytest.mark.parametrize("form", ["cluster", "sentinel"])
def test_all_servers_of_a_cluster_and_all_sentinels_are_spoken_to_by_tls(form: str) -> None:
    service = "/state/0" if form == "sentinel" else ""
    many = read_url(f"rediss+{form}://a:1,b:2{service}?ssl_ca_certs=/etc/ca.pem")
    assert many is not None
    assert many.options["connection_class"] is SSLConnection
    assert many.options["ssl_ca_certs"] == "/etc/ca.pem"
    if form == "sentinel":
        assert many.sentinel_options["ssl"] is True
        assert many.sentinel_options["ssl_ca_certs"] == "/etc/ca.pem"
    plain = read_url(f"redis+{form}://a:1,b:2{service}")
    assert plain is not None
    assert "ssl" not in plain.sentinel_options

"""Addresses that cannot be right are refused before anything is sent there."""

from __future__ import annotations

import pytest

from signalbox.commands.error import InvalidSetting, StateUnavailable
from signalbox.commands.settings import Settings, without_password
from signalbox.commands.state import connect
from signalbox.producers.broker.address import check_broker
from signalbox.producers.broker.publisher import make_app


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis:///0",
        "redis://x:port/0",
        "redis://x:99999/0",
        "redis://[::1/0",
        "redis://x/main",
        "redis://x/0/1",
        "redis://x/0?socket_timeout=soon",
        "redis://x/0?unknown=1",
        "redis://x/0?protocol=9",
        "unix://",
        "redis+cluster://x:99999",
        "redis+cluster://x/1",
        "redis+sentinel://x",
    ],
)
def test_an_address_of_no_state(url: str) -> None:
    with pytest.raises(InvalidSetting, match="SIGNALBOX_STATE_URL"):
        connect(url)


@pytest.mark.parametrize(
    "url",
    ["redis://x", "redis://x/", "rediss://u:p@x:1/15?ssl_cert_reqs=none", "redis://[::1]:6379/0",
     "redis+cluster://x:1,y:2", "redis+sentinel://x,y/main/0"],
)  # fmt: skip
def test_an_address_of_a_state(url: str) -> None:
    connect(url).close()


def test_a_socket_that_is_not_there_is_told_when_it_is_used() -> None:
    with connect("unix:///no/such/socket?db=0") as state, pytest.raises(StateUnavailable):
        state.ping()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "pigeon://x",
        "redis://x:port/0",
        "redis://x:99999/0",
        "redis://[::1/0",
        "redis://x/main",
        "amqp://x:port//",
        "redis+cluster://x",
        "rediss+sentinel://x/main",
        "sentinel://x:26379;pigeon://y",
        "mongodb://x",
    ],
)
def test_an_address_of_no_broker(url: str) -> None:
    with pytest.raises(InvalidSetting, match="SIGNALBOX_BROKER_URL"):
        make_app(Settings(broker_url=url))


@pytest.mark.parametrize(
    "url",
    ["redis://x", "redis://:p@x:1/3", "rediss://x/0?ssl_cert_reqs=none", "amqp://u:p@x:1/box",
     "amqps://x//", "amqp://x//;amqp://y//", "sentinel://x:26379;sentinel://y", "memory://",
     "redis+socket:///a/socket?virtual_host=1"],
)  # fmt: skip
def test_an_address_of_a_broker(url: str) -> None:
    check_broker(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://x:1/0", "redis://x:1/0"),
        ("redis://:p@x:1/0", "redis://:***@x:1/0"),
        ("redis+sentinel://u:p@ss@x:1,y/main", "redis+sentinel://u:***@x:1,y/main"),
        ("sentinel://:p@x;sentinel://:q@y", "sentinel://:***@x;sentinel://:***@y"),
        ("redis://x/0?password=p&ssl_password=q&db=1",
         "redis://x/0?password=***&ssl_password=***&db=1"),
        ("redis://:p@[::1/0", "redis://:***@[::1/0"),
    ],
)  # fmt: skip
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown

"""A gateway that cannot start says in one line why, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.integration.command_line import run


def refusal(**settings: str) -> str:
    """What `signalbox gateway` ends with."""
    named = {f"SIGNALBOX_{name}": value for name, value in settings.items()}
    ended = run("gateway", stdin=b"", **{"SIGNALBOX_GATEWAY_PORT": "0"} | named)
    assert ended.returncode == 1, ended
    assert ended.stdout == b""
    [line] = ended.stderr.decode().splitlines()
    assert line.startswith("INVALID_SETTING ")
    return line


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_WAIT", "soon"),
        ("GATEWAY_ROUTE_DEFAULTS", "{"),
        ("GATEWAY_ROUTE_DEFAULTS", '{"s3": {"bucket": "b"}}'),
        ("STATE_URL", "http://127.0.0.1"),
    ],
)
def test_a_setting_is_named_as_the_environment_has_it(name: str, value: str) -> None:
    line = refusal(**{name: value})
    assert f" SIGNALBOX_{name}: " in line
    assert line.endswith("see docs/configuration.md")


def test_a_mistyped_setting_is_none_and_the_one_that_is_meant_is_named() -> None:
    line = refusal(GATEWAY_READ_TOKEN_FLIE="/etc/token")
    assert "there is no setting SIGNALBOX_GATEWAY_READ_TOKEN_FLIE" in line
    assert "did you mean SIGNALBOX_GATEWAY_READ_TOKEN_FILE?" in line


def test_a_token_file_that_is_missing_is_named() -> None:
    assert "/no/such/token" in refusal(GATEWAY_READ_TOKEN_FILE="/no/such/token")


def test_a_port_that_is_taken_is_named_with_the_option_for_another(taken: int) -> None:
    line = refusal(GATEWAY_PORT=str(taken))
    assert f"127.0.0.1:{taken}" in line
    assert "--port" in line

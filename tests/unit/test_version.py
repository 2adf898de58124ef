"""`signalbox --version`."""

from __future__ import annotations

from importlib.metadata import version

from typer.testing import CliRunner

from signalbox.producers.cli.main import app


def test_the_version_is_that_of_the_distribution() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert (ended.exit_code, ended.stdout) == (0, f"signalbox {version('signalbox')}\n")

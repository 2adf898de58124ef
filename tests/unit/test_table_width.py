"""Tables on narrow terminals: whole words, or a row as names and values."""

from __future__ import annotations

import pytest

from signalbox.producers.cli import console
from signalbox.producers.cli.console import print_rows
from signalbox.producers.cli.safe_console import SafeConsole

COLUMNS = ["tenant", "env", "backend", "config", "rev", "health", "use", "locked by"]
ROW = ["t_demo", "dev", "filesystem", {"base_dir": "/srv/objects/of/all"}, 7, "unknown", "9 reads",
       ""]  # fmt: skip


def printed(
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *rows: list[object],
) -> str:
    shown = SafeConsole(width=width)
    monkeypatch.setattr(console, "out", lambda: shown)
    print_rows("routes", COLUMNS, [*rows])
    return capsys.readouterr().out


def test_a_table_that_fits_stays_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(120, monkeypatch, capsys, ROW, ROW)
    assert text.count("filesystem") == 2
    assert text.count("backend") == 1


def test_at_60_columns_no_word_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(60, monkeypatch, capsys, ROW, [*ROW[:-1], "ann"])
    assert text.splitlines()[2].split() == ["tenant", "t_demo"]
    for word in ("filesystem", '"/srv/objects/of/all"', "unknown", "9 reads"):
        assert text.count(word) == 2, text
    assert "locked by  ann" in text


def test_no_rows_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(60, monkeypatch, capsys) == "routes: none\n"

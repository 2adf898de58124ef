"""Tables on narrow terminals: whole words, or a row as names and values."""

from __future__ import annotations

import pytest

from signalbox.producers.cli.console import print_rows
from signalbox.producers.cli.text_table import lay_out

COLUMNS = ["tenant", "env", "backend", "config", "rev", "health", "use", "locked by"]
ROW = ["t_demo", "dev", "filesystem", {"base_dir": "/srv/objects/of/all"}, 7, "unknown", "9 reads",
       ""]  # fmt: skip


def printed(
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *rows: list[object],
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
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


def test_long_cells_are_folded_between_words_and_wide_characters_count_twice() -> None:
    assert lay_out(["name", "why"], [["a", "one two three"], ["世界", "four"]], 15) == [
        "name  why",
        "────  ─────────",
        "a     one two",
        "      three",
        "世界  four",
    ]
    assert lay_out(["name"], [["x" * 40]], 32) == ["name", "─" * 32, "x" * 32, "x" * 8]
    assert lay_out(["name"], [["x" * 40]], 31) is None

"""Text of strangers reaches terminals and logs as text."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import Any

import pytest
import structlog

from signalbox.commands.settings import Settings
from signalbox.commands.visible import visible, visible_json
from signalbox.producers.cli import console
from signalbox.producers.cli.safe_console import SafeConsole
from signalbox.workers.execution.command_log import configure_logging

CLEAR = "\x1b[2J\x1b]0;owned\x07"
HOSTILE = f"a{CLEAR}b\x9b2Jc\u202ed\r\ne\u2028f"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 200 columns is sent."""
    sink = io.StringIO()
    shown = SafeConsole(file=sink, force_terminal=True, width=200)
    monkeypatch.setattr(console, "out", lambda: shown)
    return sink


def assert_harmless(text: str) -> None:
    for hidden in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\u202e", "\u2028", "\r"):
        assert hidden not in text


@pytest.mark.parametrize(
    "show",
    [
        lambda: console.out().print(HOSTILE, markup=False),
        lambda: console.out().print(HOSTILE, soft_wrap=True),
    ],
)
def test_no_text_moves_the_cursor_of_a_terminal(show: Any, shown: io.StringIO) -> None:
    show()
    assert_harmless(shown.getvalue())
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    assert "\x1b" not in without_colours
    assert "\\x1b[2J" in without_colours or "\\u001b[2J" in without_colours


@pytest.mark.parametrize(
    "show",
    [
        lambda: console.print_rows("rows", ["key", "data"], [[HOSTILE, {"a": HOSTILE}]]),
        lambda: console.print_pairs({"reason": HOSTILE, "data": {"a": HOSTILE}}),
        lambda: console.print_error("NOT_FOUND", HOSTILE),
    ],
)
def test_values_of_tables_pairs_and_errors_are_harmless(
    show: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    show()
    printed = "".join(capsys.readouterr())
    assert_harmless(printed)
    assert "\x1b" not in printed
    assert "\\x1b[2J" in printed or "\\u001b[2J" in printed


def test_a_value_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_pairs({"reason": "ok\nstatus  done"})
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_json_stays_the_same_document_and_hides_nothing() -> None:
    document = {"a": HOSTILE}
    text = visible_json(json.dumps(document, ensure_ascii=False))
    assert json.loads(text) == document
    assert_harmless(text)


def test_ordinary_text_is_left_alone() -> None:
    assert visible("Grüße, 世界 🚂 a b") == "Grüße, 世界 🚂 a b"


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_message_forges_a_line_of_the_log(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_LOG_FORMAT", form)
    before = logging.root.handlers[:], logging.root.level
    try:
        configure_logging(Settings())
        forged = f"x\n2026-01-01T00:00:00Z [info] object_store.put status=done{CLEAR}"
        structlog.get_logger("test").warning(forged, subject=forged, code="X")
        logging.getLogger("celery.test").warning("unknown task %s", forged)
    finally:
        structlog.reset_defaults()
        logging.root.handlers[:], logging.root.level = before
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 2
    assert_harmless(written)

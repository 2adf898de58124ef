"""The line of a log is that of structlog's own renderer."""

from __future__ import annotations

from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st

from signalbox.workers.execution.command_log import EVENT_WIDTH, Line

WORDS = st.text("ab =\"'\\\t\nü", max_size=6)
VALUES = st.one_of(WORDS, st.none(), st.integers(), st.floats(), st.lists(WORDS, max_size=2))
KEYS = st.text("abz_", min_size=1, max_size=4)


@given(st.text("ab. ", min_size=1, max_size=40), st.dictionaries(KEYS, VALUES), st.booleans())
def test_a_line_is_as_the_library_writes_it(text: str, fields: dict[str, Any], fails: bool) -> None:
    event = fields | {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": text}
    if fails:
        event["exception"] = "Traceback\nValueError"
    theirs = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=EVENT_WIDTH)
    assert Line()(None, "info", dict(event)) == theirs(None, "info", dict(event))

"""Cursors: the position where a page ended, bound to the query that it answered.

A cursor only says where in the query's own result to continue, so a forged one reveals nothing that
the query does not.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

from signalbox.commands.error import InvalidCommand
from signalbox.commands.model import Command

Page = TypeVar("Page")
_NOT_OF_THE_QUESTION = {"op_id", "v", "mode", "deadline", "cursor", "limit", "allow_scan"}


def make_cursor(question: Command, position: Any) -> str:
    """Return the cursor for a position, which may be any JSON."""
    return base64.urlsafe_b64encode(
        json.dumps([_binding(question), position], separators=(",", ":")).encode()
    ).decode()


def open_cursor(question: Command, cursor: str) -> Any:
    """Return the position. Raises InvalidCommand for an invalid cursor or one of another query."""
    try:
        binding, position = json.loads(
            base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        )
        if binding == _binding(question):
            return position
    except (ValueError, TypeError, RecursionError):
        pass
    raise cursor_refused()


def page_after(
    position: str | None, ask: Callable[[str | None], Page], is_fault: Callable[[Exception], bool]
) -> Page:
    """Return the page that `ask` gives for a position, None for the first page.

    Some services respond to a position that they did not make with an internal error (`is_fault`),
    as if they were down; but then they fail again there, and not at the first page. Raises
    InvalidCommand for such a position, and the errors of `ask`.
    """
    for look in (1, 2):
        try:
            return ask(position)
        except Exception as error:  # of the service's own kind: `is_fault` decides
            if position is None or not is_fault(error):
                raise
            if look == 2:
                raise cursor_refused() from error
        ask(None)
    raise AssertionError  # the second look has returned or raised


def cursor_refused() -> InvalidCommand:
    """Return the error for a cursor whose position does not fit its query."""
    return InvalidCommand(
        "the cursor is not one of this question",
        next_step="send next_cursor as it came, with the same question",
    )


def _binding(question: Command) -> str:
    document = question.model_dump(mode="json", exclude=_NOT_OF_THE_QUESTION)
    text = json.dumps(document, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()

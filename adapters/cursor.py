"""Cursors: where a page ended, tied to the question that it answered.

A cursor says only behind which place of the question's own answer to go on, so a forged one
reaches nothing that the question does not.
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


def make_cursor(question: Command, place: Any) -> str:
    """The cursor for `place`, which is any JSON."""
    return base64.urlsafe_b64encode(
        json.dumps([_binding(question), place], separators=(",", ":")).encode()
    ).decode()


def open_cursor(question: Command, cursor: str) -> Any:
    """The place. Raises InvalidCommand for a cursor of another question, or none at all."""
    try:
        binding, place = json.loads(
            base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        )
        if binding == _binding(question):
            return place
    except (ValueError, TypeError, RecursionError):
        pass
    raise cursor_refused()


def page_behind(
    place: str | None, ask: Callable[[str | None], Page], is_fault: Callable[[Exception], bool]
) -> Page:
    """The page that `ask` gives behind a place of the service's own making, or from the beginning.

    Some services answer a place that they never gave with a fault of their own (`is_fault`), as if
    they were down: but then they fail there again, and not at the beginning. Raises InvalidCommand
    for such a place, and what `ask` does.
    """
    for look in (1, 2):
        try:
            return ask(place)
        except Exception as error:  # of the service's own kind: `is_fault` tells which
            if place is None or not is_fault(error):
                raise
            if look == 2:
                raise cursor_refused() from error
        ask(None)
    raise AssertionError


def cursor_refused() -> InvalidCommand:
    """The error for a cursor whose place does not fit its question."""
    return InvalidCommand(
        "the cursor is not one of this question",
        next_step="send next_cursor as it came, with the same question",
    )


def _binding(question: Command) -> str:
    document = question.model_dump(mode="json", exclude=_NOT_OF_THE_QUESTION)
    text = json.dumps(document, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=8).hexdigest()

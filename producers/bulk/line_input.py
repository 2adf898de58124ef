"""Reads input line by line, and reports when it pauses."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from signalbox.commands.error import InvalidCommand, SignalboxError, TooLarge
from signalbox.commands.parse import invalid_command

MAX_LINE_BYTES = 8 * 1024 * 1024
"""Maximum size of a line. A row or event has at most one mebibyte of data; escaped as JSON, it may
be six times as long."""
PAUSE_SECONDS = 0.2
"""Seconds without input that count as a pause."""
_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Line:
    """A non-empty line."""

    number: int
    """Number of the line, from 1; empty lines are counted too."""
    text: bytes
    """The line without its newline."""

    def document(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
        """Return the JSON object in the line.

        Raises InvalidCommand if it is not an object, lacks a required field, or has an unknown one.
        """
        try:
            document = json.loads(self.text.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise InvalidCommand("it is not UTF-8", next_step="send UTF-8") from None
        except json.JSONDecodeError as error:
            raise InvalidCommand(
                f"it is no JSON: {error.msg} at column {error.colno}",
                next_step="write one JSON object on each line",
            ) from None
        except (ValueError, RecursionError):
            raise InvalidCommand(
                "its JSON cannot be read", next_step="shorten numbers, flatten nested values"
            ) from None
        names = f"the fields are {', '.join([*required, *optional])}"
        if not isinstance(document, dict):
            raise InvalidCommand("it is no JSON object", next_step=names)
        for name in required:
            if name not in document:
                raise InvalidCommand(f"it has no {name!r}", next_step=names)
        for name in document:
            if name not in required and name not in optional:
                raise InvalidCommand(f"it has the unknown field {name[:40]!r}", next_step=names)
        return document

    def fault(self, error: SignalboxError | ValidationError) -> SignalboxError:
        """Return the error with the line's number in its message."""
        found = invalid_command(error) if isinstance(error, ValidationError) else error
        found.message = f"line {self.number}: {found.message}"
        return found


def read_lines(descriptor: int) -> Iterator[Line | None]:
    """Yield non-empty lines as they arrive, and None at a pause.

    Raises OSError, and TooLarge for a line over `MAX_LINE_BYTES`.
    """
    number, rest, paused = 0, b"", True
    while True:
        if not paused and not select.select([descriptor], [], [], PAUSE_SECONDS)[0]:
            yield None
            paused = True
        chunk = os.read(descriptor, _READ_BYTES)
        paused = False
        *whole, rest = (rest + chunk).split(b"\n")
        if not chunk and rest:
            whole, rest = [rest], b""
        for text in whole:
            number += 1
            _check_length(number, text)
            if text.strip():
                yield Line(number, text)
        if not chunk:
            return
        _check_length(number + 1, rest)


def _check_length(number: int, text: bytes) -> None:
    if len(text) > MAX_LINE_BYTES:
        raise TooLarge(
            f"line {number}: it is over {MAX_LINE_BYTES} bytes long",
            next_step="end each JSON object with a newline",
        )

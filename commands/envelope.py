"""Validates the raw messages of a queue before Celery and kombu process them.

Anyone with access to the broker can put anything on a queue. A valid message is rebuilt: Celery
sees the task, its id and the parsed arguments, and no header, property or option of the sender. An
invalid one raises InvalidCommand, which names the part that is wrong and never quotes its content.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

from signalbox.commands.bounded_json import NEXT_STEP, read_json
from signalbox.commands.error import InvalidCommand, UnknownCommand
from signalbox.commands.model import OP_ID_PATTERN
from signalbox.commands.parse import known_ops
from signalbox.commands.wire import BATCH, DRAIN, SUMMARY_HEADER, known_tasks

MAX_SUMMARY = 1000
CONTENT_TYPE = "application/json"
UNREADABLE_TYPE = "application/x-signalbox-unreadable"
"""Content type of an unreadable message on the broker, until it has become a dead letter."""

_ID = re.compile(OP_ID_PATTERN, re.ASCII)
_ENCODINGS = (None, "utf-8", "UTF-8", "binary")


def _refuse(text: str) -> NoReturn:
    raise InvalidCommand(text, next_step=NEXT_STEP)


@dataclass(frozen=True, slots=True)
class Call:
    """A validated message: all that Celery gets to see of it."""

    task: str
    """Name of the task."""
    id: str
    """Id of the task, which names its result."""
    arguments: list[Any]
    """Positional arguments."""
    keywords: dict[str, Any]
    """Keyword arguments."""
    summary: str | None = None
    """One line for monitoring, from the sender."""

    def headers(self) -> dict[str, Any]:
        """Return the headers of a message in Celery's protocol 2."""
        headers: dict[str, Any] = {"lang": "py", "task": self.task, "id": self.id}
        if self.summary is not None:
            headers[SUMMARY_HEADER] = self.summary
        return headers

    def payload(self) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
        """Return the body in Celery's protocol 2, without callbacks, chains or chords."""
        return self.arguments, self.keywords, {}


@dataclass(frozen=True, slots=True)
class Stored:
    """The parts of a message as the Redis transport stores it, not yet validated."""

    body: bytes
    """The decoded body."""
    content_type: Any
    """Content type of the body."""
    content_encoding: Any
    """Encoding of the body's text."""
    headers: Any
    """Headers of the message."""
    properties: Any
    """Properties of the message."""
    base64_text: str | None = None
    """The body as it was received, if it was base64."""


def read_stored(item: bytes, max_bytes: int) -> Stored:
    """Parse the JSON envelope in which kombu stores a message. Raises InvalidCommand."""
    # In base64 a body takes a third more.
    envelope = read_json(item, max_bytes + max_bytes // 2, "the envelope")
    if not isinstance(envelope, dict):
        _refuse("the envelope is no object")
    properties, body = envelope.get("properties"), envelope.get("body")
    if not isinstance(properties, dict):
        _refuse("the envelope has no properties")
    if not isinstance(body, str):
        _refuse("the body is no text")
    encoding = properties.get("body_encoding")
    try:
        if encoding == "base64":
            content = base64.b64decode(body, validate=True)
        elif encoding is None or encoding == "utf-8":
            content = body.encode()
        else:
            _refuse("the body is neither in base64 nor plain text")
    except ValueError as error:
        raise InvalidCommand("the body is not in its encoding", next_step=NEXT_STEP) from error
    return Stored(
        content,
        envelope.get("content-type"),
        envelope.get("content-encoding"),
        envelope.get("headers"),
        properties,
        body if encoding == "base64" else None,
    )


def read_call(stored: Stored, max_bytes: int) -> Call:
    """Validate every part of a message against the wire contract and return its call.

    Raises InvalidCommand, UnknownCommand (the task is not one of ours) and TooLarge.
    """
    headers = stored.headers
    if not isinstance(headers, dict):
        _refuse("the headers are no object")
    if stored.content_type != CONTENT_TYPE:
        _refuse(f"the content type is not {CONTENT_TYPE}")
    if stored.content_encoding not in _ENCODINGS:
        _refuse("the content encoding is not utf-8")
    for name, value in headers.items():
        if value is not None and (rule := _HEADERS.get(name)) is not None:
            rule(name, value)
    for name, kind in _PROPERTIES.items():
        value = stored.properties.get(name)
        if value is not None and not isinstance(value, kind):
            _refuse(f"property {name} has the wrong type")
    task, task_id = headers.get("task"), headers.get("id")
    if task is None:
        _refuse("the headers name no task: only Celery's protocol 2 is taken")
    if not isinstance(task, str) or (task not in (BATCH, DRAIN) and task not in known_ops()):
        known = ", ".join(known_tasks())
        raise UnknownCommand("no such task", next_step=f"use one of: {known}")
    if not is_id(task_id):
        _refuse("header id is not 1 to 128 of A-Z a-z 0-9 . _ : -")
    arguments, keywords = _read_body(read_json(stored.body, max_bytes, "the body"))
    summary = headers.get(SUMMARY_HEADER)
    return Call(task, task_id, arguments, keywords, summary and summary[:MAX_SUMMARY])


def is_id(value: Any) -> TypeGuard[str]:
    """True if the id of a message is well-formed."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _read_body(body: Any) -> tuple[list[Any], dict[str, Any]]:
    if not isinstance(body, list) or len(body) != 3:
        _refuse("the body is no list of arguments, keyword arguments and options")
    arguments, keywords, options = body
    if not isinstance(arguments, list) or not isinstance(keywords, dict):
        _refuse("arguments are no list, or keyword arguments no object")
    if options is not None and not isinstance(options, dict):
        _refuse("the body's options are no object")
    for name, value in (options or {}).items():
        if value:
            known = name if name in _CALLBACKS else "others"
            _refuse(f"a message cannot start other tasks, nor have options ({known})")
    return arguments, keywords


_CALLBACKS = ("callbacks", "errbacks", "chain", "chord")


def _is(kind: type | tuple[type, ...]) -> Callable[[str, Any], None]:
    def check(name: str, value: Any) -> None:
        if not isinstance(value, kind):
            _refuse(f"header {name} has the wrong type")

    return check


def _never(reason: str) -> Callable[[str, Any], None]:
    def check(name: str, _: Any) -> None:
        _refuse(f"header {name}: {reason}")

    return check


def _no_limits(name: str, value: Any) -> None:
    if not isinstance(value, list | tuple) or any(limit is not None for limit in value):
        _refuse(f"header {name}: the lease is a command's time limit")


_WAITS = "no message waits in a worker; a command has `deadline` for its expiry"
_HEADERS: Mapping[str, Callable[[str, Any], None]] = {
    **dict.fromkeys(
        ("lang", "root_id", "parent_id", "group", "shadow", "origin", "meth"), _is(str)
    ),
    **dict.fromkeys(("argsrepr", "kwargsrepr", "reply_to", "correlation_id"), _is(str)),
    SUMMARY_HEADER: _is(str),
    **dict.fromkeys(("retries", "group_index", "replaced_task_nesting", "priority"), _is(int)),
    **dict.fromkeys(("ignore_result", "redelivered"), _is(bool)),
    "stamped_headers": _is((list, tuple)),
    "stamps": _is(dict),
    "timelimit": _no_limits,
    "eta": _never(_WAITS),
    "expires": _never(_WAITS),
    "compression": _never("compressed messages are not taken"),
    **dict.fromkeys(_CALLBACKS, _never("a message cannot start other tasks")),
}
"""How a header is checked. Other headers, such as those of tracing, are ignored."""
_PROPERTIES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("correlation_id", "reply_to", "message_id", "type"), str),
    "priority": int,
    "delivery_info": dict,
    "delivery_tag": (str, int),
}

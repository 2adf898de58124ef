"""Celery requests that show monitoring a summary of a message: names and sizes, never content."""

from __future__ import annotations

from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request

from signalbox.commands.settings import Settings
from signalbox.commands.wire import DRAIN, SUMMARY_HEADER, read_message

_SHARDS = Settings().tenant_shards


class QuietRequest(Request):
    """A Celery request that shows a summary instead of its arguments in events and `inspect`.

    A sender other than our client lets Celery describe the arguments, content included, so the
    description in the message's headers is not passed on.
    """

    _summary: str | None = None
    _body: Any
    _connection_errors: tuple[type[BaseException], ...]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if not isinstance(self._args, list | tuple) or not isinstance(self._kwargs, dict):
            # The consumer makes a dead letter of it; a task could not be called with such
            # arguments.
            raise InvalidTaskError("arguments are no list, or keyword arguments no object")
        # The pool gets the arguments that were checked, already parsed, without options of the
        # sender. It does not parse the message's bytes again by rules of its own.
        self._body = ([self._args, self._kwargs], {}, None)
        self._content_type = self._content_encoding = None
        # An acknowledgement on a connection that was lost and closed (AttributeError in kombu 5.7,
        # from the event loop) must not end the worker: the ledger has the outcome.
        self._connection_errors = (*self._connection_errors, AttributeError)

    @property
    def argsrepr(self) -> str:
        return "()"

    @property
    def kwargsrepr(self) -> str:
        if self._summary is None:
            said = self._request_dict.get(SUMMARY_HEADER)
            self._summary = said if isinstance(said, str) else self._describe()
        return self._summary

    def info(self, safe: bool = False) -> dict[str, Any]:
        described: dict[str, Any] = super().info(safe=safe)
        return described | {"args": [], "kwargs": {"summary": self.kwargsrepr}}

    def _describe(self) -> str:
        if self._type == DRAIN:
            return ""
        return read_message(self._type, self.id, self._kwargs, _SHARDS, self._args).summary()

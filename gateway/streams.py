"""HTTP API for event streams: append, read, and tail as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from signalbox.commands.error import Conflict, SignalboxError
from signalbox.commands.event_stream import AppendEvent, Event, ReadEvents
from signalbox.commands.name import EventId, EventType
from signalbox.commands.outcome import Outcome
from signalbox.commands.scope import ResourceKind
from signalbox.commands.timestamp import Timestamp
from signalbox.commands.value import TypedData
from signalbox.gateway import result_models
from signalbox.gateway.answer import answer_read, answer_write
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.identity import check_again
from signalbox.gateway.problem import problem_of
from signalbox.gateway.request_context import (
    AfterHeader,
    Caller,
    CallerDep,
    ServicesDep,
    WriteOptionsDep,
)
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import NamePart

router = APIRouter(
    prefix="/v1/streams/{tenant}/{env}/{stream}", route_class=BoundedRoute, tags=["streams"]
)

POLL_SECONDS = 1.0
"""Seconds between two reads of a stream that is tailed."""
COMMENT_SECONDS = 15.0
"""Seconds after which a comment is sent, so that proxies keep the connection and a disconnected
client is noticed."""
PAGE = 100
"""Maximum number of events in one read."""

StreamPart = Annotated[NamePart, Path(description="Stream name; a `/` in it as %2F.")]
Version = Annotated[int, Query(ge=0, le=2**63 - 1, description="Version already read.")]


class AppendRequest(BaseModel):
    """An event to append."""

    model_config = ConfigDict(extra="forbid")

    type: EventType
    data: TypedData = Field(default_factory=dict)
    id: EventId | None = None
    time: Timestamp | None = None
    expected_version: int | None = Field(None, ge=0, le=2**63 - 1)


@router.post("", response_model=result_models.written(AppendEvent))
async def append(
    stream: StreamPart,
    body: AppendRequest,
    caller: CallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
) -> Response:
    """Append an event; one whose id exists already has no effect."""
    command = AppendEvent(
        **caller.fields,
        op_id=writing.op_id,
        stream=stream,
        event=Event(id=body.id, type=body.type, time=body.time, data=body.data),
        expected_version=body.expected_version,
    )
    return await answer_write(services, command, writing)


@router.get("", response_model=result_models.read(ReadEvents))
async def read(
    stream: StreamPart,
    caller: CallerDep,
    services: ServicesDep,
    after: Version = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after_op_id: AfterHeader = None,
) -> Response:
    """Return events with version > `after`, in ascending order."""
    command = ReadEvents(**caller.fields, stream=stream, after=after, limit=limit)
    return await answer_read(services, command, after_op_id)


@router.get(
    "/tail",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def tail(
    stream: StreamPart,
    request: Request,
    caller: CallerDep,
    services: ServicesDep,
    after: Version = 0,
    last_event_id: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=2**63 - 1)] = None,
) -> Response:
    """Stream events as server-sent events when they arrive: `id` is the version, `data` the event.

    A reader that was disconnected continues after `Last-Event-ID`. A permanent error is sent as an
    event named `error`, the last one; so is a switch of the route to a backend that does not have
    the event that was sent last (`CONFLICT`).
    """
    begin = after if last_event_id is None else last_event_id
    # The first page shows whether the stream can be read at all.
    first = await services.read(_page(caller, stream, begin))
    first.unwrap()
    if last_event_id:
        await _check_position(services, caller, stream, last_event_id)
    return StreamingResponse(
        _events(request, services, caller, stream, begin, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _events(
    request: Request, services: Services, caller: Caller, stream: str, after: int, page: Outcome
) -> AsyncIterator[bytes]:
    spoke, revision = time.monotonic(), page.route_revision
    last: str | None = None
    yield b": signalbox\n\n"
    while not services.stopping.is_set():
        result = page.result or {}
        if events := result.get("events", []):
            after, last = result["next_after"], events[-1]["id"]
            spoke = time.monotonic()
            yield b"".join(_line(event) for event in events)
        elif time.monotonic() - spoke > COMMENT_SECONDS:
            spoke = time.monotonic()
            yield b": nothing new\n\n"
        if not events:
            with suppress(TimeoutError):
                await asyncio.wait_for(services.stopping.wait(), POLL_SECONDS)
        try:
            await check_again(request)
            page = await services.read(_page(caller, stream, after))
            page.unwrap()
            if page.route_revision != revision:
                if after:
                    await _check_position(services, caller, stream, after, last)
                revision = page.route_revision
        except SignalboxError as error:
            if not error.temporary:
                yield b"event: error\ndata: " + json.dumps(problem_of(error)).encode() + b"\n\n"
                return
            page = page.model_copy(update={"result": None, "error": None})


async def _check_position(
    services: Services, caller: Caller, stream: str, version: int, event_id: str | None = None
) -> None:
    """Raise Conflict if the stream does not have the event after which it is to be read.

    On another backend its versions begin anew, and a reader would wait behind them.
    """
    command = ReadEvents(**caller.fields, stream=stream, after=version - 1, limit=1)
    events = (await services.read(command)).unwrap()["events"]
    if events and events[0]["version"] == version and event_id in (None, events[0]["id"]):
        return
    raise Conflict(
        f"the stream does not have the event of version {version} that was read before: its route "
        "leads to another backend now",
        kind=ResourceKind.EVENT_STREAM,
        tenant_id=caller.tenant_id,
        env=caller.env,
        next_step="read it from its beginning (after=0, without Last-Event-ID), and skip events "
        "whose id is known",
    )


def _page(caller: Caller, stream: str, after: int) -> ReadEvents:
    return ReadEvents(**caller.fields, stream=stream, after=after, limit=PAGE)


def _line(event: dict[str, object]) -> bytes:
    # JSON contains no line break, even if the event does.
    return f"id: {event['version']}\ndata: {json.dumps(event)}\n\n".encode()

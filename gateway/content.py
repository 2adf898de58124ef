"""Responses with the content of an object: whole, a range, or none (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from signalbox.commands.error import InvalidCommand, PreconditionFailed, SignalboxError
from signalbox.commands.object_store import GetObject, HeadObject, ObjectInfo
from signalbox.gateway.error import RangeNotSatisfiable
from signalbox.gateway.open_content import PART_BYTES, Content
from signalbox.gateway.problem import problem
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import header_safe

_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,19})\s*-\s*(\d{0,19})|-\s*(\d{1,19}))", re.ASCII)
_TAG = re.compile(r'(W/)?"([^"]*)"')
_NEEDS_HEAD = (
    *("if-range", "if-match", "if-none-match"),
    *("if-modified-since", "if-unmodified-since"),
)
"""Headers for which the object must be known before it is opened."""


@dataclass(frozen=True)
class Range:
    """A range of bytes from `first` to `last` inclusive, or the last `suffix` bytes."""

    first: int = 0
    last: int | None = None
    suffix: int | None = None


def range_of(header: str | None) -> Range | None:
    """Return the requested range; None for no range, several ranges or another unit."""
    said = _RANGE.fullmatch(header.strip()) if header else None
    if said is None:
        return None
    if said[3] is not None:
        return Range(suffix=int(said[3]))
    first, last = int(said[1]), int(said[2]) if said[2] else None
    return None if last is not None and last < first else Range(first, last)


async def answer_content(
    request: Request, services: Services, command: GetObject, after: str | None
) -> Response:
    """Respond with the object's bytes as its backend sends them, if the conditions hold."""
    headers = request.headers
    wanted = range_of(headers.get("range"))
    if (wanted and wanted.suffix is not None) or any(name in headers for name in _NEEDS_HEAD):
        head = await head_of(services, command, after)
        after = None
        if (answer := check_conditions(headers, head)) is not None:
            return answer
        if wanted and not _range_holds(headers.get("if-range"), head):
            wanted = None
        if wanted and wanted.suffix is not None:
            if wanted.suffix == 0 or head.size == 0:
                return _not_satisfiable(head.size)
            wanted = Range(max(0, head.size - wanted.suffix), head.size - 1)
    if wanted is not None:
        command = command.model_copy(update={"first": wanted.first, "last": wanted.last})
    try:
        content = await services.stream(command, after)
    except SignalboxError as error:
        if wanted is None or error.code != InvalidCommand.code:
            raise
        size = (await head_of(services, command, None)).size
        if wanted.first < size:
            raise
        return _not_satisfiable(size)
    info = content.info
    content_headers = info_headers(info) | {"Content-Length": str(content.size)}
    content_headers["X-Backend-Type"] = header_safe(content.backend_type)
    if wanted is not None:
        end = content.first + content.size - 1
        content_headers["Content-Range"] = f"bytes {content.first}-{end}/{info.size}"
    status = 206 if wanted is not None else 200
    if content.size <= PART_BYTES:
        # The whole content is here already: streaming it would cost as much again.
        return Response(await content.whole(), status, content_headers)
    return StreamingResponse(_closing(content), status, content_headers)


async def answer_head(
    request: Request, services: Services, command: HeadObject, after: str | None
) -> Response:
    """Respond with the headers that the object's content would have."""
    outcome = await services.read(command, after)
    info = outcome.result_as(ObjectInfo)
    if (answer := check_conditions(request.headers, info)) is not None:
        return answer
    headers = info_headers(info) | {"Content-Length": str(info.size)}
    headers["X-Backend-Type"] = header_safe(outcome.backend_type or "")
    return Response(None, 200, headers)


async def head_of(services: Services, command: GetObject, after: str | None) -> ObjectInfo:
    """Return what is known of an object. Raises the errors of a head."""
    fields = {"tenant_id": command.tenant_id, "env": command.env, "mode": command.mode}
    outcome = await services.read(HeadObject(**fields, key=command.key), after)
    return outcome.result_as(ObjectInfo)


def info_headers(info: ObjectInfo) -> dict[str, str]:
    """Return the response headers that describe an object."""
    headers = {
        "Content-Type": header_safe(info.content_type),
        "ETag": f'"{header_safe(info.etag)}"',
        "Last-Modified": _http_date(int(info.modified.timestamp())),
        "Accept-Ranges": "bytes",
        # Browsers must not treat a tenant's content as a page of this gateway.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    if info.sha256:
        headers["X-Content-SHA256"] = header_safe(info.sha256)
    for name, value in info.metadata.items():
        if re.fullmatch(r"[a-z0-9-]+", name):
            headers[f"X-Meta-{name}"] = header_safe(value)
    return headers


@lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def tags_of(header: str, *, weak: bool) -> list[str] | None:
    """Return the ETags of a condition, with the weak ones if those count; None for `*`."""
    if header.strip() == "*":
        return None
    return [tag for is_weak, tag in _TAG.findall(header) if weak or not is_weak]


def _is_after(info: ObjectInfo, date: str) -> bool | None:
    """Return whether the object was modified after an HTTP date; None if that is none."""
    try:
        then = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None
    # One without a zone is of UTC, too.
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return datetime.fromtimestamp(int(info.modified.timestamp()), UTC) > then


def check_conditions(headers: Mapping[str, str], info: ObjectInfo) -> Response | None:
    """Return a 412 or 304 response if a condition does not hold, else None (RFC 9110, 13.2.2)."""
    if (wanted := headers.get("if-match")) is not None:
        tags = tags_of(wanted, weak=False)
        changed = tags is not None and info.etag not in tags
    else:
        changed = bool(_is_after(info, headers.get("if-unmodified-since", "")))
    if changed:
        return problem(
            PreconditionFailed(
                f"the object has ETag {info.etag}", next_step="read it anew, and decide"
            )
        )
    if (known := headers.get("if-none-match")) is not None:
        tags = tags_of(known, weak=True)
        same = tags is None or info.etag in tags
    else:
        same = _is_after(info, headers.get("if-modified-since", "")) is False
    if same:
        known_headers = info_headers(info)
        return Response(
            None, 304, {name: known_headers[name] for name in ("ETag", "Last-Modified")}
        )
    return None


def _range_holds(header: str | None, info: ObjectInfo) -> bool:
    return header is None or header.strip() == f'"{info.etag}"'


def _not_satisfiable(size: int) -> Response:
    error = RangeNotSatisfiable(
        f"the object has {size} bytes", next_step="ask for bytes that it has"
    )
    return problem(error, headers={"Content-Range": f"bytes */{size}"})


async def _closing(content: Content) -> AsyncIterator[bytes]:
    async with content:
        async for part in content:
            yield part

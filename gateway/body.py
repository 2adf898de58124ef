"""Request bodies: JSON, limited before it is parsed, and content, processed as it arrives."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from signalbox.commands.bounded_json import read_json
from signalbox.commands.error import InvalidCommand, InvalidKey, TooLarge
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.gateway.body_memory import BodyMemory
from signalbox.gateway.conditions import check_conditions_are_known
from signalbox.gateway.error import InvalidRequest, UnsupportedMediaType
from signalbox.gateway.request_context import services_of
from signalbox.producers.client.async_content import inline


class BoundedRequest(Request):
    """A request whose JSON is limited in size, depth and number of values, and parsed strictly."""

    model: type[BaseModel] | None = None
    """The model that the JSON is parsed into; None for none."""
    size = 0
    """Bytes of the body that have arrived, which BodyMemory counts."""

    async def body(self) -> bytes:
        """Return the whole body. Raises TooLarge and NoRoom."""
        if not hasattr(self, "_body"):
            limit = services_of(self).own.json_limit_bytes
            room: BodyMemory = self.app.state.bodies
            chunks: list[bytes] = []
            async for chunk in self.stream():
                if self.size + len(chunk) > limit:
                    raise too_large(limit, "JSON")
                room.take(len(chunk), self.size + len(chunk))
                self.size += len(chunk)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """Return the document, or the model made of it. Raises ValidationError."""
        body = await self.body()
        document = _read(body, services_of(self).own.json_limit_bytes)
        if b"\\ud" in body.lower():
            _check_unicode(document)
        if self.model is None:
            return document
        # Not left to the framework, which would accept "1" for 1 and 0 for false.
        return self.model.model_validate_json(body, strict=True)


class BoundedRoute(APIRoute):
    """Parses JSON with `BoundedRequest`; refuses other media types and unknown parameters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        takes_json = self.body_field is not None
        known = frozenset(_parameters(self.dependant))
        reads = not (self.methods or set()) - {"GET", "HEAD"}
        known_headers = frozenset(name.lower() for name in _headers(self.dependant))
        # A call that describes its body itself reads it, too.
        ignores_body = not (reads or takes_json or "requestBody" in (self.openapi_extra or {}))
        wanted = self.body_field.field_info.annotation if self.body_field else None
        model = wanted if isinstance(wanted, type) and issubclass(wanted, BaseModel) else None

        async def bounded(request: Request) -> Response:
            if request.path_params.get("key") == "":
                raise InvalidKey(
                    "the key is empty",
                    next_step="name the object, such as docs/a.txt; keys are listed by the path "
                    "without its last /",
                )
            check_parameters(request, known)
            if not reads:
                check_conditions_are_known(request.headers, known_headers)
            if ignores_body:
                await _read_to_its_end(request)
            if takes_json:
                _check_media_type(request)
            bounded_request = BoundedRequest(request.scope, request.receive)
            bounded_request.model = model
            try:
                return await handler(bounded_request)
            finally:
                request.app.state.bodies.give_back(bounded_request.size)

        return bounded


async def content_of(
    request: Request, size: int | None, sha256: str | None
) -> InlinePayload | StagedPayload:
    """Make the payload of a put from the body; `size` and `sha256` are those of `declared_of`.

    Raises TooLarge, ContentMismatch, and InvalidRequest if the body ends too early.
    """
    services = services_of(request)
    if size is None or size > services.settings.inline_limit_bytes:
        return await services.payload(_chunks(request), size=size, sha256=sha256)
    # It is small, and the server accepts no more than was declared.
    content, more = await _chunk(request)
    while more:
        chunk, more = await _chunk(request)
        content += chunk
    return inline(content, size, sha256)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    limit = services_of(request).own.body_limit_bytes
    size = 0
    more = True
    while more:
        chunk, more = await _chunk(request)
        size += len(chunk)
        if size > limit:
            raise too_large(limit, "a body")
        if chunk:
            yield chunk


async def _chunk(request: Request) -> tuple[bytes, bool]:
    """Return the next part of the body, and whether there are more."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise InvalidRequest("the body ended before its end", next_step="send it whole")
    return message.get("body", b""), message.get("more_body", False)


async def _read_to_its_end(request: Request) -> None:
    """Read a body that the call does not use.

    A request is refused if its body is broken, and must then not have been executed.
    """
    limit = services_of(request).own.json_limit_bytes
    size, more = 0, True
    while more:
        chunk, more = await _chunk(request)
        size += len(chunk)
        if size > limit:
            raise too_large(limit, "a body")


def declared_of(request: Request) -> tuple[int | None, str | None]:
    """Return the size and digest that the body must have, None where none is declared.

    Raises InvalidRequest and TooLarge.
    """
    length = request.headers.get("content-length")
    sha256 = request.headers.get("x-content-sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InvalidRequest(
            "X-Content-SHA256 is no digest", next_step="send 64 lower-case hexadecimal digits"
        )
    size = int(length) if length is not None else None
    if size is not None and size > (limit := services_of(request).own.body_limit_bytes):
        raise too_large(limit, "a body")
    return size, sha256


def too_large(limit: int, what: str) -> TooLarge:
    """Return the error for a body over `limit` bytes."""
    return TooLarge(
        f"{what} of more than {limit} bytes is not taken",
        next_step="send less, or have the operator raise the limit (docs/configuration.md)",
    )


def _read(body: bytes, limit: int) -> Any:
    """Parse JSON; errors have next steps for HTTP clients. Raises TooLarge and InvalidCommand."""
    try:
        return read_json(body, limit, "the body")
    except TooLarge as error:
        raise TooLarge(error.message, next_step="send it in several requests") from error
    except InvalidCommand as error:
        raise InvalidCommand(
            error.message, next_step="send JSON as /openapi.json describes it"
        ) from error


def _check_unicode(value: Any) -> None:
    """Refuse half of a surrogate pair, which nothing after this could encode."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRequest(
            "the body holds half of a surrogate pair", next_step="send UTF-8 text"
        ) from None


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for each in dependant.dependencies:
        yield from _parameters(each)


def _headers(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.header_params)
    for each in dependant.dependencies:
        yield from _headers(each)


def check_parameters(request: Request, known: frozenset[str]) -> None:
    """Raise InvalidRequest for an unknown or repeated query parameter.

    A filter with a misspelled name would otherwise be ignored, and the response contain everything.
    """
    if not request.scope["query_string"]:
        return
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequest(f"query.{name[:60]}: it is repeated", next_step="send it once")
        if name not in known:
            takes = f"takes {', '.join(sorted(known))}" if known else "takes none"
            raise InvalidRequest(
                f"query.{name[:60]}: there is no such parameter", next_step=f"this call {takes}"
            )


def _check_media_type(request: Request) -> None:
    said = request.headers.get("content-type", "")
    if said.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(
            "the body is not declared as JSON",
            next_step="send the header Content-Type: application/json",
        )

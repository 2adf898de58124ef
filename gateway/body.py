"""Bodies: JSON that is bounded before it is parsed, and content as it arrives."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from commands.envelope import read_json
from commands.error import InvalidCommand, TooLarge
from gateway.call import desk_of
from gateway.error import InvalidRequest, UnsupportedMediaType


class BoundedRequest(Request):
    """A request whose JSON has a bounded size, depth and number of values, and is read strictly."""

    model: type[BaseModel] | None = None

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            most = desk_of(self).own.json_limit_bytes
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > most:
                    raise too_large(most, "JSON")
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """The document, or the model that it is of. Raises ValidationError."""
        body = await self.body()
        document = _read(body, desk_of(self).own.json_limit_bytes)
        if b"\\ud" in body.lower():
            _check_unicode(document)
        if self.model is None:
            return document
        # Here and not by the framework, which would take "1" for 1, and 0 for false.
        return self.model.model_validate_json(body, strict=True)


class BoundedRoute(APIRoute):
    """Parses JSON with `BoundedRequest`; another media type and unknown parameters are refused."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        takes_json = self.body_field is not None
        known = frozenset(_parameters(self.dependant))
        wanted = self.body_field.field_info.annotation if self.body_field else None
        model = wanted if isinstance(wanted, type) and issubclass(wanted, BaseModel) else None

        async def bounded(request: Request) -> Response:
            check_parameters(request, known)
            if takes_json:
                _check_media_type(request)
            its = BoundedRequest(request.scope, request.receive)
            its.model = model
            return await handler(its)

        return bounded


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises TooLarge, and InvalidRequest if it ends too early."""
    most = desk_of(request).own.body_limit_bytes
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise too_large(most, "a body")
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise InvalidRequest("the body ended before its end", next_step="send it whole") from None


def declared_of(request: Request) -> tuple[int | None, str | None]:
    """Size and digest that the body must have, where its sender says so. Raises InvalidRequest."""
    length = request.headers.get("content-length")
    sha256 = request.headers.get("x-content-sha256")
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InvalidRequest(
            "X-Content-SHA256 is no digest", next_step="send 64 lower-case hexadecimal digits"
        )
    size = int(length) if length is not None else None
    if size is not None and size > (most := desk_of(request).own.body_limit_bytes):
        raise too_large(most, "a body")
    return size, sha256


def too_large(most: int, what: str) -> TooLarge:
    return TooLarge(
        f"{what} of more than {most} bytes is not taken",
        next_step="send less, or have the operator raise the limit (docs/configuration.md)",
    )


def _read(body: bytes, most: int) -> Any:
    """Raises what the reader of messages does, with the next step of who asks by HTTP."""
    try:
        return read_json(body, most, "the body")
    except TooLarge as error:
        raise TooLarge(error.message, next_step="send it in several requests") from error
    except InvalidCommand as error:
        raise InvalidCommand(
            error.message, next_step="send JSON as /openapi.json describes it"
        ) from error


def _check_unicode(value: Any) -> None:
    """Half of a pair of escapes is no text, and nothing behind here could write it."""
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


def check_parameters(request: Request, known: frozenset[str]) -> None:
    """Raises InvalidRequest for a parameter that the call does not know: a filter whose name is
    mistyped would be none, and the answer everything."""
    if not request.scope["query_string"]:
        return
    for name in request.query_params:
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

"""HTTP API for objects: their content, and lists of keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from signalbox.commands.error import AlreadyExists, NotFound, PreconditionFailed, SignalboxError
from signalbox.commands.object_store import (
    DEFAULT_CONTENT_TYPE,
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    PutObject,
)
from signalbox.commands.scope import ResourceKind
from signalbox.gateway import object_parameters
from signalbox.gateway.answer import (
    Json,
    accepted,
    answer_read,
    answer_write,
    document_of,
    headers_of,
    run_put,
)
from signalbox.gateway.body import BoundedRoute, content_of, declared_of
from signalbox.gateway.conditions import IfMatchHeader, IfNoneMatchHeader, is_absent, tag_of
from signalbox.gateway.content import answer_content, answer_head
from signalbox.gateway.object_parameters import BYTES, NOT_MODIFIED
from signalbox.gateway.problem import Refused
from signalbox.gateway.request_context import AfterHeader, CallerDep, ServicesDep, WriteOptionsDep
from signalbox.gateway.result_models import read, written
from signalbox.gateway.services import Services
from signalbox.gateway.url_text import NamePart

router = APIRouter(prefix="/v1/objects/{tenant}/{env}", route_class=BoundedRoute, tags=["objects"])

KeyPart = Annotated[NamePart, Path(description="Object key, as it is; its `/` may stand as `/`.")]
FORM = "application/x-www-form-urlencoded"
"""The content type that curl sends if it was given none."""


@router.get("", response_model=read(ListObjects), summary="List keys")
async def list_keys(
    caller: CallerDep,
    services: ServicesDep,
    prefix: Annotated[str, Query()] = "",
    delimiter: Annotated[str, Query(description="`/` folds deeper keys into prefixes.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    after: AfterHeader = None,
) -> Response:
    """Return one page of keys in UTF-8 byte order."""
    command = ListObjects(
        **caller.fields, prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor
    )
    return await answer_read(services, command, after)


@router.get(
    "/{key:path}",
    response_class=Response,
    responses={200: BYTES, 206: BYTES, 304: NOT_MODIFIED},
    openapi_extra=object_parameters.GET,
    summary="Read an object",
)
async def get(
    key: KeyPart,
    request: Request,
    caller: CallerDep,
    services: ServicesDep,
    after: AfterHeader = None,
) -> Response:
    """Return the object's bytes, or a `Range` of them.

    Honours `If-Match`, `If-None-Match` and `If-Range`.
    """
    return await answer_content(request, services, GetObject(**caller.fields, key=key), after)


@router.head(
    "/{key:path}",
    response_class=Response,
    responses={304: NOT_MODIFIED},
    openapi_extra=object_parameters.HEAD,
    summary="What is known of an object",
)
async def head(
    key: KeyPart,
    request: Request,
    caller: CallerDep,
    services: ServicesDep,
    after: AfterHeader = None,
) -> Response:
    """Return the headers that the object's content would have."""
    return await answer_head(request, services, HeadObject(**caller.fields, key=key), after)


@router.put(
    "/{key:path}",
    response_model=written(PutObject),
    openapi_extra=object_parameters.PUT,
    summary="Store an object",
)
async def put(
    key: KeyPart,
    request: Request,
    caller: CallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
    if_match: IfMatchHeader = None,
    if_none_match: IfNoneMatchHeader = None,
) -> Response:
    """Store the body, whole or not at all.

    Headers `X-Meta-<name>` become its metadata. `X-Content-SHA256` is the digest that it must have.
    """
    fields = caller.fields | {
        "op_id": writing.op_id,
        "key": key,
        "content_type": media_type_of(request),
        "metadata": metadata_of(request),
    }
    conditional = if_match is not None or if_none_match is not None
    if conditional:
        fields["condition"] = Condition(
            if_absent=is_absent(if_none_match), if_match=tag_of(if_match)
        )
    size, sha256 = declared_of(request)
    check_before(services, fields, size)
    if conditional and is_large(services, size):
        await check_condition(services, fields)
    payload = await content_of(request, size, sha256)
    command = PutObject(**fields, payload=payload)
    outcome = await run_put(services, command, writing, conditional=conditional)
    if outcome is None:
        return accepted(command)
    result = document_of(outcome)
    return Json(result, 200, headers_of(outcome) | {"ETag": f'"{result["etag"]}"'})


@router.delete("/{key:path}", response_model=written(DeleteObject), summary="Remove an object")
async def delete(
    key: KeyPart,
    caller: CallerDep,
    services: ServicesDep,
    writing: WriteOptionsDep,
    if_match: IfMatchHeader = None,
) -> Response:
    """Remove an object; it is no error if there is none."""
    command = DeleteObject(**caller.fields, op_id=writing.op_id, key=key, if_match=tag_of(if_match))
    return await answer_write(services, command, writing, conditional=if_match is not None)


def media_type_of(request: Request) -> str:
    """Return the content type to store; curl's default counts as none."""
    said = request.headers.get("content-type", FORM)
    return DEFAULT_CONTENT_TYPE if said.startswith(FORM) else said


def metadata_of(request: Request) -> dict[str, str]:
    """Return the metadata in the `X-Meta-<name>` headers."""
    prefix = b"x-meta-"
    return {
        name[len(prefix) :].decode("latin-1"): value.decode("latin-1")
        for name, value in request.headers.raw
        if name.startswith(prefix)
    }


def is_large(services: Services, size: int | None) -> bool:
    """Return whether the body may be too large to be inlined in a command."""
    return size is None or size > services.settings.inline_limit_bytes


def check_before(services: Services, fields: dict[str, Any], size: int | None) -> None:
    """Validate the command before a large body is read."""
    if is_large(services, size):
        PutObject.model_validate(fields | {"payload": {"type": "inline", "data": ""}})


async def check_condition(services: Services, fields: dict[str, Any]) -> None:
    """Check the condition before a large body is read.

    Checked only later, the command would become a dead letter that keeps its content. Raises
    Refused; no op_id was used then.
    """
    condition: Condition = fields["condition"]
    address = {name: fields[name] for name in ("tenant_id", "env", "mode", "key")}
    found = await services.read(HeadObject(**address))
    if found.error is not None and found.error.code != NotFound.code:
        return  # The write itself will report the error.
    etag = found.result["etag"] if found.result else None
    if (etag is None) if condition.if_absent else (etag == condition.if_match):
        return
    # The existing object may be this command's own effect, if the request was repeated.
    if (
        await services.record(f"{fields['tenant_id']}/{fields['env']}/{fields['op_id']}")
        is not None
    ):
        return
    error: SignalboxError = (
        AlreadyExists("there is an object under this key", next_step="replace it, or keep it")
        if condition.if_absent
        else PreconditionFailed(
            f"the object has ETag {etag}" if etag else "there is no such object",
            next_step="read it anew, and decide",
        )
    )
    address = {"tenant_id": fields["tenant_id"], "env": fields["env"]}
    raise Refused(error.at(kind=ResourceKind.OBJECT_STORE, **address), conditional=True)

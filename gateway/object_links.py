"""HTTP API for presigned URLs and backend addresses of objects, which bypass Signalbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from signalbox.commands.object_store import (
    DEFAULT_CONTENT_TYPE,
    Metadata,
    ObjectUri,
    PresignGet,
    PresignPost,
    PresignPut,
    RegisterObject,
)
from signalbox.commands.payload import Sha256
from signalbox.gateway.answer import answer_read, answer_write
from signalbox.gateway.body import BoundedRoute
from signalbox.gateway.request_context import CallerDep, ServicesDep, WriteOptionsDep
from signalbox.gateway.result_models import read, written
from signalbox.gateway.url_text import NamePart

router = APIRouter(prefix="/v1", route_class=BoundedRoute, tags=["objects"])

ExpiresSeconds = Annotated[
    int, Field(gt=0, le=7 * 24 * 3600, description="Seconds that the address is good for.")
]


class PresignGetRequest(BaseModel):
    """The object to be read."""

    model_config = ConfigDict(extra="forbid")

    key: str
    expires: ExpiresSeconds = 900


class PresignPutRequest(PresignGetRequest):
    """The object to be uploaded."""

    content_type: str = DEFAULT_CONTENT_TYPE


class PresignPostRequest(PresignPutRequest):
    """The object to be uploaded from a browser."""

    max_bytes: int = Field(100 * 1024 * 1024, ge=1, le=5 * 1024**3)
    min_bytes: int = Field(0, ge=0)


class RegisterRequest(BaseModel):
    """The properties that an uploaded object must have."""

    model_config = ConfigDict(extra="forbid")

    key: str
    size_bytes: int | None = Field(None, ge=0)
    sha256: Sha256 | None = None
    metadata: Metadata = Field(default_factory=dict)


@router.post("/presign-get/{tenant}/{env}", response_model=read(PresignGet))
async def presign_get(
    body: PresignGetRequest, caller: CallerDep, services: ServicesDep
) -> Response:
    """Return a URL with which anyone can read the object until it expires."""
    command = PresignGet(**caller.fields, key=body.key, expires=timedelta(seconds=body.expires))
    return await answer_read(services, command, None)


@router.post("/presign-put/{tenant}/{env}", response_model=read(PresignPut))
async def presign_put(
    body: PresignPutRequest, caller: CallerDep, services: ServicesDep
) -> Response:
    """Return a URL to which the content can be uploaded with one PUT until it expires."""
    command = PresignPut(
        **caller.fields,
        key=body.key,
        content_type=body.content_type,
        expires=timedelta(seconds=body.expires),
    )
    return await answer_read(services, command, None)


@router.post("/presign-post/{tenant}/{env}", response_model=read(PresignPost))
async def presign_post(
    body: PresignPostRequest, caller: CallerDep, services: ServicesDep
) -> Response:
    """Return a form for an upload from a browser directly to the backend."""
    command = PresignPost(
        **caller.fields,
        key=body.key,
        content_type=body.content_type,
        max_bytes=body.max_bytes,
        min_bytes=body.min_bytes,
        expires=timedelta(seconds=body.expires),
    )
    return await answer_read(services, command, None)


@router.get("/uri/{tenant}/{env}/{key:path}", response_model=read(ObjectUri))
async def uri(
    key: Annotated[NamePart, Path()], caller: CallerDep, services: ServicesDep
) -> Response:
    """Return the backend's own address of an object."""
    return await answer_read(services, ObjectUri(**caller.fields, key=key), None)


@router.post("/register/{tenant}/{env}", response_model=written(RegisterObject))
async def register(
    body: RegisterRequest, caller: CallerDep, services: ServicesDep, writing: WriteOptionsDep
) -> Response:
    """Check an object after a presigned upload, and store an asset record of it."""
    command = RegisterObject(**caller.fields, op_id=writing.op_id, **body.model_dump())
    return await answer_write(services, command, writing)

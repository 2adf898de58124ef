"""What calls on objects take and answer with, for the OpenAPI document: the framework does not see
it, since the handlers read these headers and bodies themselves."""

from __future__ import annotations

from typing import Any

_BINARY = {"schema": {"type": "string", "format": "binary"}}
BYTES: dict[str, Any] = {"content": {"application/octet-stream": _BINARY, "*/*": _BINARY}}
"""Any content. The first media type is for generators of clients that do not know the second."""
NOT_MODIFIED: dict[str, Any] = {"description": "The client has it already."}
"""The response with status 304."""
_CONDITIONS = {
    "If-Match": "Only if the object has one of these ETags, else 412.",
    "If-None-Match": "Only if it has none of these ETags, else 304.",
    "If-Modified-Since": "Only if it was written after this date, else 304.",
    "If-Unmodified-Since": "Only if it was not, else 412.",
}
_RANGES = {
    "Range": "One range of bytes: `bytes=0-99`, or `bytes=-100` for the last ones.",
    "If-Range": "The ETag for which `Range` counts; the whole content otherwise.",
}


def _headers(texts: dict[str, str], **schema: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string"} | schema,
            "description": text,
        }
        for name, text in texts.items()
    ]


HEAD: dict[str, Any] = {"parameters": _headers(_CONDITIONS)}
"""What a HEAD takes."""
GET: dict[str, Any] = {"parameters": _headers(_RANGES | _CONDITIONS)}
"""What a GET takes."""
PUT: dict[str, Any] = {
    "requestBody": BYTES,
    "parameters": _headers(
        {"X-Content-SHA256": "The digest that the content must have."}, pattern="^[0-9a-f]{64}$"
    ),
}
"""What a PUT takes."""

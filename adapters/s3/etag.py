"""ETags: without quotes in Signalbox, with quotes in HTTP."""

from __future__ import annotations

import re

from signalbox.commands.error import PreconditionFailed

# Without `*`, since servers that drop the quotes would take it for any object.
_ETAG = re.compile(r"[A-Za-z0-9+/=_.-]{1,256}")


def bare(etag: str) -> str:
    """Return the ETag without quotes."""
    return etag.strip('"')


def quoted(etag: str) -> str:
    """Return the ETag for an `If-Match`. Raises PreconditionFailed if it cannot be one of S3's."""
    if not _ETAG.fullmatch(etag):
        raise PreconditionFailed(
            f"if_match {etag[:80]!r} is no ETag of S3",
            next_step="give the `etag` of a put, head or list, without quotes",
        )
    return f'"{etag}"'

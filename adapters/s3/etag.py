"""ETags: bare as Signalbox names them, quoted as HTTP does."""

from __future__ import annotations

import re

from signalbox.commands.error import PreconditionFailed

# A `*` is left out on purpose: servers that drop the quotes would take it for any object.
_ETAG = re.compile(r"[A-Za-z0-9+/=_.-]{1,256}")


def bare(etag: str) -> str:
    """The ETag as Signalbox names it, without the quotes of HTTP."""
    return etag.strip('"')


def quoted(etag: str) -> str:
    """The ETag for an `If-Match`; PreconditionFailed for what cannot be one of S3's."""
    if not _ETAG.fullmatch(etag):
        raise PreconditionFailed(
            f"if_match {etag[:80]!r} is no ETag of S3",
            next_step="give the `etag` of a put, head or list, without quotes",
        )
    return f'"{etag}"'

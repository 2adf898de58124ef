"""The conditions of puts and deletes, for every object store."""

from __future__ import annotations

from signalbox.commands.error import AlreadyExists, PreconditionFailed
from signalbox.commands.object_store import Condition


def demand(condition: Condition, etag: str | None) -> None:
    """Raise AlreadyExists or PreconditionFailed if the condition fails.

    `etag` is that of the existing object, None without one.
    """
    if condition.if_absent and etag is not None:
        raise AlreadyExists(
            "there is an object under this key",
            next_step="take another key, or drop the condition that there is none",
        )
    if condition.if_match is not None and etag != condition.if_match:
        found = f"the object has ETag {etag}" if etag is not None else "there is no object"
        raise PreconditionFailed(
            f"{found}, if_match demands {condition.if_match[:80]}",
            next_step="read it again and decide anew",
        )

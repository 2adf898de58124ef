"""Short commands to one object store, for the cases of the suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from signalbox.adapters.object_store import ObjectStore, ObjectStream
from signalbox.adapters.port import Call
from signalbox.commands.object_store import (
    AssetRecord,
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    ListResult,
    ObjectInfo,
    ObjectUri,
    PutObject,
    PutResult,
    RegisterObject,
)
from signalbox.commands.payload import InlinePayload, StagedPayload
from signalbox.testing.store_caller import Acceptance, StoreCaller

__all__ = ["Acceptance", "ObjectCaller", "OpenObjects"]


@dataclass(frozen=True)
class ObjectCaller(StoreCaller):
    """The object store of one tenant and env."""

    store: ObjectStore

    def put(
        self,
        key: str,
        content: bytes | StagedPayload = b"content",
        *,
        call: Call | None = None,
        if_absent: bool = False,
        if_match: str | None = None,
        **fields: Any,
    ) -> PutResult:
        """Store an object."""
        payload = InlinePayload(data=content) if isinstance(content, bytes) else content
        condition = Condition(if_absent=if_absent, if_match=if_match)
        command = PutObject(
            **self.scope_fields, key=key, payload=payload, condition=condition, **fields
        )
        return self.store.put(command, call or self.call())

    def stream(self, key: str, first: int | None = None, last: int | None = None) -> ObjectStream:
        """Open an object's content."""
        command = GetObject(**self.scope_fields, key=key, first=first, last=last)
        return self.store.get(command, self.call())

    def read(self, key: str, first: int | None = None, last: int | None = None) -> bytes:
        """Return an object's content."""
        stream = self.stream(key, first, last)
        with closing(stream.body) as body:
            return b"".join(iter(lambda: body.read(64 * 1024), b""))

    def head(self, key: str) -> ObjectInfo:
        """Return what is known of an object."""
        return self.store.head(HeadObject(**self.scope_fields, key=key), self.call())

    def delete(self, key: str, *, if_match: str | None = None, call: Call | None = None) -> bool:
        """Delete an object; return whether the delete was superseded."""
        command = DeleteObject(**self.scope_fields, key=key, if_match=if_match)
        result = self.store.delete(command, call or self.call())
        assert result.key == key
        return result.superseded

    def page(self, prefix: str = "", **fields: Any) -> ListResult:
        """Return one page of a list."""
        return self.store.list(
            ListObjects(**self.scope_fields, prefix=prefix, **fields), self.call()
        )

    def keys(self, prefix: str = "", **fields: Any) -> list[str]:
        """Return the keys of the first page."""
        return [info.key for info in self.page(prefix, **fields).objects]

    def pages(self, prefix: str = "", **fields: Any) -> Iterator[ListResult]:
        """Yield all pages of a list."""
        cursor: str | None = None
        while True:
            page = self.page(prefix, cursor=cursor, **fields)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def uri(self, key: str) -> str:
        """Return an object's address."""
        return self.store.uri(ObjectUri(**self.scope_fields, key=key), self.call()).uri

    def register(self, key: str, *, call: Call | None = None, **fields: Any) -> AssetRecord:
        """Register an uploaded object."""
        command = RegisterObject(**self.scope_fields, key=key, **fields)
        return self.store.register(command, call or self.call())


OpenObjects = Callable[..., ObjectCaller]
"""Opens a ObjectCaller: `(tenant, env, config)`, each with a default."""

"""Commands to one object store, in few words: what the cases of the suite speak."""

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
from signalbox.testing.turn import Caller, Turn

__all__ = ["Desk", "OpenDesk", "Turn"]


@dataclass(frozen=True)
class Desk(Caller):
    """One scope's object store."""

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
        payload = InlinePayload(data=content) if isinstance(content, bytes) else content
        condition = Condition(if_absent=if_absent, if_match=if_match)
        command = PutObject(**self.place, key=key, payload=payload, condition=condition, **fields)
        return self.store.put(command, call or self.call())

    def stream(self, key: str, first: int | None = None, last: int | None = None) -> ObjectStream:
        command = GetObject(**self.place, key=key, first=first, last=last)
        return self.store.get(command, self.call())

    def read(self, key: str, first: int | None = None, last: int | None = None) -> bytes:
        stream = self.stream(key, first, last)
        with closing(stream.body) as body:
            return b"".join(iter(lambda: body.read(64 * 1024), b""))

    def head(self, key: str) -> ObjectInfo:
        return self.store.head(HeadObject(**self.place, key=key), self.call())

    def delete(self, key: str, *, if_match: str | None = None, call: Call | None = None) -> bool:
        """Whether it was superseded."""
        command = DeleteObject(**self.place, key=key, if_match=if_match)
        result = self.store.delete(command, call or self.call())
        assert result.key == key
        return result.superseded

    def page(self, prefix: str = "", **fields: Any) -> ListResult:
        return self.store.list(ListObjects(**self.place, prefix=prefix, **fields), self.call())

    def keys(self, prefix: str = "", **fields: Any) -> list[str]:
        return [info.key for info in self.page(prefix, **fields).objects]

    def pages(self, prefix: str = "", **fields: Any) -> Iterator[ListResult]:
        """Every page, from first to last."""
        cursor: str | None = None
        while True:
            page = self.page(prefix, cursor=cursor, **fields)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def uri(self, key: str) -> str:
        return self.store.uri(ObjectUri(**self.place, key=key), self.call()).uri

    def register(self, key: str, *, call: Call | None = None, **fields: Any) -> AssetRecord:
        command = RegisterObject(**self.place, key=key, **fields)
        return self.store.register(command, call or self.call())


OpenDesk = Callable[..., Desk]
"""`(tenant, env, config)`, each with a default."""

"""Object stores for every backend: the operations, implemented with a driver's primitives.

Keys are already checked (`commands/key.py`). Every method may raise PermissionDenied, Misconfigured
(missing bucket, wrong region), Throttled, Unavailable and InsufficientStorage.
"""

# Every method has its call; what only signs or names has no need of it.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from signalbox.adapters import object_asset, object_fence, object_probe
from signalbox.adapters.batch import only
from signalbox.adapters.capability import Capability
from signalbox.adapters.deadline import Deadline
from signalbox.adapters.failure import Reporter
from signalbox.adapters.object_attributes import attributes, info_of
from signalbox.adapters.object_bulk import ObjectBulk
from signalbox.adapters.object_driver import Draft, ObjectDriver
from signalbox.adapters.object_fence import Expectation, Slot
from signalbox.adapters.object_listing import list_page
from signalbox.adapters.object_range import open_range
from signalbox.adapters.object_stream import LocatedBody, ObjectStream
from signalbox.adapters.object_transaction import TransactionalObjectDriver
from signalbox.adapters.port import Call
from signalbox.commands.error import NotFound, SignalboxError, Unsupported
from signalbox.commands.object_store import (
    AssetRecord,
    DeleteObject,
    DeleteResult,
    GetObject,
    HeadObject,
    ListObjects,
    ListResult,
    ObjectInfo,
    ObjectUri,
    PresignedGet,
    PresignedPost,
    PresignedPut,
    PresignGet,
    PresignPost,
    PresignPut,
    PutObject,
    PutResult,
    RegisterObject,
    UriResult,
)

__all__ = ["ObjectStore", "ObjectStream"]

_List = list
"""The built-in `list`, since the class has a method of this name."""


class ObjectStore:
    """The objects of one tenant and env on one backend. Methods are thread-safe."""

    def __init__(self, driver: ObjectDriver) -> None:
        self.driver = driver
        self._reporter = Reporter(driver.service, driver.scope)
        self._expectation = Expectation()
        self._bulk = (
            ObjectBulk(cast(TransactionalObjectDriver, driver), self._reporter)
            if driver.traits.transactional
            else None
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The capabilities that this route's backend has."""
        return frozenset(Capability) - self.driver.traits.unsupported.keys()

    def put(self, command: PutObject, call: Call) -> PutResult:
        """Store the content whole and durably, or not at all, in bounded memory.

        Raises AlreadyExists (`if_absent`), PreconditionFailed (`if_match`), TooLarge, and
        IntegrityMismatch if the content is not what was announced (nothing is stored then).

        A takeover first looks: if the object has this command's mark, that is the result. If there
        is an object or a tombstone with a newer `seq`, nothing is written, and the result is
        `superseded`.
        """
        if self._bulk is not None:
            return only(self.put_many([(command, call)]))
        with self._reporter.errors(Deadline(call)):
            payload, condition = command.payload, command.condition
            slot = Slot.of(self.driver, call, command.key)
            sha256 = payload.sha256
            draft = Draft(
                payload,
                call.payloads,
                command.content_type,
                command.metadata,
                attributes(call, sha256),
            )
            before = _measured(slot)
            written = object_fence.write(
                slot, draft, condition, self._expectation, fenced=self._fenced(call)
            )
            if before is not None and not written.superseded:
                call.grew(1 - before[0], payload.size - before[1])
            return PutResult(
                key=command.key,
                size=payload.size,
                etag=written.etag,
                sha256=sha256,
                uri=self.driver.uri(slot.name),
                superseded=written.superseded,
            )

    def put_many(
        self, items: Sequence[tuple[PutObject, Call]]
    ) -> _List[PutResult | SignalboxError]:
        """Put many objects in the given order in one transaction; a key may occur several times.

        Only for transactional backends. An item that is refused does not affect the others.
        """
        return [
            end
            if isinstance(end, SignalboxError)
            else PutResult(
                key=command.key,
                size=command.payload.size,
                etag=end.etag,
                sha256=end.sha256,
                uri=self.driver.uri(self.driver.name(command.key)),
                superseded=end.superseded,
            )
            for (command, _), end in zip(items, self._transactions.put(items), strict=True)
        ]

    def get(self, command: GetObject, call: Call) -> ObjectStream:
        """Open the content. Raises NotFound, and InvalidCommand for a range past the end."""

        def open_at(first: int | None, last: int | None) -> ObjectStream:
            deadline = Deadline(call)
            with self._reporter.errors(deadline):
                name = self.driver.name(command.key)
                opened = self.driver.open(name, first, last, replicas=True)
                info = info_of(opened.there, command.key)
            body = LocatedBody(opened.body, self._reporter, deadline)
            return ObjectStream(info, opened.first, opened.size, body)

        return open_range(open_at, command.first, command.last)

    def get_many(
        self, items: Sequence[tuple[GetObject, Call]]
    ) -> _List[ObjectStream | SignalboxError]:
        """Get many objects by one look, except those whose content must be opened.

        Only for transactional backends.
        """
        answers = self._transactions.get([command for command, _ in items])
        return [
            answer if answer is not None else self._opened(*item)
            for answer, item in zip(answers, items, strict=True)
        ]

    def _opened(self, command: GetObject, call: Call) -> ObjectStream | SignalboxError:
        try:
            return self.get(command, call)
        except SignalboxError as error:
            return error

    def head(self, command: HeadObject, call: Call) -> ObjectInfo:
        """Return what is known of the object. Raises NotFound."""
        with self._reporter.errors(Deadline(call)):
            name = self.driver.name(command.key)
            there = self.driver.look(name, sure=True, replicas=True)
            if there is None:
                raise NotFound("there is no such object", next_step="check the key")
            return info_of(there, command.key)

    def head_many(
        self, items: Sequence[tuple[HeadObject, Call]]
    ) -> _List[ObjectInfo | SignalboxError]:
        """Return what is known of many objects by one look. Only for transactional backends."""
        return self._transactions.head([command for command, _ in items])

    def delete(self, command: DeleteObject, call: Call) -> DeleteResult:
        """Remove the object; no error if there is none. Raises PreconditionFailed (`if_match`).

        A takeover keeps an object with a newer `seq`, and its result is `superseded`. A delete that
        has had its effect succeeds again, whatever its condition.
        """
        if self._bulk is not None:
            return only(self.delete_many([(command, call)]))
        with self._reporter.errors(Deadline(call)):
            if command.if_match is not None:
                self.driver.check_etag(command.if_match)
            slot = Slot.of(self.driver, call, command.key)
            before = _measured(slot)
            superseded = object_fence.remove(slot, command.if_match, fenced=self._fenced(call))
            if before is not None and not superseded:
                call.grew(-before[0], -before[1])
            return DeleteResult(key=command.key, superseded=superseded)

    def delete_many(
        self, items: Sequence[tuple[DeleteObject, Call]]
    ) -> _List[DeleteResult | SignalboxError]:
        """Delete many objects; otherwise as `put_many`."""
        return [
            end
            if isinstance(end, SignalboxError)
            else DeleteResult(key=command.key, superseded=end)
            for (command, _), end in zip(items, self._transactions.delete(items), strict=True)
        ]

    def list(self, command: ListObjects, call: Call) -> ListResult:
        """Return one page in UTF-8 byte order of keys.

        `metadata`, `content_type` and `sha256` of the objects may have their defaults. Raises
        InvalidCommand for a forged cursor.
        """
        with self._reporter.errors(Deadline(call)):
            return list_page(self.driver, command)

    def presign_post(self, command: PresignPost, call: Call) -> PresignedPost:
        """Return a form for uploads of this key and content type, within the size limits."""
        with self._reporter.errors(Deadline(call)):
            self._need(Capability.PRESIGN_POST)
            sizes = (command.min_bytes, command.max_bytes)
            return self.driver.sign_post(
                self.driver.name(command.key), command.content_type, sizes, command.expires
            )

    def presign_put(self, command: PresignPut, call: Call) -> PresignedPut:
        """Return a URL for one PUT; the size, and on Azure the content type, are not enforced."""
        with self._reporter.errors(Deadline(call)):
            self._need(Capability.PRESIGN_PUT)
            name = self.driver.name(command.key)
            return self.driver.sign_put(name, command.content_type, command.expires)

    def presign_get(self, command: PresignGet, call: Call) -> PresignedGet:
        """Return a URL for reading the object, without a check that it exists."""
        with self._reporter.errors(Deadline(call)):
            self._need(Capability.PRESIGN_GET)
            return self.driver.sign_get(self.driver.name(command.key), command.expires)

    def uri(self, command: ObjectUri, call: Call) -> UriResult:
        """Return the backend's own address of the object; makes no call."""
        with self._reporter.errors():
            return UriResult(uri=self.driver.uri(self.driver.name(command.key)))

    def register(self, command: RegisterObject, call: Call) -> AssetRecord:
        """Check the object and store its asset record; a repeat renews it.

        For a takeover, a record of this command is its result, and so is one of a newer command,
        `superseded`. Raises NotFound, and PreconditionFailed if size or digest differ.
        """
        with self._reporter.errors(Deadline(call)):
            return object_asset.register(self.driver, command, call, fenced=self._fenced(call))

    def collect_orphans(self, older_than: timedelta) -> int:
        """Remove leftovers of crashes that are older than this; return how many contents."""
        with self._reporter.errors():
            return self.driver.collect_orphans(older_than)

    def check_fences(self, key: str, call: Call) -> None:
        """Test whether older writes are kept from undoing newer ones, on the object under the key.

        The object may be gone afterwards. Raises WeakerFences.
        """
        with self._reporter.errors(Deadline(call)):
            object_probe.check_fences(self.driver, key, call)

    def close(self) -> None:
        """Release the driver's resources; the store cannot be used afterwards."""
        self.driver.close()

    @property
    def _transactions(self) -> ObjectBulk:
        if self._bulk is None:
            raise NotImplementedError(f"{self.driver.service.backend_type} has no bulk form")
        return self._bulk

    def _fenced(self, call: Call) -> bool:
        return call.in_doubt or self.driver.traits.fenced_writes

    def _need(self, capability: Capability) -> None:
        if (lack := self.driver.traits.unsupported.get(capability)) is not None:
            raise Unsupported(lack[0], next_step=lack[1])


def _measured(slot: Slot) -> tuple[int, int] | None:
    """Return the number of objects and bytes under the key now; None if they are not needed.

    They are read only for quotas, since a write does not return them. A takeover may find its own
    effect, so it does not change the count.
    """
    if not slot.call.measured or slot.call.takeover:
        return None
    there = slot.look()
    return (1, there.size) if there else (0, 0)

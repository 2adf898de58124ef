"""Writes, deletes and registrations on S3 when attempts repeat, race and break off."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws

from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.adapters.s3.client import client_for
from signalbox.adapters.s3.config import read_config
from signalbox.adapters.s3.object_driver import open_driver
from signalbox.adapters.s3.upload import MAX_PARTS, PART_BYTES, part_bytes
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import (
    AlreadyExists,
    Contended,
    IntegrityMismatch,
    InvalidCommand,
    InvalidKey,
    LeaseExpired,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    PutObject,
    RegisterObject,
)
from signalbox.commands.payload import (
    CHUNK_BYTES,
    DirectoryPayloadStore,
    InlinePayload,
    StagedPayload,
)
from signalbox.commands.scope import Mode, ResourceKind, Scope

WHO: dict[str, Any] = {"tenant_id": "t_demo", "env": "dev"}
BASE = "tenants/t_demo/dev/raw/"


class MotoStore:
    """A store on moto with its bucket, and hooks into what its client sends."""

    def __init__(self, directory: Path, **config: Any) -> None:
        path = directory / "credentials.ini"
        path.write_text("[default]\naws_access_key_id = LAB\naws_secret_access_key = moto_store\n")
        self.payloads = DirectoryPayloadStore(directory / "payloads")
        self._config = {"bucket": "data", "credentials_file": str(path)} | config
        self.client = client_for(read_config(self._config))
        self.store = self.open()
        self._hooks: list[tuple[str, str]] = []
        # moto's decorators take no bytearray.
        self.client.meta.events.register(
            "before-call.s3.UploadPart", _as_bytes, unique_id="as-bytes"
        )

    def open(self, tenant_id: str = "t_demo") -> ObjectStore:
        scope = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant_id, env="dev")
        return ObjectStore(open_driver(AdapterContext(scope, Mode.LAB, self._config)))

    def call(self, op_id: str, seq: int, *, takeover: bool = False, seconds: float = 60) -> Call:
        return Call(op_id, seq, takeover, lease_clock() + seconds, self.payloads)

    def put(self, data: bytes, call: Call, **fields: Any) -> str:
        key = fields.pop("key", "a.txt")
        command = PutObject(key=key, payload=InlinePayload(data=data), **WHO, **fields)
        return self.store.put(command, call).etag

    def read(self, key: str = "a.txt") -> bytes:
        stream = self.store.get(GetObject(key=key, **WHO), self.call("read", 0))
        try:
            return stream.body.read()
        finally:
            stream.body.close()

    def delete(self, call: Call, **fields: Any) -> None:
        self.store.delete(DeleteObject(key="a.txt", **WHO, **fields), call)

    def exists(self) -> bool:
        return "Contents" in self.client.list_objects_v2(Bucket="data", Prefix=BASE)

    def before(self, operation: str, hook: Callable[[], None], times: int = 1) -> list[int]:
        """Run `hook` right before the first `times` requests; returns the list of its runs."""
        runs: list[int] = []

        def once(**_: Any) -> None:
            if len(runs) < times:
                runs.append(1)
                hook()

        event, unique_id = f"before-call.s3.{operation}", f"hook-{len(self._hooks)}"
        self.client.meta.events.register(event, once, unique_id=unique_id)
        self._hooks.append((event, unique_id))
        return runs

    def after(self, operation: str, hook: Callable[[], None]) -> None:
        """Run `hook` when S3 has answered, so that it can lose the answer."""
        unique_id = f"hook-{len(self._hooks)}"
        event = f"after-call.s3.{operation}"

        def once(**_: Any) -> None:
            self.client.meta.events.unregister(event, unique_id=unique_id)
            hook()

        self.client.meta.events.register(event, once, unique_id=unique_id)
        self._hooks.append((event, unique_id))

    def unhook(self) -> None:
        for event, unique_id in self._hooks:
            self.client.meta.events.unregister(event, unique_id=unique_id)

    def open_uploads(self) -> int:
        return len(self.client.list_multipart_uploads(Bucket="data").get("Uploads", []))


@pytest.fixture
def moto_store(tmp_path: Path) -> Iterator[MotoStore]:
    with mock_aws():
        moto_store = MotoStore(tmp_path)
        moto_store.client.create_bucket(Bucket="data")
        yield moto_store
        moto_store.unhook()


@pytest.fixture
def fenced(moto_store: MotoStore, tmp_path: Path) -> MotoStore:
    """The same bucket by a route with `fenced_writes`."""
    return MotoStore(tmp_path, fenced_writes=True)


def _as_bytes(params: dict[str, Any], **_: Any) -> None:
    if isinstance(params["body"], bytearray):
        params["body"] = bytes(params["body"])


def lose_the_answer() -> None:
    raise ConnectionClosedError(endpoint_url="http://x")


class NoisyPayloads:
    """A payload store that makes content up, and notes how much was held at once."""

    def __init__(self, size: int, *, wrong: bool = False) -> None:
        digest = hashlib.sha256(b"\0" * size).hexdigest()
        self.staged = StagedPayload(ref="0" * 32, size=size, sha256="f" * 64 if wrong else digest)
        self._size = size
        self.largest_read = 0

    def stage(self, chunks: Any) -> StagedPayload:
        return self.staged

    def remove(self, payload: StagedPayload) -> None: ...

    def open(self, payload: StagedPayload) -> BinaryIO:
        content, store = io.BytesIO(b"\0" * self._size), self

        class Source:
            def read(self, size: int = -1) -> bytes:
                store.largest_read = max(store.largest_read, size)
                # Short reads, as pipes and sockets give them.
                return content.read(min(size, 300_000))

            def close(self) -> None:
                content.close()

        return cast(BinaryIO, Source())

    def call(self, seconds: float = 60, *, takeover: bool = False) -> Call:
        return Call("op-big", 5, takeover, lease_clock() + seconds, self)

    def command(self, **fields: Any) -> PutObject:
        return PutObject(key="big", payload=self.staged, **WHO, **fields)


def test_metadata_comes_back_as_it_was_and_ours_stays_hidden(moto_store: MotoStore) -> None:
    metadata = {"plain": "x", "spaces": "  x ", "empty": "", "marked": "signalbox64:eA=="}
    moto_store.put(b"one", moto_store.call("op-1", 1), metadata=metadata, content_type="text/plain")
    info = moto_store.store.head(HeadObject(key="a.txt", **WHO), moto_store.call("op-2", 2))
    assert info.metadata == metadata
    assert info.sha256 == hashlib.sha256(b"one").hexdigest()
    raw = moto_store.client.head_object(Bucket="data", Key=BASE + "a.txt")["Metadata"]
    assert (raw["signalbox-mark"], raw["signalbox-seq"]) == ("op-1", "1")


def test_a_takeover_of_a_finished_put_gives_its_result_and_writes_nothing(
    moto_store: MotoStore,
) -> None:
    etag = moto_store.put(b"one", moto_store.call("op-1", 1))
    puts = moto_store.before("PutObject", lambda: None, times=9)
    assert moto_store.put(b"one", moto_store.call("op-1", 1, takeover=True)) == etag
    assert puts == []


def test_a_takeover_leaves_what_a_newer_command_wrote(moto_store: MotoStore) -> None:
    newer = moto_store.put(b"newer", moto_store.call("op-2", 2))
    etag = moto_store.put(b"older", moto_store.call("op-1", 1, takeover=True))
    assert moto_store.read() == b"newer"
    assert etag != newer


def test_a_takeover_replaces_what_an_older_command_wrote(moto_store: MotoStore) -> None:
    moto_store.put(b"older", moto_store.call("op-1", 1))
    moto_store.put(b"newer", moto_store.call("op-2", 2, takeover=True))
    assert moto_store.read() == b"newer"


def test_what_an_earlier_release_wrote_is_known_by_its_number(moto_store: MotoStore) -> None:
    beside = {"signalbox-op-id": "nightly", "signalbox-seq": "5"}
    moto_store.client.put_object(Bucket="data", Key=BASE + "a.txt", Body=b"old", Metadata=beside)
    # By the release before, whose worker died before it could say so.
    etag = moto_store.put(
        b"old", moto_store.call("5", 5, takeover=True), condition=Condition(if_absent=True)
    )
    assert etag == hashlib.md5(b"old").hexdigest()  # noqa: S324  # S3's own ETag
    moto_store.put(b"new", moto_store.call("9", 9, takeover=True), op_id="nightly")
    assert moto_store.read() == b"new"


def test_a_takeover_does_not_undo_a_newer_write_that_comes_between_look_and_write(
    moto_store: MotoStore,
) -> None:
    moto_store.put(b"first", moto_store.call("op-1", 1))

    def newer() -> None:
        moto_store.put(b"newer", moto_store.call("op-3", 3))

    runs = moto_store.before("PutObject", newer)
    moto_store.put(b"taken over", moto_store.call("op-2", 2, takeover=True))
    assert runs == [1]
    assert moto_store.read() == b"newer"


def test_a_takeover_does_not_undo_a_newer_write_to_a_key_that_was_empty(
    moto_store: MotoStore,
) -> None:
    runs = moto_store.before(
        "PutObject", lambda: void(moto_store.put(b"newer", moto_store.call("op-3", 3)))
    )
    moto_store.put(b"taken over", moto_store.call("op-2", 2, takeover=True))
    assert runs == [1]
    assert moto_store.read() == b"newer"


def test_a_takeover_writes_over_an_upload_that_came_between_look_and_write(
    moto_store: MotoStore,
) -> None:
    def upload() -> None:
        moto_store.client.put_object(Bucket="data", Key=BASE + "a.txt", Body=b"from a browser")

    moto_store.before("PutObject", upload)
    moto_store.put(b"taken over", moto_store.call("op-2", 2, takeover=True))
    assert moto_store.read() == b"taken over"


def test_a_key_that_never_rests_is_reported_as_temporary(moto_store: MotoStore) -> None:
    bodies = iter(range(100))

    def upload() -> None:
        moto_store.client.put_object(Bucket="data", Key=BASE + "a.txt", Body=b"%d" % next(bodies))

    # Each foreign put is a request with the hook as well: twice as many runs as looks.
    unlimited = {"busy": False}

    def once() -> None:
        if not unlimited["busy"]:
            unlimited["busy"] = True
            upload()
            unlimited["busy"] = False

    moto_store.before("PutObject", once, times=99)
    with pytest.raises(Contended, match="looks"):
        moto_store.put(b"x", moto_store.call("op-2", 2, takeover=True))


def test_fenced_writes_keep_a_frozen_worker_from_undoing_a_newer_write(
    moto_store: MotoStore, fenced: MotoStore
) -> None:
    fenced.put(b"newer", fenced.call("op-2", 2))
    fenced.put(b"older", fenced.call("op-1", 1))
    assert fenced.read() == b"newer"


def test_a_create_whose_answer_was_lost_is_not_refused_by_its_own_object(
    moto_store: MotoStore,
) -> None:
    moto_store.after("PutObject", lose_the_answer)
    condition = Condition(if_absent=True)
    with pytest.raises(Unavailable):
        moto_store.put(b"one", moto_store.call("op-1", 1), condition=condition)
    etag = moto_store.put(b"one", moto_store.call("op-1", 1), condition=condition)
    assert etag == hashlib.md5(b"one").hexdigest()  # noqa: S324  # S3's own ETag
    with pytest.raises(AlreadyExists):
        moto_store.put(b"two", moto_store.call("op-2", 2), condition=condition)


def test_a_replacement_whose_answer_was_lost_is_not_refused_by_its_own_object(
    moto_store: MotoStore,
) -> None:
    condition = Condition(if_match=moto_store.put(b"one", moto_store.call("op-1", 1)))
    moto_store.after("PutObject", lose_the_answer)
    with pytest.raises(Unavailable):
        moto_store.put(b"two", moto_store.call("op-2", 2), condition=condition)
    moto_store.put(b"two", moto_store.call("op-2", 2), condition=condition)
    with pytest.raises(PreconditionFailed):
        moto_store.put(b"three", moto_store.call("op-3", 3), condition=condition)


@pytest.mark.parametrize("etag", ["*", "", 'x" y', "a\nb", "W/ü"])
def test_an_etag_that_s3_never_gave_matches_nothing(moto_store: MotoStore, etag: str) -> None:
    moto_store.put(b"one", moto_store.call("op-1", 1))
    with pytest.raises(PreconditionFailed):
        moto_store.put(b"two", moto_store.call("op-2", 2), condition=Condition(if_match=etag))
    with pytest.raises(PreconditionFailed):
        moto_store.delete(moto_store.call("op-3", 3), if_match=etag)
    assert moto_store.read() == b"one"


def test_a_condition_on_a_missing_key_fails(moto_store: MotoStore) -> None:
    with pytest.raises(PreconditionFailed):
        moto_store.put(b"one", moto_store.call("op-1", 1), condition=Condition(if_match="abc"))
    with pytest.raises(PreconditionFailed):
        moto_store.delete(moto_store.call("op-2", 2), if_match="abc")


def test_a_conditional_delete_does_not_remove_what_came_between_look_and_delete(
    moto_store: MotoStore,
) -> None:
    etag = moto_store.put(b"one", moto_store.call("op-1", 1))
    moto_store.before(
        "DeleteObject", lambda: void(moto_store.put(b"two", moto_store.call("op-3", 3)))
    )
    with pytest.raises(PreconditionFailed):
        moto_store.delete(moto_store.call("op-2", 2), if_match=etag)
    assert moto_store.read() == b"two"


def test_a_delete_that_is_taken_over_leaves_a_newer_object(moto_store: MotoStore) -> None:
    moto_store.put(b"newer", moto_store.call("op-2", 2))
    moto_store.delete(moto_store.call("op-1", 1, takeover=True))
    assert moto_store.read() == b"newer"
    moto_store.delete(moto_store.call("op-3", 3, takeover=True))
    assert not moto_store.exists()
    moto_store.delete(moto_store.call("op-3", 3, takeover=True))


def test_a_conditional_delete_that_is_taken_over_after_its_effect_succeeds(
    moto_store: MotoStore,
) -> None:
    etag = moto_store.put(b"one", moto_store.call("op-1", 1))
    moto_store.after("DeleteObject", lose_the_answer)
    with pytest.raises(Unavailable):
        moto_store.delete(moto_store.call("op-2", 2), if_match=etag)
    moto_store.delete(moto_store.call("op-2", 2, takeover=True), if_match=etag)
    assert not moto_store.exists()


def test_large_content_goes_in_parts_of_bounded_size_whatever_the_source_reads(
    moto_store: MotoStore,
) -> None:
    size = 2 * PART_BYTES + 12345
    noisy = NoisyPayloads(size)
    parts = moto_store.before("UploadPart", lambda: None, times=99)
    result = moto_store.store.put(noisy.command(), noisy.call())
    assert len(parts) == 3
    assert noisy.largest_read <= CHUNK_BYTES
    head = moto_store.client.head_object(Bucket="data", Key=BASE + "big")
    assert head["ContentLength"] == size
    assert result.etag == head["ETag"].strip('"')
    assert moto_store.open_uploads() == 0


def test_content_of_any_size_fits_into_the_parts_that_s3_takes() -> None:
    assert part_bytes(PART_BYTES * MAX_PARTS) == PART_BYTES
    for size in (PART_BYTES * MAX_PARTS + 1, 10**12, 5 * 1024**4):
        assert part_bytes(size) * MAX_PARTS >= size


@pytest.mark.parametrize("size", [10, PART_BYTES, 2 * PART_BYTES, 2 * PART_BYTES + 1])
def test_content_that_is_not_what_was_announced_is_never_stored(
    moto_store: MotoStore, size: int
) -> None:
    noisy = NoisyPayloads(size, wrong=True)
    with pytest.raises(IntegrityMismatch):
        moto_store.store.put(noisy.command(), noisy.call())
    assert not moto_store.exists()
    assert moto_store.open_uploads() == 0


def test_an_upload_that_fails_in_the_middle_is_given_up(moto_store: MotoStore) -> None:
    noisy = NoisyPayloads(3 * PART_BYTES)
    moto_store.before("CompleteMultipartUpload", lose_the_answer)
    with pytest.raises(Unavailable):
        moto_store.store.put(noisy.command(), noisy.call())
    assert not moto_store.exists()
    assert moto_store.open_uploads() == 0


def test_no_part_is_sent_after_an_upload_was_given_up(moto_store: MotoStore) -> None:
    noisy = NoisyPayloads(20 * PART_BYTES)
    sent: list[str] = []

    def part(params: dict[str, Any], **_: Any) -> None:
        sent.append("part")
        if len(sent) == 5:
            lose_the_answer()

    events = moto_store.client.meta.events
    events.register("before-call.s3.UploadPart", part, unique_id="part")
    events.register(
        "before-call.s3.AbortMultipartUpload", lambda **_: sent.append("end"), unique_id="end"
    )
    try:
        with pytest.raises(Unavailable):
            moto_store.store.put(noisy.command(), noisy.call())
    finally:
        events.unregister("before-call.s3.UploadPart", unique_id="part")
        events.unregister("before-call.s3.AbortMultipartUpload", unique_id="end")
    assert sent[-1] == "end"
    assert sent.count("part") <= 5 + 3
    assert moto_store.open_uploads() == 0


def test_parts_arrive_in_order_whichever_is_sent_first(moto_store: MotoStore) -> None:
    content = b"".join(bytes([number]) * (PART_BYTES // 2) for number in range(15))
    staged = moto_store.payloads.stage([content])
    command = PutObject(key="a.txt", payload=staged, **WHO)
    slow = threading.Event()

    def later(params: dict[str, Any], **_: Any) -> None:
        if int(params["query_string"]["partNumber"]) == 1:
            slow.wait(300)
        else:
            slow.set()

    moto_store.client.meta.events.register("before-call.s3.UploadPart", later, unique_id="later")
    try:
        moto_store.store.put(command, moto_store.call("op-1", 1))
    finally:
        moto_store.client.meta.events.unregister("before-call.s3.UploadPart", unique_id="later")
    assert slow.is_set()
    assert moto_store.read() == content


def test_a_lease_that_ends_between_parts_stops_the_upload(
    moto_store: MotoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = NoisyPayloads(3 * PART_BYTES)
    call = noisy.call()
    over = call.deadline + 1
    moto_store.after(
        "UploadPart",
        lambda: monkeypatch.setattr("signalbox.adapters.port.lease_clock", lambda: over),
    )
    with pytest.raises(LeaseExpired):
        moto_store.store.put(noisy.command(), call)
    assert moto_store.open_uploads() == 0


def test_a_condition_that_fails_spares_the_upload_of_large_content(moto_store: MotoStore) -> None:
    moto_store.put(b"there", moto_store.call("op-1", 1), key="big")
    noisy = NoisyPayloads(2 * PART_BYTES)
    started = moto_store.before("CreateMultipartUpload", lambda: None)
    with pytest.raises(AlreadyExists):
        moto_store.store.put(noisy.command(condition=Condition(if_absent=True)), noisy.call())
    assert started == []


def test_large_content_is_not_put_over_an_object_that_came_meanwhile(moto_store: MotoStore) -> None:
    noisy = NoisyPayloads(2 * PART_BYTES)
    moto_store.before(
        "CompleteMultipartUpload",
        lambda: void(moto_store.put(b"newer", moto_store.call("op-9", 9), key="big")),
    )
    moto_store.store.put(noisy.command(), noisy.call(takeover=True))
    assert moto_store.read("big") == b"newer"
    assert moto_store.open_uploads() == 0


def test_a_finished_upload_whose_answer_was_lost_is_recognised(moto_store: MotoStore) -> None:
    noisy = NoisyPayloads(2 * PART_BYTES)
    moto_store.after("CompleteMultipartUpload", lose_the_answer)
    with pytest.raises(Unavailable):
        moto_store.store.put(noisy.command(), noisy.call())
    started = moto_store.before("CreateMultipartUpload", lambda: None)
    moto_store.store.put(noisy.command(), noisy.call(takeover=True))
    assert started == []


def test_a_key_that_is_too_long_with_its_prefix_says_by_how_much(moto_store: MotoStore) -> None:
    longest = "k" * (1024 - len(BASE))
    moto_store.put(b"fits", moto_store.call("op-1", 1), key=longest)
    with pytest.raises(InvalidKey) as caught:
        moto_store.put(b"does not", moto_store.call("op-2", 2), key=longest + "kk")
    assert caught.value.next_step == "shorten it by 2 UTF-8 bytes"


def test_a_cursor_leads_on_only_in_its_own_list(moto_store: MotoStore) -> None:
    for name in "abc":
        moto_store.put(b"x", moto_store.call(f"op-{name}", 1), key=f"p/{name} +%ü")
    question = ListObjects(prefix="p/", limit=2, **WHO)
    page = moto_store.store.list(question, moto_store.call("l", 1))
    assert [entry.key for entry in page.objects] == ["p/a +%ü", "p/b +%ü"]
    following = question.model_copy(update={"cursor": page.next_cursor})
    rest = moto_store.store.list(following, moto_store.call("l", 1))
    assert [entry.key for entry in rest.objects] == ["p/c +%ü"]
    assert rest.next_cursor is None
    other_prefix = following.model_copy(update={"prefix": "p"})
    forged = following.model_copy(update={"cursor": "Zm9yZ2Vk"})
    for command in (other_prefix, forged, following.model_copy(update={"cursor": "ü"})):
        with pytest.raises(InvalidCommand):
            moto_store.store.list(command, moto_store.call("l", 1))
    theirs = following.model_copy(update={"tenant_id": "t_other"})
    with pytest.raises(InvalidCommand):
        moto_store.open("t_other").list(theirs, moto_store.call("l", 1))


def test_a_registration_reads_the_content_of_a_browser_upload_for_its_digest(
    moto_store: MotoStore,
) -> None:
    moto_store.client.put_object(
        Bucket="data", Key=BASE + "a.txt", Body=b"up", ContentType="text/plain"
    )
    digest = hashlib.sha256(b"up").hexdigest()
    command = RegisterObject(key="a.txt", size_bytes=2, sha256=digest, **WHO)
    record = moto_store.store.register(command, moto_store.call("op-1", 1))
    assert (record.sha256, record.content_type) == (digest, "text/plain")
    assert record.uri == f"s3://data/{BASE}a.txt"
    with pytest.raises(PreconditionFailed):
        moto_store.store.register(
            command.model_copy(update={"sha256": "0" * 64}), moto_store.call("op-2", 2)
        )
    with pytest.raises(PreconditionFailed):
        moto_store.store.register(
            command.model_copy(update={"size_bytes": 3}), moto_store.call("op-3", 3)
        )


def test_a_registration_that_is_taken_over_gives_the_record_of_the_first_attempt(
    moto_store: MotoStore,
) -> None:
    moto_store.put(b"one", moto_store.call("op-1", 1))
    command = RegisterObject(key="a.txt", metadata={"by": "me"}, **WHO)
    first = moto_store.store.register(command, moto_store.call("op-2", 2))
    assert moto_store.store.register(command, moto_store.call("op-2", 2, takeover=True)) == first
    later = moto_store.store.register(command, moto_store.call("op-3", 3))
    assert later.asset_id == first.asset_id
    moto_store.put(b"two", moto_store.call("op-4", 4))
    assert moto_store.store.register(command, moto_store.call("op-5", 5)).asset_id != first.asset_id


def test_asset_records_do_not_show_among_objects(moto_store: MotoStore) -> None:
    moto_store.put(b"one", moto_store.call("op-1", 1))
    moto_store.store.register(RegisterObject(key="a.txt", **WHO), moto_store.call("op-2", 2))
    page = moto_store.store.list(ListObjects(**WHO), moto_store.call("op-3", 3))
    assert [entry.key for entry in page.objects] == ["a.txt"]
    keys = [entry["Key"] for entry in moto_store.client.list_objects_v2(Bucket="data")["Contents"]]
    assert keys == ["tenants/t_demo/dev/assets/a.txt", BASE + "a.txt"]


def void(_: object) -> None:
    """Drop a result where a hook must return None."""


def test_a_register_finds_its_own_record_though_its_object_is_gone(moto_store: MotoStore) -> None:
    moto_store.put(b"one", moto_store.call("op-1", 1))
    command = RegisterObject(key="a.txt", **WHO)
    record = moto_store.store.register(command, moto_store.call("op-2", 2))
    moto_store.delete(moto_store.call("op-3", 3))
    assert moto_store.store.register(command, moto_store.call("op-2", 2, takeover=True)) == record
    with pytest.raises(NotFound):
        moto_store.store.register(command, moto_store.call("op-4", 4, takeover=True))

"""Content beside a command: staged, verified, and read back in bounded memory."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.commands.error import (
    IntegrityMismatch,
    LocalFileError,
    PayloadMissing,
    SourceChanged,
    TooLarge,
)
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import (
    DirectoryPayloadStore,
    InlinePayload,
    StagedPayload,
    verified_chunks,
)
from signalbox.commands.settings import Settings
from signalbox.producers.client.content import ContentStager


def stager(directory: Path | None, limit: int = 8) -> ContentStager:
    return ContentStager(
        Settings(payload_dir=directory, inline_limit_bytes=limit), lambda: "a" * 12
    )


def test_small_content_is_inline_and_large_content_is_staged(tmp_path: Path) -> None:
    assert isinstance(stager(tmp_path).payload(b"12345678"), InlinePayload)
    staged = stager(tmp_path).payload(b"123456789")
    assert isinstance(staged, StagedPayload)
    assert DirectoryPayloadStore(tmp_path).open(staged).read() == b"123456789"


def test_large_content_without_a_store_says_what_to_set() -> None:
    with pytest.raises(TooLarge, match="SIGNALBOX_PAYLOAD_DIR"):
        stager(None).payload(b"123456789")


def test_a_stream_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    payload = stager(tmp_path).payload(io.BytesIO(b"x" * 3_000_000))
    assert payload.size == 3_000_000


def test_a_file_that_is_gone_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match="No such file"):
        stager(tmp_path).payload(tmp_path / "none")


def test_a_file_that_grows_while_it_is_read_is_refused_and_leaves_nothing_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, store = tmp_path / "log", tmp_path / "store"
    source.write_bytes(b"x" * 100)
    stage = DirectoryPayloadStore.stage

    def grow(self: DirectoryPayloadStore, chunks: object) -> StagedPayload:
        staged = stage(self, chunks)  # type: ignore[arg-type]
        source.write_bytes(b"x" * 101)
        return staged

    monkeypatch.setattr(DirectoryPayloadStore, "stage", grow)
    with pytest.raises(SourceChanged, match="changed while it was read"):
        stager(store).payload(source)
    assert list(store.iterdir()) == []


def test_a_failed_staging_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> object:
        yield b"x"
        raise OSError("the source went away")

    with pytest.raises(OSError, match="went away"):
        DirectoryPayloadStore(tmp_path).stage(broken())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_staged_payload_says_what_to_share(tmp_path: Path) -> None:
    payload = StagedPayload(ref="0" * 32, size=1, sha256="0" * 64)
    with pytest.raises(PayloadMissing, match="SIGNALBOX_PAYLOAD_DIR"):
        DirectoryPayloadStore(tmp_path).open(payload)


@pytest.mark.parametrize("other", ["pipe", "link", "folder"])
def test_what_is_no_regular_file_is_not_there_and_blocks_nobody(tmp_path: Path, other: str) -> None:
    payload = StagedPayload(ref="0" * 32, size=1, sha256="0" * 64)
    path = tmp_path / payload.ref
    (tmp_path / "secret").write_bytes(b"x")
    if other == "pipe":
        os.mkfifo(path)
    elif other == "link":
        path.symlink_to(tmp_path / "secret")
    else:
        path.mkdir()
    with pytest.raises(PayloadMissing):
        DirectoryPayloadStore(tmp_path).open(payload)


def test_a_content_is_there_until_the_last_of_its_owners_is_gone(tmp_path: Path) -> None:
    store = DirectoryPayloadStore(tmp_path)
    first = store.stage([b"content"])
    second = store.add_owner(first)
    store.remove(first)
    third = store.add_owner(second)
    store.remove(second)
    with store.open(third) as source:
        assert source.read() == b"content"
    store.remove(third)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PayloadMissing):
        store.add_owner(third)


def test_where_nothing_was_staged_there_is_no_name_to_make_durable(tmp_path: Path) -> None:
    DirectoryPayloadStore(tmp_path / "nobody staged").sync()


def test_a_staged_content_goes_with_the_object_that_names_it(tmp_path: Path) -> None:
    payload = stager(tmp_path).payload(b"123456789")
    put = PutObject(tenant_id="t_a", env="dev", key="k", payload=payload)
    assert put.payload is payload
    copy = put.model_copy(update={"key": "other"})
    del payload, put
    assert len(list(tmp_path.iterdir())) == 1
    pid = os.fork()
    if pid == 0:
        del copy
        os._exit(len(list(tmp_path.iterdir())))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1, "the child removed it"
    del copy
    assert list(tmp_path.iterdir()) == []


def test_the_last_chunk_is_withheld_from_a_content_that_is_not_as_announced() -> None:
    chunks = verified_chunks(InlinePayload(data=b"abcdef"), io.BytesIO(b"abcdeX"), chunk_bytes=2)
    assert [next(chunks), next(chunks)] == [b"ab", b"cd"]
    with pytest.raises(IntegrityMismatch):
        next(chunks)


def test_durations_are_read_as_seconds_or_iso(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALBOX_LEASE", "2.5")
    assert Settings().lease == timedelta(seconds=2.5)
    monkeypatch.setenv("SIGNALBOX_LEASE", "PT1M")
    assert Settings().lease == timedelta(minutes=1)

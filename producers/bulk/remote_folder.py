"""Objects below a prefix, used as a folder: lists, downloads and deletes them through the queue."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from signalbox.commands.error import LocalFileError, SignalboxError
from signalbox.commands.object_store import (
    DeleteObject,
    GetObject,
    GetResult,
    ListObjects,
    ObjectInfo,
)
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import CHUNK_BYTES
from signalbox.producers.bulk.bounded_run import DEFAULT_TIMEOUT, Ended, Pace, Work, run_all
from signalbox.producers.bulk.folder import Tenancy
from signalbox.producers.client.client import Client

PAGE = 1000
"""Number of keys in one list."""
GETS = Pace(batch=100, batch_bytes=4 * 1024**2, window=500, window_bytes=20 * 1024**2)
"""Batches of downloads."""
PART = ".signalbox-"
"""Prefix of the name of a file that is being written."""


@dataclass(frozen=True)
class Fetched:
    """An object that was downloaded, or could not be."""

    info: ObjectInfo
    """The object."""
    path: Path | None
    """Its file; None if its key leads out of the folder."""
    error: SignalboxError | None = None
    """Why it was not downloaded; None if it was, or was there already."""
    was_there: bool = False
    """True if the file already had this content."""


def objects_below(
    client: Client, tenancy: Tenancy, prefix: str, *, timeout: timedelta = DEFAULT_TIMEOUT
) -> Iterator[ObjectInfo]:
    """Yield all objects whose keys begin with the prefix, in key order.

    Raises the errors of a list.
    """
    cursor: str | None = None
    while True:
        command = ListObjects(**tenancy.fields, prefix=prefix, limit=PAGE, cursor=cursor)
        page = client.run(command, timeout)
        yield from page.objects
        if (cursor := page.next_cursor) is None:
            return


def fetch_objects(
    client: Client,
    tenancy: Tenancy,
    objects: Iterable[ObjectInfo],
    folder: Path,
    prefix: str,
    *,
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> Iterator[Fetched]:
    """Download each object to `folder`, under its key without the prefix; yield each, in order.

    A file with the object's size and SHA-256 is kept, so that an interrupted download can be
    continued. Files are replaced atomically. An object that cannot be read, or whose key leads out
    of the folder, is yielded with its error and does not stop the others. Raises StateUnavailable.
    """
    settled: list[Fetched] = []

    def work() -> Iterator[Work[tuple[ObjectInfo, Path]]]:
        for info in objects:
            try:
                path = path_below(folder, info.key, prefix)
            except SignalboxError as error:
                settled.append(Fetched(info, None, error))
                continue
            if has_content(path, info):
                settled.append(Fetched(info, path, was_there=True))
                continue
            size = min(info.size, client.settings.inline_limit_bytes)
            yield Work((info, path), GetObject(**tenancy.fields, key=info.key), size)

    for end in run_all(client, work(), GETS, timeout):
        yield from settled
        settled.clear()
        info, path = end.item
        error = end.error
        if error is None and end.outcome is not None:
            try:
                _write(client, end.outcome, path)
            except SignalboxError as refused:
                error = refused
            except OSError as fault:
                error = LocalFileError(
                    f"{path} cannot be written: {fault.strerror}",
                    next_step="make room or choose another folder, and fetch again",
                )
        yield Fetched(info, path, error)
    yield from settled


def remove_objects(
    client: Client, tenancy: Tenancy, keys: Iterable[str], *, timeout: timedelta = DEFAULT_TIMEOUT
) -> Iterator[Ended[str]]:
    """Delete the objects under these keys; yield an end for each. Raises StateUnavailable."""
    work = (Work(key, DeleteObject(**tenancy.fields, key=key), 0) for key in keys)
    return run_all(client, work, timeout=timeout)


def path_below(folder: Path, key: str, prefix: str) -> Path:
    """Return the file for an object.

    Raises LocalFileError if the key leads out of the folder, also through a symbolic link in it.
    """
    name = key.removeprefix(prefix).lstrip("/")
    path = folder / name
    inside = Path(os.path.realpath(folder))
    if not name or not Path(os.path.realpath(path)).is_relative_to(inside):
        raise LocalFileError(
            f"the object {key!r} has no place in {folder}",
            next_step="choose a shorter prefix, or remove the link that leads out of the folder",
        )
    return path


def has_content(path: Path, info: ObjectInfo) -> bool:
    """Return whether the file has the object's size and digest; False if the digest is unknown."""
    if info.sha256 is None or path.is_symlink() or not path.is_file():
        return False
    with suppress(OSError):
        return path.stat().st_size == info.size and digest_of(path) == info.sha256
    return False


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _write(client: Client, outcome: Outcome, path: Path) -> None:
    result = outcome.result_as(GetResult)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=PART, dir=path.parent)
        try:
            with open(handle, "wb") as sink, client.content.open(result) as content:
                shutil.copyfileobj(content, sink)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(part, 0o666 & ~mask)
            modified = result.info.modified.timestamp()
            os.utime(part, (modified, modified))
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
    finally:
        client.content.discard(result)

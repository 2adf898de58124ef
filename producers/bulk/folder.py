"""Stores a folder of files as objects, and reads them back, through the queue in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from signalbox.commands.error import OutcomePending, SignalboxError
from signalbox.commands.model import Command
from signalbox.commands.object_store import GetObject, GetResult, PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.parse import invalid_command
from signalbox.commands.payload import CHUNK_BYTES
from signalbox.commands.scope import Mode
from signalbox.producers.bulk.bounded_run import DEFAULT_TIMEOUT, Pace, Work, run_all
from signalbox.producers.client.client import Client

BATCH_COMMANDS = 100
"""Maximum number of files submitted together."""
BATCH_BYTES = 4 * 1024 * 1024
"""Size at which a batch of files is submitted, in bytes."""
WINDOW_BATCHES = 5
"""Number of batches without outcomes: enough to keep workers busy, few enough for the memory."""
WINDOW_BYTES = 20 * 1024 * 1024
"""Size of files without outcomes at which none is added, in bytes."""


@dataclass(frozen=True)
class FileToStore:
    """A file, and the key of the object that it becomes."""

    path: Path
    key: str


@dataclass(frozen=True)
class StoredFile:
    """A file that was stored, or could not be."""

    file: FileToStore
    """The file and its key."""
    size: int
    """Size in bytes; 0 if it could not be read."""
    sha256: str | None
    """SHA-256 as hexadecimal digits; None if it could not be read."""
    outcome: Outcome | None
    """The outcome; None if there is none."""
    error: SignalboxError | None
    """Why it was not stored; None if it was."""


@dataclass(frozen=True)
class Tenancy:
    """Tenant, env and mode of commands."""

    tenant_id: str
    env: str
    mode: Mode = Mode.LAB

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that every command of this tenant and env has."""
        return {"tenant_id": self.tenant_id, "env": self.env, "mode": self.mode}


def files_below(
    directory: Path,
    prefix: str = "",
    skip: frozenset[str] = frozenset(),
    left_out: list[Path] | None = None,
) -> list[FileToStore]:
    """Return all regular files below `directory` in key order; symbolic links are not followed.

    Files and folders with a name in `skip` are left out, at any depth. Links, pipes and the like
    are appended to `left_out`.
    """
    found = []
    unfit = [] if left_out is None else left_out
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in skip]
        unfit += [path for name in folders if (path := Path(folder) / name).is_symlink()]
        for name in names:
            path = Path(folder) / name
            if name in skip:
                continue
            if path.is_file() and not path.is_symlink():
                key = path.relative_to(directory).as_posix()
                found.append(FileToStore(path, f"{prefix}{key}"))
            else:
                unfit.append(path)
    return sorted(found, key=lambda file: os.fsencode(file.key))


def store_files(
    client: Client,
    tenancy: Tenancy,
    files: Iterable[FileToStore],
    *,
    batch_commands: int = BATCH_COMMANDS,
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> Iterator[StoredFile]:
    """Put each file under its key, many in a batch; yield each when its outcome arrives.

    A file that cannot be read or named is yielded with its error and does not stop the others.
    Raises StateUnavailable.
    """
    unread: list[StoredFile] = []
    pace = Pace(batch_commands, BATCH_BYTES, WINDOW_BATCHES * batch_commands, WINDOW_BYTES)

    def work() -> Iterator[Work[FileToStore]]:
        for file in files:
            try:
                command = PutObject(
                    **tenancy.fields, key=file.key, payload=client.content.payload(file.path)
                )
            except ValidationError as error:
                unread.append(StoredFile(file, 0, None, None, invalid_command(error)))
            except SignalboxError as error:
                unread.append(StoredFile(file, 0, None, None, error))
            else:
                size = min(command.size, client.settings.inline_limit_bytes)
                yield Work(file, command, size)

    for end in run_all(client, work(), pace, timeout):
        yield from unread
        unread.clear()
        put = end.command
        sha256 = put.payload.sha256 if isinstance(put, PutObject) else None
        yield StoredFile(end.item, put.size, sha256, end.outcome, end.error)
    yield from unread


def digests(
    client: Client, tenancy: Tenancy, keys: Sequence[str], *, timeout: timedelta = DEFAULT_TIMEOUT
) -> Iterator[tuple[str, str | SignalboxError]]:
    """Read objects back through the queue.

    Yield each key with the SHA-256 of its content, or the error.
    """
    for start in range(0, len(keys), BATCH_COMMANDS):
        gets: list[Command] = [
            GetObject(tenant_id=tenancy.tenant_id, env=tenancy.env, mode=tenancy.mode, key=key)
            for key in keys[start : start + BATCH_COMMANDS]
        ]
        outcomes = client.wait(client.submit_many(gets), timeout)
        for command, outcome in zip(gets, outcomes, strict=True):
            try:
                if outcome is None:
                    raise OutcomePending("no outcome yet")
                result = outcome.result_as(GetResult)
                try:
                    with client.content.open(result) as source:
                        digest = _sha256(source)
                finally:
                    client.content.discard(result)
                yield command.subject, digest
            except SignalboxError as error:
                yield command.subject, error


def _sha256(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()

"""Storing a folder of files, and reading it back, through the queue in bounded memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from commands.error import OutcomePending, RemoteError, SignalboxError
from commands.model import Command
from commands.object_store import GetObject, GetResult, PutObject
from commands.outcome import Outcome
from commands.parse import invalid_command
from commands.payload import CHUNK_BYTES
from commands.scope import Mode
from producers.client import Client
from producers.submission import Submission

BATCH_COMMANDS = 100
BATCH_BYTES = 4 * 1024 * 1024
WINDOW_BATCHES = 4
"""Batches under way at once: enough to keep workers busy, few enough to bound memory."""
PATIENCE = timedelta(minutes=10)
"""For the outcomes of one batch; a crashed worker's are back long before."""


@dataclass(frozen=True)
class FileToStore:
    path: Path
    key: str


@dataclass(frozen=True)
class StoredFile:
    """One file and what became of it: an outcome that is done, or an error."""

    file: FileToStore
    size: int
    sha256: str | None
    outcome: Outcome | None
    error: SignalboxError | None


@dataclass(frozen=True)
class Place:
    """Whose objects these are."""

    tenant_id: str
    env: str
    mode: Mode = Mode.LAB

    @property
    def fields(self) -> dict[str, Any]:
        """What every command of this place has."""
        return {"tenant_id": self.tenant_id, "env": self.env, "mode": self.mode}


def files_below(
    directory: Path, prefix: str = "", skip: frozenset[str] = frozenset()
) -> list[FileToStore]:
    """Every regular file below `directory`, in key order; links are not followed.

    `skip` names files and folders, wherever they are, that are left out.
    """
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in skip]
        for name in names:
            path = Path(folder) / name
            if name not in skip and path.is_file() and not path.is_symlink():
                key = path.relative_to(directory).as_posix()
                found.append(FileToStore(path, f"{prefix}{key}"))
    return sorted(found, key=lambda file: os.fsencode(file.key))


def store_files(
    client: Client,
    place: Place,
    files: Iterable[FileToStore],
    *,
    batch_commands: int = BATCH_COMMANDS,
    patience: timedelta = PATIENCE,
) -> Iterator[StoredFile]:
    """Put each file under its key, many a message; yields each as its outcome arrives.

    A file that cannot be read or named is yielded with its error and does not stop the others.
    Raises StateUnavailable.
    """
    window: deque[list[tuple[FileToStore, PutObject, Submission]]] = deque()
    waiting: list[tuple[FileToStore, PutObject]] = []
    waiting_bytes = 0

    def flush() -> None:
        nonlocal waiting, waiting_bytes
        submissions = client.submit_many([command for _, command in waiting])
        window.append(
            [(file, cmd, sub) for (file, cmd), sub in zip(waiting, submissions, strict=True)]
        )
        waiting, waiting_bytes = [], 0

    for file in files:
        try:
            command = PutObject(
                tenant_id=place.tenant_id,
                env=place.env,
                mode=place.mode,
                key=file.key,
                payload=client.content.payload(file.path),
            )
        except ValidationError as error:
            yield StoredFile(file, 0, None, None, invalid_command(error))
            continue
        except SignalboxError as error:
            yield StoredFile(file, 0, None, None, error)
            continue
        waiting.append((file, command))
        waiting_bytes += min(command.size, client.settings.inline_limit_bytes)
        if len(waiting) >= batch_commands or waiting_bytes >= BATCH_BYTES:
            flush()
            if len(window) > WINDOW_BATCHES:
                yield from _collect(client, window.popleft(), patience)
    if waiting:
        flush()
    while window:
        yield from _collect(client, window.popleft(), patience)


def digests(
    client: Client, place: Place, keys: Sequence[str], *, patience: timedelta = PATIENCE
) -> Iterator[tuple[str, str | SignalboxError]]:
    """Read objects back through the queue: the SHA-256 of each content, or the error."""
    for start in range(0, len(keys), BATCH_COMMANDS):
        gets: list[Command] = [
            GetObject(tenant_id=place.tenant_id, env=place.env, mode=place.mode, key=key)
            for key in keys[start : start + BATCH_COMMANDS]
        ]
        outcomes = client.wait(client.submit_many(gets), patience)
        for command, outcome in zip(gets, outcomes, strict=True):
            try:
                if outcome is None:
                    raise OutcomePending("no outcome yet")
                result = GetResult.model_validate_json(json.dumps(outcome.unwrap()))
                try:
                    with client.content.open(result) as source:
                        digest = _sha256(source)
                finally:
                    client.content.discard(result)
                yield command.subject, digest
            except SignalboxError as error:
                yield command.subject, error


def _collect(
    client: Client,
    batch: Sequence[tuple[FileToStore, PutObject, Submission]],
    patience: timedelta,
) -> Iterator[StoredFile]:
    outcomes = client.wait([submission for _, _, submission in batch], patience)
    for (file, command, _), outcome in zip(batch, outcomes, strict=True):
        error: SignalboxError | None = None
        if outcome is None:
            error = OutcomePending(
                "no outcome yet", next_step=f"it goes on; see: signalbox outcome {command.op_id}"
            )
        elif outcome.error is not None:
            error = RemoteError(outcome.error)
        yield StoredFile(file, command.size, command.payload.sha256, outcome, error)


def _sha256(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()

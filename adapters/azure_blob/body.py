"""The content of a blob as it arrives, and its failures as typed errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.azure_blob.failure import azure_errors
from adapters.deadline import current
from commands.scope import Scope

if TYPE_CHECKING:
    from azure.storage.blob import StorageStreamDownloader


class AzureBody:
    """A BodyReader, 4 MiB in memory at most, with the time of the call that opened it. All chunks
    are of one version of the blob."""

    def __init__(self, stream: StorageStreamDownloader[Any], scope: Scope) -> None:
        self._stream = stream
        self._scope = scope
        self._deadline = current()

    def read(self, size: int = -1, /) -> bytes:
        with azure_errors(self._scope, self._deadline):
            if self._deadline is not None:
                self._deadline.begin()
            return bytes(self._stream.read(size))

    def close(self) -> None:
        """Nothing is held between two reads."""

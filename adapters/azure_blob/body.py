"""The content of a blob as it arrives, and its failures as typed errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.azure_blob.failure import azure_errors
from commands.scope import Scope

if TYPE_CHECKING:
    from azure.storage.blob import StorageStreamDownloader


class AzureBody:
    """A BodyReader, 4 MiB in memory at most. All chunks are of one version of the blob."""

    def __init__(self, stream: StorageStreamDownloader[Any], scope: Scope) -> None:
        self._stream = stream
        self._scope = scope

    def read(self, size: int = -1, /) -> bytes:
        with azure_errors(self._scope):
            return bytes(self._stream.read(size))

    def close(self) -> None:
        """Nothing is held between two reads."""

"""The content of a blob as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.storage.blob import StorageStreamDownloader


class AzureBody:
    """A BodyReader, 4 MiB in memory at most. All chunks are of one version of the blob."""

    def __init__(self, stream: StorageStreamDownloader[Any]) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        return bytes(self._stream.read(size))

    def close(self) -> None:
        """Nothing is held between two reads."""

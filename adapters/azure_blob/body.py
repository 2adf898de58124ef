"""The content of a blob as it is downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.storage.blob import StorageStreamDownloader


class AzureBody:
    """A BodyReader with at most 4 MiB in memory. All chunks are of the same version of the blob."""

    def __init__(self, stream: StorageStreamDownloader[Any]) -> None:
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        return bytes(self._stream.read(size))

    def close(self) -> None:
        """Do nothing: nothing is held between two reads."""

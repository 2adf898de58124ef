"""Reads that run in the gateway: no queue, no write to the state, the rules of a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from commands.model import Command
from commands.object_store import GetObject, ObjectInfo
from commands.outcome import Outcome
from producers.async_client import AsyncClient


@dataclass(frozen=True)
class ReadLimits:
    """How much of a process reads may hold."""

    threads: int = 32
    """Calls to backends at a time; a tenant has at most half of them."""
    streams: int = 256
    """Contents that are open at a time, each with what its backend holds for it; a tenant has at
    most half of them."""


@dataclass
class Content:
    """The content of an object, or the range that was asked for, as it comes from the backend.

    Iterate over it once, or `aclose` it; `async with` does so at its end. Memory stays bounded: a
    part is read from the backend when the one before was taken.
    """

    info: ObjectInfo
    first: int
    """The first byte's place in the object."""
    size: int
    """Bytes that are to come, whatever the object's own size is."""
    backend_type: str
    route_revision: int
    _parts: AsyncIterator[bytes] = field(repr=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes in order. Raises Unavailable if the backend breaks off, LeaseExpired if it
        takes longer than a worker's lease would be: never fewer bytes than `size` without an
        error."""
        return self._parts

    async def aclose(self) -> None:
        """Give back what the backend holds for it. Again is harmless."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Reads:
    """Runs reads as a worker does, in this process. One a process; safe for tasks of any loop."""

    def __init__(self, client: AsyncClient, limits: ReadLimits | None = None) -> None:
        """`client` tells where the state is, and when a command that is read behind has ended. It
        is closed by its owner, behind this."""

    async def run(self, command: Command, after: str | None = None) -> Outcome:
        """What the command would answer through the queue, now: a result, or an error as data.

        `after` is an op_id of the same tenant and env: the read begins when that command has its
        outcome, whatever it is. What a worker would try again or let wait (`temporary`) is told at
        once. `seq` is 0 and `op_id` means nothing: no ledger has it. Raises InvalidCommand if the
        command is no read or `after` is not known, OutcomePending if that has no outcome within
        the lease, StateUnavailable.
        """
        raise NotImplementedError

    async def stream(self, command: GetObject, after: str | None = None) -> Content:
        """The object, straight from its backend.

        Raises what `run` tells as data: NotFound, InvalidCommand (a range past the end),
        RouteNotFound, and so on, each with its code and status.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Let what is read end, and give back the backends."""

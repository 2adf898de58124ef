"""The port of metrics stores: what a backend of this kind implements.

Every method may raise PermissionDenied, Misconfigured, Throttled, Unavailable and
InsufficientStorage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adapters.port import Call
from commands.error import SignalboxError
from commands.metrics_store import IngestPoints, IngestResult, PointsResult, QueryPoints


class MetricsStore(Protocol):
    """One tenant's series in one environment on one backend. Methods are thread-safe."""

    def ingest(self, command: IngestPoints, call: Call) -> IngestResult:
        """Store all of the command's points durably.

        A point is named by series, labels and timestamp; of two commands that ingest the same
        point the value of the higher `seq` stands, in whichever order they run. A command that
        failed half-way may have stored some of its points; its repetition stores the rest.
        """

    def ingest_many(
        self, items: Sequence[tuple[IngestPoints, Call]]
    ) -> list[IngestResult | SignalboxError]:
        """Many ingests in few calls, an answer for each; a point may come in several of them."""

    def query(self, command: QueryPoints, call: Call) -> PointsResult:
        """One page, as `adapters/window.py` defines it, in bounded memory whatever the range.

        Raises InvalidCommand for a cursor of another query.
        """

    def close(self) -> None:
        """Give back what the adapter holds; it is not used again."""

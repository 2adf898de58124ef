"""Combines points from input lines into commands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from signalbox.commands.error import SignalboxError
from signalbox.commands.metrics_store import IngestPoints, Point
from signalbox.producers.bulk.folder import Tenancy
from signalbox.producers.bulk.ingest import Naming, Piece
from signalbox.producers.bulk.line_input import Line
from signalbox.producers.cli.connection import named
from signalbox.producers.cli.lines import Pieces

GROUP_POINTS = 500


def grouped(tenancy: Tenancy, naming: Naming, lines: Iterator[Line | None]) -> Pieces:
    """Yield commands of up to 500 points; one is complete earlier when the input pauses or a point
    repeats."""
    group = _Group()

    def piece() -> Iterator[Piece]:
        nonlocal group
        if group.points:
            first, last = group.lines[0], group.lines[-1]
            command = IngestPoints(**named(tenancy, naming.op_id(first, last)), points=group.points)
            yield Piece(command, first, last, len(group.lines), group.size)
        group = _Group()

    try:
        for line in lines:
            if line is None:
                yield from piece()
                yield None
                continue
            point = _point(line)
            if not group.takes(point):
                yield from piece()
            group.add(line, point)
    except SignalboxError:
        yield from piece()
        raise
    yield from piece()


def _point(line: Line) -> Point:
    try:
        return Point(**line.document(("series", "timestamp", "value"), ("labels",)))
    except (SignalboxError, ValidationError) as error:
        raise line.fault(error) from None


@dataclass
class _Group:
    """Points that go into one command."""

    lines: list[int] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    identities: set[Any] = field(default_factory=set)
    size: int = 0

    def takes(self, point: Point) -> bool:
        # The same point again goes into a later command, whose value then stands.
        return len(self.points) < GROUP_POINTS and point.identity not in self.identities

    def add(self, line: Line, point: Point) -> None:
        self.lines.append(line.number)
        self.points.append(point)
        self.identities.add(point.identity)
        self.size += len(line.text)

"""The console that the command line prints to. It imports rich, which only text needs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from signalbox.commands.visible import visible
from signalbox.producers.cli.console import KEPT


class SafeConsole(Console):
    """Escapes control characters: keys, reasons and rows are untrusted, and must not control the
    terminal."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment  # of rich itself, such as a progress bar's
            else:
                yield segment._replace(text=visible(segment.text, keep=KEPT))

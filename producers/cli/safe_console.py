"""The console that the command line prints to. It imports rich, which only text needs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from signalbox.commands.visible import visible


class SafeConsole(Console):
    """Keys, reasons and rows come from strangers: no text reaches the terminal as a command."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment  # of rich itself, such as a progress bar's
            else:
                yield segment._replace(text=visible(segment.text, keep="\n\t"))

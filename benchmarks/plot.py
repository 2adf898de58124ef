"""docs/benchmarks.svg: how fast the queues are, and that cost stays the same while all grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figure import Figure, spell
from benchmarks.record import Kept

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, THEIRS, INK, PALE = "#1f6feb", "#9aa4b2", "#24292f", "#d0d7de"
LINES = {
    "routes": ("routes", "#1f6feb", "o"),
    "tenants": ("tenants", "#c2410c", "s"),
    "open commands": ("open commands (ledger alone)", "#15803d", "D"),
    "backlog": ("backlog that is worked off", "#7c3aed", "^"),
}
"""Series that are to be flat, with name, colour and mark."""
THROUGHPUT, SUBMITTED = "throughput", "puts a submit"
OWN = "signalbox"
LABELS = {
    "celery": "bare Celery",
    "dramatiq": "Dramatiq",
    "huey": "Huey",
    "rq": "RQ",
    "taskiq": "taskiq",
    "rq, enqueue_many of 100": "RQ, enqueue_many of 100",
    "huey, map of 100": "Huey, map of 100",
    "dramatiq, group of 100": "Dramatiq, group of 100",
    "celery, group of 100": "Celery, group of 100",
    "celery, chunks of 100": "Celery, chunks of 100",
    "celery, 100 in one task": "Ceiling: 100 in one Celery task",
    "signalbox": "Signalbox, single",
    "signalbox 100": "Signalbox, 100 a submit",
    "signalbox 500": "Signalbox, 500 a submit",
}
BESIDE_OTHERS, ALONE = "queues", "batch"
"""Parts: the bars are those of the first that was measured."""


def draw(record: Mapping[str, Kept], path: Path) -> None:
    """Write the drawing, as SVG or as what the path's ending says."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"svg.hashsalt": "signalbox", "font.size": 9}):
        batched = bool(series_of(record, SUBMITTED))
        # T: throughput of all, B: over batch size, G: cost while all grows.
        figure, axes = plt.subplot_mosaic(
            "TB;TG" if batched else "TG",
            figsize=(11, 7 if batched else 4.2),
            layout="constrained",
            width_ratios=(1.15, 1),
        )
        _bars(axes["T"], record)
        if batched:
            _batches(axes["B"], record)
        _lines(axes["G"], record)
        for each in axes.values():
            each.spines[["top", "right"]].set_visible(False)
            each.set_axisbelow(True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, facecolor="white", dpi=150)
        plt.close(figure)


def series_of(record: Mapping[str, Kept], name: str) -> list[Figure]:
    """All figures of a series, in their order."""
    return [each for part in record.values() for each in part.figures if each.series == name]


def _bars(axes: Axes, record: Mapping[str, Kept]) -> None:
    # Side by side only what one run measured.
    runs = [{name: record[name]} for name in (BESIDE_OTHERS, ALONE) if name in record]
    bars = sorted(series_of(runs[0], THROUGHPUT) if runs else [], key=lambda bar: bar.value)
    names = [LABELS.get(bar.name, bar.name) for bar in bars]
    colours = [OURS if name.lower().startswith(OWN) else THEIRS for name in names]
    axes.barh(names, [bar.value for bar in bars], color=colours, height=0.7)
    for index, bar in enumerate(bars):
        axes.annotate(
            spell(round(bar.value)),
            (bar.value, index),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=INK,
        )
    if bars:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain)
        axes.minorticks_off()
        axes.set_xlim(min(bar.value for bar in bars) / 3, max(bar.value for bar in bars) * 4)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_xlabel("commands a second, from submit to effect (logarithmic)")
    axes.set_title("Durable 1 KiB puts, same Redis and disk", loc="left", color=INK)


def _batches(axes: Axes, record: Mapping[str, Kept]) -> None:
    """Throughput over batch size, with the best other queue as a line."""
    from matplotlib.ticker import LogLocator

    figures = series_of(record, SUBMITTED)
    points = [(each.at, each.value) for each in figures if each.at is not None]
    if points:
        sizes = [size for size, _ in points]
        axes.plot(*zip(*points, strict=True), color=OURS, marker="o", ms=5, label="Signalbox")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(_plain)
        axes.minorticks_off()
    for each in figures:
        if each.at is None:
            axes.axhline(each.value, color=THEIRS, linestyle="--", label=each.name)
    if points:
        axes.legend(frameon=False, loc="upper left")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * 3)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_xlabel("puts a submit (logarithmic)")
    axes.set_ylabel("commands a second (logarithmic)")
    axes.set_title("Throughput over batch size", loc="left", color=INK)


def _lines(axes: Axes, record: Mapping[str, Kept]) -> None:
    for name, (label, colour, mark) in LINES.items():
        points = [(each.at, each.value) for each in series_of(record, name) if each.at is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=mark, label=label, ms=5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_plain)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_xlabel("number of them (logarithmic)")
    axes.set_ylabel("µs of processor time a command")
    axes.set_title("Cost of a command while all grows (flat is good)", loc="left", color=INK)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 0.0))


def _plain(value: float, _place: float) -> str:
    """1,000 and not a power of ten."""
    return f"{value:,.0f}"

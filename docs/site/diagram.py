"""Draw docs/architecture.svg: the packages, what each imports, and the path of a command.

    python docs/site/diagram.py

The packages and their order are those of the import contract in pyproject.toml, the arrows are the
imports in the source, and the steps are the list "The life of a command" in docs/architecture.md.
A test fails when the drawing is not the one that this would make.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
TARGET = ROOT / "docs" / "architecture.svg"

LANE = 84  # height of a package's lane
TOP = 34
BOX_X, BOX_WIDTH, BOX_HEIGHT = 118, 204, 52
STEP_X, STEP_WIDTH = 375, 98
INK, FAINT, BLUE = "#24292f", "#8c959f", "#3f51b5"


class Step(NamedTuple):
    """One step of a command: its name, and the files that the page names for it."""

    name: str
    files: list[str]


def packages() -> list[str]:
    """The packages, those that import the others first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers: list[str] = project["tool"]["importlinter"]["contracts"][0]["layers"]
    return layers


def imports(package: str) -> set[str]:
    """The packages of Signalbox that the modules of this one import."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / package).rglob("*.py")]
    names = [name.split(".") for tree in trees for name in _imported(tree)]
    return {name[1] for name in names if name[0] == "signalbox" and len(name) > 1} - {package}


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def purposes() -> dict[str, str]:
    """What the page says of each package, up to the colon."""
    lines = re.findall(r"^ {4}(\w+) {2,}([^:]+):", PAGE.read_text(), re.MULTILINE)
    return dict(lines)


def steps() -> list[Step]:
    """The steps of the page's list, each as `1. **name** (`file`, `file`)`."""
    life = PAGE.read_text().partition("## The life of a command")[2].partition("\n## ")[0]
    found = re.findall(r"^\d+\. \*\*(\w+)\*\* \(([^)]*)\)", life, re.MULTILINE)
    return [Step(name, re.findall(r"`([\w./]+)`", files)) for name, files in found]


def draw() -> str:
    lanes = {package: TOP + LANE * number for number, package in enumerate(packages())}
    path = steps()
    width = STEP_X + STEP_WIDTH * len(path) + 10
    height = TOP + LANE * len(lanes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        "<title>The packages, what each imports, and the path of a command</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="{FAINT}"/></marker></defs>',
        f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>',
        _text(BOX_X, 20, "packages and imports", FAINT),
        _text(STEP_X, 20, "the path of a command", FAINT),
        *_lane_parts(lanes, width),
        *_arrow_parts(lanes),
        *_step_parts(lanes, path),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _lane_parts(lanes: dict[str, int], width: int) -> Iterator[str]:
    purpose = purposes()
    for package, y in lanes.items():
        middle = y + LANE // 2
        yield f'<path d="M{STEP_X - 30} {middle}H{width - 10}" stroke="#eaeef2" stroke-width="26"/>'
        yield (
            f'<rect x="{BOX_X}" y="{middle - BOX_HEIGHT // 2}" width="{BOX_WIDTH}" '
            f'height="{BOX_HEIGHT}" rx="5" fill="#eef0fa" stroke="{BLUE}"/>'
        )
        yield _text(BOX_X + 10, middle - 5, package, INK, "bold")
        yield _text(BOX_X + 10, middle + 14, purpose[package], INK, size=11)


def _arrow_parts(lanes: dict[str, int]) -> Iterator[str]:
    """An arrow for each package that another imports, on the left of the boxes."""
    order = list(lanes)
    for package in order:
        for imported in sorted(imports(package), key=order.index):
            distance = order.index(imported) - order.index(package)
            # Starts and ends are fanned out, so that no two arrows share a line.
            start = lanes[package] + LANE // 2 + 4 * distance - 4
            end = lanes[imported] + LANE // 2 - 4 * distance + 4
            reach = BOX_X - 8 - 21 * distance
            yield (
                f'<path class="import" d="M{BOX_X} {start}C{reach} {start} {reach} {end} '
                f'{BOX_X - 1} {end}" fill="none" stroke="{FAINT}" stroke-width="1.3" '
                f'marker-end="url(#head)"><title>{package} imports {imported}</title></path>'
            )


def _step_parts(lanes: dict[str, int], path: list[Step]) -> Iterator[str]:
    stops: list[tuple[int, int]] = []
    labels = []
    for number, step in enumerate(path):
        x = STEP_X + STEP_WIDTH * number + 12
        by_package: dict[str, list[str]] = {}
        package = ""
        for file in step.files:  # a file without its folder is in that of the one before
            package = file.partition("/")[0] if "/" in file else package
            by_package.setdefault(package, []).append(file.rpartition("/")[2])
        for package, names in by_package.items():
            y = lanes[package] + LANE // 2
            stops.append((x, y))
            labels.append(f'<circle cx="{x}" cy="{y}" r="12" fill="{BLUE}"/>')
            labels.append(_text(x, y + 5, str(number + 1), "#fff", "bold", anchor="middle"))
            labels.append(_text(x - 12, y - 19, step.name, INK, "bold", halo=True))
            labels += [
                _text(x - 12, y + 25 + 11 * line, name, INK, size=10, halo=True)
                for line, name in enumerate(names)
            ]
    line = " ".join(f"{x},{y}" for x, y in stops)
    yield f'<polyline points="{line}" fill="none" stroke="{BLUE}" stroke-width="2"/>'
    yield from labels


def _text(
    x: int,
    y: int,
    text: str,
    fill: str,
    weight: str = "normal",
    *,
    size: int = 13,
    anchor: str = "start",
    halo: bool = False,  # a white edge, for text over a line
) -> str:
    edge = ' stroke="#fff" stroke-width="4" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{x}" y="{y}" fill="{fill}" font-weight="{weight}" font-size="{size}" '
        f'text-anchor="{anchor}"{edge}>{escape(text)}</text>'
    )


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else TARGET).write_text(draw())

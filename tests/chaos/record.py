"""Keeps what plays came to in docs/reliability.json, and writes docs/reliability.md from it."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signalbox.producers.embedded.redis_server import find_redis_server
from tests.chaos.part import Part, Row

DOCS = Path(__file__).parents[2] / "docs"
RECORD, DOCUMENT = DOCS / "reliability.json", DOCS / "reliability.md"

HEAD = """\
# Reliability

This page is written by `make chaos`. It shows how many effects were lost, doubled or out of order
while processes of Signalbox were killed. Effects are read directly from the backends, without the
ledger and the workers:

- **lost**: the command was accepted, but its effect is missing;
- **doubled**: the effect is there twice (an event was appended twice, or a creation was refused
  because it had already happened), or there is an effect that nobody requested;
- **disordered**: a newer value was overwritten by an older one, or a stream is not in the order of
  acceptance;
- **open**: commands that the ledger still held at the end, for example because a key was blocked.

In the column *promise*, **kept** means that every promise of the row was kept, and **limit** that
the figures show a documented limit. The machine also ran other programs, so times are upper bounds.
"""


def keep(part: Part, name: str, row: Row, seconds: float, folder: Path = DOCS) -> None:
    """Put a row in the place of the one that was there."""
    with (folder / RECORD.name).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # parts may be played side by side
        file.seek(0)
        record: dict[str, Any] = json.loads(file.read() or "{}")
        record.setdefault(part.name, {})[name] = {
            "values": dict(row.values),
            "good": row.good,
            "promised": row.promised,
            "limit": row.limit,
            "notes": row.notes,
            "seconds": round(seconds),
            "facts": facts(),
        }
        file.seek(0)
        file.truncate()
        file.write(json.dumps(record, indent=1) + "\n")


def write(parts: Sequence[Part], folder: Path = DOCS) -> None:
    """The document, from all that is kept."""
    record = json.loads((folder / RECORD.name).read_text())
    seconds = sum(row["seconds"] for rows in record.values() for row in rows.values())
    lines = [HEAD, f"All rows together took {seconds / 60:.0f} minutes:\n"]
    lines += _durations(parts, record)
    missing: list[str] = []
    for part in parts:
        rows = record.get(part.name, {})
        played = [name for name in part.plays if name in rows]
        missing += [f"- `{part.name}`: {name}" for name in part.plays if name not in rows]
        if played:
            lines += _section(part, {name: rows[name] for name in played})
    lines += ["## What was not run", ""]
    lines += missing or ["Everything was run."]
    (folder / DOCUMENT.name).write_text("\n".join(lines) + "\n")


def facts() -> str:
    """The machine and the run, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {find_redis_server()}, commit {commit or 'unknown'}"
    )


def _durations(parts: Sequence[Part], record: dict[str, Any]) -> list[str]:
    """How long each part took."""
    lines = ["| part | rows | seconds |", "| --- | ---: | ---: |"]
    for part in parts:
        if rows := record.get(part.name, {}):
            seconds = sum(row["seconds"] for row in rows.values())
            lines.append(f"| [{part.title}](#{_anchor(part.title)}) | {len(rows)} | {seconds:,} |")
    return [*lines, ""]


def _anchor(title: str) -> str:
    return "".join(each for each in title.lower() if each.isalnum() or each == " ").replace(
        " ", "-"
    )


def _section(part: Part, rows: dict[str, dict[str, Any]]) -> list[str]:
    columns: list[str] = []
    for row in rows.values():
        columns += [name for name in row["values"] if name not in columns]
    lines = [f"## {part.title}", "", part.text.strip(), ""]
    lines.append("| " + " | ".join(["", *columns, "seconds", "promise"]) + " |")
    lines.append("| " + " | ".join(["---"] + ["---:"] * (len(columns) + 2)) + " |")
    for name, row in rows.items():
        cells = [_text(row["values"].get(column, "–")) for column in columns]
        promise = _promise(row)
        lines.append("| " + " | ".join([name, *cells, str(row["seconds"]), promise]) + " |")
    lines.append("")
    for name, row in rows.items():
        lines += [f"- {name}: {note}" for note in row["notes"]]
    if any(row["notes"] for row in rows.values()):
        lines.append("")
    seen = sorted({row["facts"] for row in rows.values()})
    lines += [f"Run on: {'; '.join(seen)}. Repeat with `make chaos ONLY={part.name}`.", ""]
    return lines


def _promise(row: dict[str, Any]) -> str:
    if not row["promised"]:
        return "–"
    if not row["good"]:
        return "**broken**"
    return "limit" if row.get("limit") else "kept"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

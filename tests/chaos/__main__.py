"""`python -m tests.chaos [part[:row] …]`: play parts, and write docs/reliability.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import record
from tests.chaos.part import CannotRun, Part
from tests.chaos.parts import PARTS


def main() -> int:
    """0 if every promise was kept in all that was played."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("only", nargs="*", help="part, or part:row; without any, all of them")
    parser.add_argument("--keep", type=Path, help="play below this folder, and leave what is there")
    parser.add_argument("--render", action="store_true", help="only write the document anew")
    options = parser.parse_args()
    if options.render:
        record.write(PARTS)
        return 0
    broken = []
    for part, name in _chosen(options.only):
        _say(f"{part.name}: {name} …")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="chaos-") as own:
            folder = Path(own)
            if options.keep:
                folder = options.keep / part.name / name.replace(" ", "-").replace(",", "")
                folder.mkdir(parents=True)
            try:
                row = part.plays[name](folder)
            except CannotRun as reason:
                _say(f"  not played: {reason}")
                continue
        seconds = time.monotonic() - started
        record.keep(part, name, row, seconds)
        record.write(PARTS)
        figures = ", ".join(f"{column} {value}" for column, value in row.values.items())
        _say(f"  {'kept' if row.good else 'BROKEN'} in {seconds:.0f} s: {figures}")
        for note in row.notes:
            _say(f"  {note}")
        if not row.good:
            broken.append(f"{part.name}:{name}")
    if broken:
        _say(f"promises broken in {', '.join(broken)}")
    return 1 if broken else 0


def _chosen(only: list[str]) -> list[tuple[Part, str]]:
    everything = [(part, name) for part in PARTS for name in part.plays]
    known = {part.name for part in PARTS} | {f"{part.name}:{name}" for part, name in everything}
    if unknown := [text for text in only if text not in known]:
        raise SystemExit(f"no part or row {unknown}; there are {', '.join(sorted(known))}")
    return [
        (part, name)
        for part, name in everything
        if not only or part.name in only or f"{part.name}:{name}" in only
    ]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

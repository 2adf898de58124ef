"""The JSON Schemas of all commands, as a file: reading it takes no import of models.

`python -m signalbox.commands.schemas` writes the file anew; a test fails while it is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("schemas.json")


def read_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every command, by its `op`."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def make_schemas() -> str:
    """Return what the file should contain."""
    from signalbox.commands.parse import known_ops

    schemas = {op: model.model_json_schema() for op, model in sorted(known_ops().items())}
    return json.dumps(schemas, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(make_schemas(), encoding="utf-8")

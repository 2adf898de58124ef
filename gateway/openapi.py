"""Prints what `docs/openapi.json` holds: `python -m signalbox.gateway.openapi`."""

from __future__ import annotations

import json

from signalbox.gateway.app import make_app


def document() -> str:
    """The document as it is committed."""
    return json.dumps(make_app().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - its purpose

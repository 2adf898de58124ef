"""Prints the OpenAPI document, `docs/openapi.json`: `python -m signalbox.gateway.openapi`."""

from __future__ import annotations

import json

from signalbox.gateway.app import make_app


def document() -> str:
    """Return the document as it is committed."""
    return json.dumps(make_app().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(document(), end="")  # noqa: T201 - prints the document

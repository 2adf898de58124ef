"""The page about HTTP, and the calls on it."""

from __future__ import annotations

import re
from pathlib import Path

from fastapi.routing import APIRoute

from signalbox.gateway.app import ROUTERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gateway.md").read_text()
BASE = "http://localhost:8010"


def page_calls() -> list[str]:
    """The indented blocks with calls; each is one piece of a shell's input."""
    blocks = re.findall(r"(?:^(?: {4}.*|)\n)+", PAGE, re.MULTILINE)
    found = [re.sub(r"^ {4,8}(?=curl|find|for|  )", "", b, flags=re.MULTILINE) for b in blocks]
    return [block for block in found if "curl " in block]


def operations() -> list[tuple[str, str]]:
    """Method and path of each call, as in the OpenAPI document: making that takes a second, in each
    process that collects tests."""
    routes = [route for router in ROUTERS for route in router.routes]
    return [
        (method.lower(), route.path_format)
        for route in routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in sorted(route.methods or ())
    ]

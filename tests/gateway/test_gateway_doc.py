"""The page about HTTP names every call."""

from __future__ import annotations

import re

import pytest

from signalbox.gateway.app import make_app
from tests.gateway.page import PAGE


@pytest.mark.parametrize("path", sorted(make_app().openapi()["paths"]))
def test_every_call_stands_on_the_page(path: str) -> None:
    whole, last = re.split(r"/\{", path)[0], f"…/{path.rpartition('/')[2]}"
    assert whole in PAGE or (last in PAGE and whole.rpartition("/")[0] in PAGE), path
    if path.endswith(("/switch", "/history", "/drain", "/tail")):
        assert path.rpartition("/")[2] in PAGE

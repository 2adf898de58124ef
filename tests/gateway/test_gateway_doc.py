"""The page about HTTP names every call."""

from __future__ import annotations

import re

import pytest

from tests.gateway.page import PAGE, operations


@pytest.mark.parametrize("path", sorted({path for _, path in operations()}))
def test_every_call_stands_on_the_page(path: str) -> None:
    whole, last = re.split(r"/\{", path)[0], f"…/{path.rpartition('/')[2]}"
    assert whole in PAGE or (last in PAGE and whole.rpartition("/")[0] in PAGE), path
    if path.endswith(("/switch", "/history", "/drain", "/tail")):
        assert path.rpartition("/")[2] in PAGE

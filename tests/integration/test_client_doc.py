"""The page about the Python client: its snippets run, one after the other."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from signalbox.commands.scope import ResourceKind
from signalbox.producers.client.buffer import BufferLimits
from tests.integration.command_line import done
from tests.integration.conftest import RunningStack

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def test_every_snippet_does_what_it_says(two_workers: RunningStack) -> None:
    for kind in (ResourceKind.OBJECT_STORE, ResourceKind.TABULAR_STORE):
        done("routes", "set", kind, "filesystem", "-t", "t_acme", "-e", "dev", "--reason", "page",
             "-c", f"base_dir={two_workers.data / kind}")  # fmt: skip
    names: dict[str, Any] = {}
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(snippets) == 9
    before = signal.getsignal(signal.SIGTERM)
    try:
        for snippet in snippets:
            exec(snippet, names)  # noqa: S102 - our own page
    finally:
        signal.signal(signal.SIGTERM, before)
    outcomes = [names["outcome"], names["done"], *names["outcomes"]]
    assert all(outcome is not None and outcome.error is None for outcome in outcomes)
    assert names["accepted"].accepted
    with TestClient(names["app"]) as service:
        answer = service.put("/notes/one", content=b"a note")
    assert (answer.status_code, answer.json()) == (200, {"size": 6})


def test_limits_are_those_of_the_page() -> None:
    rows = dict(re.findall(r"^\| `(.+?)` \| (.+?) \|", PAGE.read_text(), re.MULTILINE))
    its = BufferLimits()
    assert rows == {
        "count": str(its.count),
        "size": f"{its.size // 2**20} MiB",
        "linger": f"{its.linger.microseconds // 1000} ms",
        "longest": f"{its.longest.microseconds // 1000} ms",
        "capacity`, `capacity_bytes": f"{its.capacity:,}, {its.capacity_bytes // 2**20} MiB",
        "give_up_after": f"{its.give_up_after.seconds} s",
    }

"""How the command line prints the end of a write."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from signalbox.commands.object_store import PutResult
from signalbox.commands.outcome import Outcome, Status
from signalbox.producers.cli.outcome_text import show


def outcome(*, superseded: bool) -> Outcome:
    result = PutResult(
        key="a", size=1, etag="e", sha256="0" * 64, uri="file:a", superseded=superseded
    )
    return Outcome(
        op_id="o", op="object_store.put", tenant_id="t_demo", env="dev", status=Status.DONE,
        result=result.model_dump(mode="json"), backend_type="filesystem", route_revision=1, seq=1,
        attempt=2, worker="w", claimed_at=datetime.now(UTC), duration_ms=1.0,
    )  # fmt: skip


def test_a_write_that_was_superseded_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show(outcome(superseded=True), as_json=False)
    printed = capsys.readouterr()
    assert "newer command" in printed.err
    assert "etag" in printed.out


def test_an_ordinary_write_does_not_mention_it(capsys: pytest.CaptureFixture[str]) -> None:
    show(outcome(superseded=False), as_json=False)
    printed = capsys.readouterr()
    assert "supersed" not in printed.out + printed.err
    assert printed.err == ""


@pytest.mark.parametrize("superseded", [True, False])
def test_scripts_read_it_as_a_field(capsys: pytest.CaptureFixture[str], superseded: bool) -> None:
    show(outcome(superseded=superseded), as_json=True)
    assert json.loads(capsys.readouterr().out)["superseded"] is superseded

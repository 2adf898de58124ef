"""The verdict on everything at once finds what it is there to find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from signalbox.commands.scope import ResourceKind, Scope
from tests.chaos.mixed_load import Ended
from tests.chaos.mixed_verdict import ORIGIN, MixedVerdict, judge
from tests.chaos.places import Found, History, Pointed

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OBJECTS = Scope(kind=ResourceKind.OBJECT_STORE, tenant_id="t_a", env="dev")
EVENTS = Scope(kind=ResourceKind.EVENT_STREAM, tenant_id="t_a", env="dev")
# Revision 1 leads to the folder, revision 2 to S3 from second 100 on.
HISTORY = History([Pointed(BEGIN, 1, "folder"), Pointed(BEGIN + timedelta(seconds=100), 2, "s3")])


def ended(
    value: str | None, at: float, revision: int, attempt: int = 1, claimed: float | None = None
) -> Ended:
    """One that was accepted and claimed at these seconds."""
    accepted = BEGIN + timedelta(seconds=at)
    seq = (accepted - ORIGIN) // timedelta(microseconds=1)
    begun = BEGIN + timedelta(seconds=at if claimed is None else claimed)
    return Ended(OBJECTS, "k", value, seq, attempt, revision, begun)


def verdict_on(folder: list[str], s3: list[str], *ends: Ended, scope: Scope = OBJECTS) -> str:
    """What is counted, in a line; nothing if all is well."""
    verdict = MixedVerdict()
    mine = [Ended(scope, *list(vars(end).values())[1:]) for end in ends]
    found: dict[tuple[Scope, str], Found] = {
        (scope, "folder"): {"k": folder} if folder else {},
        (scope, "s3"): {"k": s3} if s3 else {},
    }
    judge(mine, {scope: HISTORY}, found, verdict)
    counted = ("lost", "doubled", "disordered", "stale", "left")
    return " ".join(f"{name}={n}" for name in counted if (n := getattr(verdict, name)))


BEFORE = ended("1", 10, 1)
LATER = ended("2", 110, 2)
GONE = ended(None, 20, 1)
# Accepted before the switch, taken over after it.
MOVED = ended("3", 90, 2, attempt=2, claimed=110)


@pytest.mark.parametrize(
    ("folder", "s3", "ends", "counted"),
    [
        (["1"], ["2"], [BEFORE, LATER], ""),
        ([], ["2"], [BEFORE, GONE, LATER], ""),
        ([], ["2"], [BEFORE, LATER], "lost=1"),
        (["1"], [], [BEFORE, LATER], "lost=1"),
        (["1"], ["2"], [BEFORE, GONE, LATER], "disordered=1"),
        (["2"], ["2"], [LATER], "doubled=1"),
        (["1"], ["1"], [BEFORE], "doubled=1"),
        (["9"], ["2"], [BEFORE, LATER], "doubled=1"),
        (["1"], ["3"], [BEFORE, MOVED], ""),
        (["3"], ["3"], [BEFORE, MOVED], "left=1"),
        (["3"], ["3"], [MOVED], "left=1"),
        (["1"], ["3"], [BEFORE, GONE, MOVED], "disordered=1"),
        (["1"], ["2"], [BEFORE, ended("2", 110, 1)], "doubled=1 disordered=1 stale=1"),
    ],
)
def test_a_key_holds_what_its_last_command_wrote_where_its_outcome_says(
    folder: list[str], s3: list[str], ends: list[Ended], counted: str
) -> None:
    assert verdict_on(folder, s3, *ends) == counted


@pytest.mark.parametrize(
    ("folder", "s3", "counted"),
    [
        (["1", "4"], ["3", "2"], ""),
        (["1", "4", "3"], ["3", "2"], "left=1"),
        (["4", "1"], ["3", "2"], "disordered=1"),
        (["1", "4", "4"], ["3", "2"], "doubled=1"),
        (["1"], ["3", "2"], "lost=1"),
        (["1", "4", "2"], ["3", "2"], "doubled=1"),
    ],
)
def test_a_stream_holds_its_events_once_and_in_order_where_their_outcomes_say(
    folder: list[str], s3: list[str], counted: str
) -> None:
    ends = [BEFORE, ended("4", 20, 1), MOVED, LATER]
    assert verdict_on(folder, s3, *ends, scope=EVENTS) == counted

"""Holds what each place has against what the outcomes say that it must have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from signalbox.commands.scope import ResourceKind, Scope
from tests.chaos.journal import Verdict
from tests.chaos.mixed_load import Ended
from tests.chaos.places import Found, History

ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class MixedVerdict(Verdict):
    """`left`: effects at a place that the outcome does not name. An earlier attempt had them
    there, and the route was switched before the command was taken over: a limit that is named."""

    stale: int = 0
    """Commands that ran on an older route than the one at their claim."""
    left: int = 0
    taken_over: int = field(default=0)


def judge(
    ended: Sequence[Ended],
    histories: Mapping[Scope, History],
    found: Mapping[tuple[Scope, str], Found],
    verdict: MixedVerdict,
) -> None:
    """`found` is by scope and place. What is counted is added to `verdict`."""
    names: dict[Scope, dict[str, list[Ended]]] = defaultdict(lambda: defaultdict(list))
    for end in sorted(ended, key=lambda end: end.seq):
        names[end.scope][end.name].append(end)
        verdict.taken_over += end.attempt > 1
        history = histories[end.scope]
        if history.place(end.revision) is None or end.revision < history.revision_at(
            end.claimed_at
        ):
            verdict.stale += 1
            verdict.note(f"{_of(end)} ran on revision {end.revision}")
    for (scope, place), there in found.items():
        judge_name = _judge_object if scope.kind is ResourceKind.OBJECT_STORE else _judge_stream
        for name in names[scope].keys() | there.keys():
            look = _Look(scope, name, place, histories[scope], names[scope][name], verdict)
            judge_name(look, there.get(name, []))


@dataclass(frozen=True)
class _Look:
    """At one name at one place."""

    scope: Scope
    name: str
    place: str
    history: History
    ended: Sequence[Ended]
    """All commands on the name, as accepted."""
    verdict: MixedVerdict

    def named(self) -> list[Ended]:
        """Those whose outcome names this place."""
        return [end for end in self.ended if self.history.place(end.revision) == self.place]

    def may_have_left(self, end: Ended) -> bool:
        """Whether an earlier attempt may have had its effect here: there was one, and the route
        led here at some time between its acceptance and its last claim."""
        # A number is the time of the acceptance in microseconds, or a little more.
        accepted = ORIGIN + timedelta(microseconds=end.seq) - timedelta(seconds=1)
        return (
            end.attempt > 1
            and self.history.place(end.revision) != self.place
            and self.history.led_to(self.place, accepted, end.claimed_at)
        )

    def note(self, text: str) -> None:
        self.verdict.note(f"{self.scope.tenant_id} {self.name} on {self.place}: {text}")


def _judge_object(look: _Look, there: list[str]) -> None:
    value = there[0] if there else None
    named = look.named()
    last = named[-1] if named else None
    expected = last.value if last else None
    if value == expected:
        return
    later = [end for end in look.ended if last is None or end.seq > last.seq]
    if any(end.value == value and look.may_have_left(end) for end in later):
        look.verdict.left += 1
        return
    look.note(f"{value} is there, not {expected}; {_all(look.ended, look.history)}")
    if value is None:
        look.verdict.lost += 1
    elif last is None or value not in {end.value for end in look.ended}:
        look.verdict.doubled += 1
    else:
        look.verdict.disordered += 1


def _judge_stream(look: _Look, there: list[str]) -> None:
    named = {end.value for end in look.named()}
    known = {end.value: end for end in look.ended}
    missing = named - set(there)
    if missing:
        look.verdict.lost += len(missing)
        look.note(f"without {sorted(map(str, missing))[:5]}")
    if twice := len(there) - len(set(there)):
        look.verdict.doubled += twice
        look.note(f"{twice} events are there twice")
    for number in set(there) - named:
        if number in known and look.may_have_left(known[number]):
            look.verdict.left += 1
        else:
            look.verdict.doubled += 1
            look.note(f"event {number} belongs elsewhere")
    order = [known[number].seq for number in there if number in known]
    if order != sorted(order):
        look.verdict.disordered += 1
        look.note("another order than was accepted")


def _of(end: Ended) -> str:
    return f"{end.scope} {end.name} = {end.value}"


def _all(ended: Iterable[Ended], history: History) -> str:
    return ", ".join(
        f"{end.value} on {history.place(end.revision)} in attempt {end.attempt}"
        for end in list(ended)[-4:]
    )

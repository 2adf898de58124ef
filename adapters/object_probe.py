"""Whether a service does what fences count on, found out by trying."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from adapters.object_fence import Changed, Slot
from commands.error import LeaseExpired, WeakerFences
from commands.object_store import Condition

OTHER_ETAG = "0" * 32
"""Of no object."""


class Meaning(StrEnum):
    """What a service's own error says to a try."""

    DENIED = "denied"
    UNKNOWN_REQUEST = "unknown request"


def check_fences(
    slot: Slot,
    late: Slot | None,
    meaning: Callable[[Exception], Meaning | None],
    *,
    accepted: bool,
) -> None:
    """Try it on an object that is there, and may be gone then. Raises WeakerFences for what the
    service does not do, unless that is `accepted`.

    `late` sends what was over before it was sent (an ExpiredCall); None where the credentials
    cannot sign such a thing.
    """
    if accepted:
        return
    missing = []
    if late is None:
        missing.append("these credentials cannot have requests end with their lease")
    elif not _refused(lambda: late.write(Condition()), meaning):
        missing.append("the service takes requests that are over")
    if not (
        _refused(lambda: slot.write(Condition(if_absent=True)), meaning)
        and _refused(lambda: slot.write(Condition(if_match=OTHER_ETAG)), meaning)
    ):
        missing.append("the service writes whatever the condition")
    if not _refused(lambda: slot.remove(OTHER_ETAG), meaning):
        missing.append("the service deletes whatever the condition")
    if missing:
        raise WeakerFences(
            f"{', '.join(missing)}: an older command could undo a newer one",
            next_step="use another service or credentials, or accept what is left with "
            "`weaker_fences: accept` in the route's config",
        )


def _refused(attempt: Callable[[], object], meaning: Callable[[Exception], Meaning | None]) -> bool:
    try:
        attempt()
    except (Changed, LeaseExpired):
        return True
    except Exception as error:
        # What it does not know it does not keep.
        if (said := meaning(error)) is None:
            raise
        return said is Meaning.DENIED
    return False

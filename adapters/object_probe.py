"""Whether a service does what fences count on, found out by trying."""

from __future__ import annotations

from collections.abc import Callable

from signalbox.adapters.object_attributes import attributes
from signalbox.adapters.object_driver import Changed, Draft, ObjectDriver, Refusal
from signalbox.adapters.port import Call
from signalbox.adapters.service_clock import PastLimit
from signalbox.commands.error import LeaseExpired, WeakerFences
from signalbox.commands.object_store import Condition
from signalbox.commands.payload import InlinePayload

OTHER_ETAG = "0" * 32
"""Of no object."""
_CONTENT = InlinePayload(data=b"fences")


def check_fences(driver: ObjectDriver, key: str, call: Call) -> None:
    """Try it on the object under the key, which is there, and may be gone then. Raises
    WeakerFences for what the service does not do, unless the route accepts that. A transaction
    needs no try."""
    if driver.traits.weaker_fences or driver.traits.transactional:
        return
    name = driver.name(key)
    draft = Draft(_CONTENT, call.payloads, attributes=attributes(call, _CONTENT.sha256))

    def refuses(write: Callable[[], object]) -> bool:
        try:
            write()
        except (Changed, LeaseExpired):
            return True
        except Exception as error:
            # What it does not know it does not keep.
            if (said := driver.refusal(error)) is None:
                raise
            return said is Refusal.DENIED
        return False

    missing = []
    if not driver.traits.requests_expire:
        missing.append("these credentials cannot have requests end with their lease")
    elif not refuses(lambda: driver.write(name, draft, Condition(), PastLimit(call))):
        missing.append("the service takes requests that are over")
    if not (
        refuses(lambda: driver.write(name, draft, Condition(if_absent=True), call))
        and refuses(lambda: driver.write(name, draft, Condition(if_match=OTHER_ETAG), call))
    ):
        missing.append("the service writes whatever the condition")
    if not refuses(lambda: driver.remove(name, OTHER_ETAG, call)):
        missing.append("the service deletes whatever the condition")
    if missing:
        raise WeakerFences(
            f"{', '.join(missing)}: an older command could undo a newer one",
            next_step="use another service or credentials, or accept what is left with "
            "`weaker_fences: accept` in the route's config",
        )

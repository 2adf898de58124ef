"""Tests whether a service fulfils the conditions that fences depend on."""

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
"""An ETag that no object has."""
_CONTENT = InlinePayload(data=b"fences")


def check_fences(driver: ObjectDriver, key: str, call: Call) -> None:
    """Test it on the object under the key, which exists, and may be gone afterwards.

    Raises WeakerFences for what the service does not do, unless the route accepts that.
    Transactional drivers need no test.
    """
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
            # A condition that the service does not know is not fulfilled.
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

"""Extends a lease while content is read: each byte received earns time.

Content that is written has its time from the beginning, since its size is known. The size of
content to be read is known only from the backend, which may be wrong, so time is added for what has
arrived.
"""

from __future__ import annotations

from collections.abc import Callable

from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, StateUnavailable
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.ledger.record_fields import SLOWEST_BYTES_PER_SECOND
from signalbox.workers.execution.pipeline_types import Admitted, Watch

RENEW_SECONDS = 5.0
"""Seconds to be earned before the ledger is asked to extend the lease; 10 MiB earn this much."""

Renew = Callable[[str, str, float], bool]
"""Extends the lease of a command (`ref`, token) to at least so many seconds from now; False if it
is lost."""


class Progress:
    """Counts the content of one command as it is read."""

    def __init__(self, item: Admitted, call: Call, watch: Watch, renew: Renew | None) -> None:
        self._item, self._call, self._watch, self._renew = item, call, watch, renew
        self._earned = 0.0

    def __call__(self, size: int) -> None:
        """Record `size` more bytes. Raises LeaseExpired."""
        seconds = size / SLOWEST_BYTES_PER_SECOND
        self._earned += seconds
        self._watch.moved(self._item, seconds)
        if self._earned >= RENEW_SECONDS and self._renewed(self._item.claimed, self._renew):
            self._call.deadline += self._earned
            self._earned = 0.0
        if self._call.deadline <= lease_clock():
            raise LeaseExpired("the lease ran out while the content was read")

    def _renewed(self, claimed: Claimed, renew: Renew | None) -> bool:
        if renew is None:
            return False
        try:
            # Computed before the request is sent, so never later than the end of the lease in the
            # ledger.
            left = self._call.deadline + self._earned - lease_clock()
            held = renew(claimed.command.ref, claimed.token, left)
        except StateUnavailable:
            return False  # The next chunk tries again, while the lease lasts.
        if not held:
            raise LeaseExpired("another worker has taken the command over")
        return True

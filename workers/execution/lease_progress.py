"""Content that is read for a command earns its lease time, as content to be written has it at once.

How much it is, only the backend says, which may be lying: so time is given for what has come.
"""

from __future__ import annotations

from collections.abc import Callable

from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import LeaseExpired, StateUnavailable
from signalbox.commands.ledger.entry import Claimed
from signalbox.commands.ledger.fields import SLOWEST_BYTES_PER_SECOND
from signalbox.workers.execution.pipeline_types import Admitted, Watch

RENEW_SECONDS = 5.0
"""So much is earned before the ledger is asked: by 10 MiB."""

Renew = Callable[[str, str, float], bool]
"""Has the lease of a command (`ref`, token) last so many seconds from now on, at least; False: it
is another's."""


class Progress:
    """That of one command's content."""

    def __init__(self, item: Admitted, call: Call, watch: Watch, renew: Renew | None) -> None:
        self._item, self._call, self._watch, self._renew = item, call, watch, renew
        self._earned = 0.0

    def __call__(self, size: int) -> None:
        """So many bytes more have come. Raises LeaseExpired."""
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
            # From before it is asked: never later than the ledger's own end of the lease.
            left = self._call.deadline + self._earned - lease_clock()
            held = renew(claimed.command.ref, claimed.token, left)
        except StateUnavailable:
            return False  # the next piece asks again, while the lease lasts
        if not held:
            raise LeaseExpired("another worker has taken the command over")
        return True

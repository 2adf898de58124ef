"""The finish of one message: commands that still run do not delay the outcomes of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from signalbox.commands.ledger.entry import Claims
from signalbox.workers.execution.adapter_pool import key_of
from signalbox.workers.execution.pipeline_types import Ended


class MessageFinish:
    """Finishes one message, in several parts if some of its commands take long.

    Each part finishes other commands, under the same token of the claim. The ledger accepts a final
    end only after those of all earlier commands of the key; keys on which some commands ended
    without being run are therefore left for the last part.
    """

    def __init__(
        self,
        finish: Callable[[Claims, Sequence[Ended]], Mapping[str, int]],
        claims: Claims,
        ended: Sequence[Ended],
    ) -> None:
        """`ended` are the ends of commands that did not reach a backend.

        They are finished with the first part.
        """
        self._finish = finish
        self._claims = claims
        self._late = {key_of(end) for end in ended if not end.may_change} - {None}
        self._ended = [end for end in ended if key_of(end) not in self._late]
        self._unrun = [end for end in ended if key_of(end) in self._late]
        self._ran: list[Ended] = []
        """Ends of commands that ran, on the keys that are left for the last part."""
        self._counts = Counter(claims.skipped)
        self._looked = False

    def early(self, ended: Sequence[Ended]) -> None:
        """Finish commands that ended while others of the message still run."""
        if self._claims.unrunnable:  # Their keys are unknown.
            self._ended += ended
            return
        self._ran += [end for end in ended if key_of(end) in self._late]
        ended = [end for end in ended if key_of(end) not in self._late]
        if self._claims.parcels and not self._looked:
            # Removing a command from a parcel costs more than ending the parcel, so at first only
            # whole parcels are ended.
            self._looked = True
            self._end_whole(ended)
        elif ended or self._ended:
            self._record(ended)

    def _end_whole(self, ended: Sequence[Ended]) -> None:
        """End the parcels whose commands have all ended, and keep the other ends."""
        self._ended += ended
        refs = {end.claimed.command.ref for end in self._ended}
        whole = [parcel for parcel in self._claims.parcels if parcel.rows.keys() <= refs]
        if not whole:
            return
        whole_refs = {ref for parcel in whole for ref in parcel.rows}
        now = [end for end in self._ended if end.claimed.command.ref in whole_refs]
        self._counts.update(self._finish(replace(self._claims, parcels=whole), now))
        rest = [parcel for parcel in self._claims.parcels if parcel not in whole]
        self._claims = replace(self._claims, parcels=rest)
        self._ended = [end for end in self._ended if end.claimed.command.ref not in whole_refs]

    def last(self, ended: Sequence[Ended]) -> dict[str, int]:
        """Finish all remaining commands.

        Return the number of the message's commands by how they ended.
        """
        ran = [*self._ran, *ended]
        self._record([*ran, *_unrun_after_retries(self._unrun, ran)])
        return dict(self._counts)

    def _record(self, ended: Sequence[Ended]) -> None:
        self._counts.update(self._finish(self._claims, [*self._ended, *ended]))
        self._claims, self._ended = Claims(), []


def _unrun_after_retries(unrun: Sequence[Ended], ran: Sequence[Ended]) -> list[Ended]:
    """Return the ends of commands that did not run.

    Those after a retried one of their key are released.
    """
    first: dict[object, int] = {}
    for end in (*unrun, *ran):
        if end.may_change:
            key, seq = key_of(end), end.claimed.seq
            first[key] = min(seq, first.get(key, seq))
    return [
        Ended(end.claimed, end.route)
        if end.claimed.seq > first.get(key_of(end), end.claimed.seq)
        else end
        for end in unrun
    ]

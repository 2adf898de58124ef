"""A ledger in parcels: what the state server holds of a shard, of a protocol that is not built yet.

A *parcel* is what one submit hands over, with one state and one token; its name is the number of
its first command. A command stands in a parcel that is open, or in the outcomes of one that has
ended, or has a record of its own, and never in two of these. A parcel is taken once and ends once:

    accepted -> ready -> taken under a token -> ended     all done: outcomes, and nothing is left
                                             -> unpacked  what is not done when it ends becomes
                                                          running records under the same token;
                                                          at its lease's end, all of it does

Everything else that can become of a command (retry, park, release, dead letter, takeover, poison)
is the life of a record, by the scripts of today.

Order: a key is held by one parcel at most, and only if no record of it is open. Records that come
behind it stand in the key's list behind a *place*, in which what leaves the parcel stands later,
or which goes when the parcel ends.
"""

from __future__ import annotations

from typing import NamedTuple

PLACE = -1
"""In the list of a key: here is a parcel, which was there first."""
DONE, FAILED, POISON, RETRY = "done", "failed", "poison", "retry"
MAX_DEATHS = 2


class Parcel(NamedTuple):
    number: int
    """Of its first command; the next ones follow."""
    ops: tuple[int, ...]
    token: int = 0
    """0: it has not been taken."""
    lease: int = 0
    """Which one; it was renewed where the take was asked for again."""
    real: int = 0
    """Like all that is called so: what an observer knows. The true number of its first command."""


class Record(NamedTuple):
    seq: int
    mark: int
    """The number of its first acceptance, which a replay keeps."""
    real: int
    token: int = 0
    """0: it is queued."""
    attempt: int = 0
    """2: a second or later one."""
    deaths: int = 0
    lease_over: bool = False
    waits: bool = False
    """It was turned away, since it stands behind another; the hand-over is to wake it."""
    end: str = ""


class Ledger(NamedTuple):
    """All that the state server holds of a shard, and the messages that ring for it."""

    records: tuple[Record | None, ...]
    ids: tuple[int, ...]
    """The parcel in which a command stands, or 0."""
    lists: tuple[tuple[int, ...], ...]
    """Of each key the commands with open records, as accepted."""
    held_keys: tuple[bool, ...]
    """Keys of open parcels."""
    seq: int = 0
    parcels: tuple[Parcel, ...] = ()
    """The open ones, as accepted."""
    outcomes: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Parcels that ended, with those of their commands that were done."""
    took: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Which parcels a token took; kept for a lease, here until it has the answer."""
    held: tuple[int, ...] = ()
    """Parcels (their numbers) and records (-1 - op) that are beyond their scope's window."""
    bell: bool = False
    """A ring is outstanding."""
    busy: bool = False
    """A drain is at work, and comes back for more."""
    server: int = 1
    older: int = 0
    """The last number before this era."""
    rings: int = 0
    """Messages on the broker; a restore leaves them as they are."""

    def with_record(self, op: int, record: Record) -> Ledger:
        return self._replace(records=(*self.records[:op], record, *self.records[op + 1 :]))

    def parcel(self, number: int) -> Parcel | None:
        return next((parcel for parcel in self.parcels if parcel.number == number), None)

    def ready(self) -> tuple[Parcel, ...]:
        return tuple(p for p in self.parcels if not p.token and p.number not in self.held)

    def is_done(self, op: int) -> bool:
        """Its outcome stands in those of its parcel."""
        number = self.ids[op]
        return number > 0 and any(n == number and op in done for n, done in self.outcomes)

    def in_parcel(self, op: int) -> bool:
        """What its op_id leads to; an entry that leads nowhere counts for nothing."""
        return self.ids[op] > 0 and (self.parcel(self.ids[op]) is not None or self.is_done(op))

    def is_known(self, op: int) -> bool:
        return self.records[op] is not None or self.in_parcel(op)

    def end_of(self, op: int) -> str:
        """What a reader finds by op_id: the end, or '' while it is open or not known."""
        record = self.records[op]
        if record is not None:
            return record.end
        return DONE if self.is_done(op) else ""

    def on_queue(self) -> int:
        """Open commands of the scope that are not held."""
        records = [o for o, record in enumerate(self.records) if record and not record.end]
        parcels = [p for p in self.parcels if p.number not in self.held]
        return sum(len(p.ops) for p in parcels) + sum(-1 - o not in self.held for o in records)


def new_ledger(keys: tuple[int, ...]) -> Ledger:
    nothing = max(keys) + 1
    return Ledger(
        records=(None,) * len(keys),
        ids=(0,) * len(keys),
        lists=((),) * nothing,
        held_keys=(False,) * nothing,
    )

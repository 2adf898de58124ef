"""The scripts of a ledger in parcels, of which none is built yet: from one state to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tests.model.parcel.ledger import PLACE, RETRY, Ledger, Parcel, Record

Lists = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Rules:
    """What the scripts do; each of the defaults taken away is a mutant that must be caught."""

    ids_looked_up: bool = True
    """A submit of a parcel looks for its op_ids among those that stand in parcels."""
    records_looked_up: bool = True
    """And among the records."""
    record_looks_into_parcels: bool = True
    """A submit of a record looks for its op_id among those that stand in parcels."""
    ids_outlive_end: bool = True
    """The op_ids of a parcel are known for as long as its outcomes are."""
    sweep_spares_open: bool = True
    """A sweep of op_ids without outcomes leaves those of open parcels."""
    keys_looked_up: bool = True
    """A submit of a parcel asks whether a parcel holds one of its keys."""
    lists_looked_up: bool = True
    """And whether a record of one of them is open."""
    place_kept: bool = True
    """A record on the key of a parcel stands behind the parcel's place."""
    replay_keeps_place: bool = True
    """So does one that is accepted anew from the dead letters."""
    replay_keeps_mark: bool = True
    unpacked_in_place: bool = True
    """What leaves a parcel stands in that place, not at the end of the list."""
    unpacked_holds_key: bool = True
    """What leaves a parcel stands in the list of its key at all."""
    end_gives_up_place: bool = True
    """A parcel that ends with nothing left on a key gives up its place there."""
    end_hands_over: bool = True
    """And wakes what was turned away behind it."""
    take_kept: bool = True
    """A take that is asked for again gives the same parcels."""
    take_renews_lease: bool = True
    """Under a lease from then on: its worker counts from its last question."""
    token_compared: bool = True
    unpacking_looks: bool = True
    """What unpacks a parcel at its lease's end looks whether it is still the same one."""
    take_enters_era: bool = True
    """Not only a claim notes that another server process has the ledger."""
    older_is_takeover: bool = True
    """A parcel that was accepted before this era may have been run before."""
    number_a_command: bool = True
    """A parcel takes as many numbers as it has commands."""
    number_follows_time: bool = True
    """A number is higher than the time, whatever the counter of a restored ledger says."""
    bell_ends: bool = True
    """A ring that nobody has answered counts for a while only."""
    busy_ends: bool = True
    """A drain is believed to be at work for a while only."""
    rings_again: bool = True
    """The reconciler rings where something is ready and nobody comes."""
    end_of_record_lets_go: bool = True
    """Not only the end of a parcel lets go what was held."""


class Scripts(NamedTuple):
    """The scripts, by these rules, for commands with these keys."""

    rules: Rules
    keys: tuple[int, ...]
    """The key of each command."""
    window: int = 0

    def submit_parcel(
        self, ledger: Ledger, ops: tuple[int, ...], time: int
    ) -> tuple[Ledger, tuple[int, ...]]:
        """Accept what is ordinary; the others come back."""
        refused = tuple(op for op in ops if self._is_refused(ledger, op))
        ops = tuple(op for op in ops if op not in refused)
        if not ops:
            return ledger, refused
        number = self._next(ledger, time)
        ids, keys = list(ledger.ids), list(ledger.held_keys)
        for op in ops:
            ids[op] = number
            keys[self.keys[op]] = True
        flying = ledger.on_queue()
        last = number + len(ops) - 1 if self.rules.number_a_command else number
        ledger = ledger._replace(
            seq=last,
            ids=tuple(ids),
            held_keys=tuple(keys),
            parcels=(*ledger.parcels, Parcel(number, ops, real=time + 1)),
        )
        if self.window and (ledger.held or (flying and flying + len(ops) > self.window)):
            return ledger._replace(held=(*ledger.held, number)), refused
        return _ring(ledger), refused

    def submit_record(self, ledger: Ledger, op: int, time: int) -> Ledger:
        """As today, but for a parcel on its key; a known op_id changes nothing."""
        if ledger.records[op] is not None:
            return ledger
        if self.rules.record_looks_into_parcels and ledger.in_parcel(op):
            return ledger
        number, flying = self._next(ledger, time), ledger.on_queue()
        ledger = self._queue_up(ledger, op, keeps_place=self.rules.place_kept)
        ledger = ledger._replace(seq=number).with_record(op, Record(number, number, time + 1))
        if self.window and (ledger.held or flying >= self.window):
            return ledger._replace(held=(*ledger.held, -1 - op))
        return ledger

    def replay(self, ledger: Ledger, op: int, time: int) -> Ledger:
        """Accept a dead letter anew, at the end of its order; what it did is known by its mark."""
        record, number = ledger.records[op], self._next(ledger, time)
        assert record is not None
        ledger = self._queue_up(ledger, op, keeps_place=self.rules.replay_keeps_place)
        mark = record.mark if self.rules.replay_keeps_mark else number
        record = Record(number, mark, time + 1, attempt=1)
        return ledger._replace(seq=number).with_record(op, record)

    def _queue_up(self, ledger: Ledger, op: int, *, keeps_place: bool) -> Ledger:
        """A record at the end of its key, behind the parcel that has it."""
        key = self.keys[op]
        its = ledger.lists[key]
        if not its and ledger.held_keys[key] and keeps_place:
            its = (PLACE,)
        return ledger._replace(lists=_put(ledger.lists, key, (*its, op)))

    def take(self, ledger: Ledger, token: int, server: int) -> tuple[Ledger, tuple[Parcel, ...]]:
        """All that is ready, under this token; asked again, the same."""
        if self.rules.take_enters_era:
            ledger = _enter_era(ledger, server)
        before = dict(ledger.took).get(token)
        if before is not None and self.rules.take_kept:
            if self.rules.take_renews_lease:
                parcels = tuple(
                    p._replace(lease=p.lease + 1) if p.token == token else p for p in ledger.parcels
                )
                ledger = ledger._replace(parcels=parcels)
            return ledger, tuple(p for p in ledger.parcels if p.token == token)
        ready = ledger.ready()
        parcels = tuple(p._replace(token=token) if p in ready else p for p in ledger.parcels)
        took = ((token, tuple(p.number for p in ready)),) if ready else ()
        ledger = ledger._replace(parcels=parcels, took=(*ledger.took, *took), busy=bool(ready))
        return ledger, tuple(p._replace(token=token) for p in ready)

    def number_of(self, parcel: Parcel, position: int) -> int:
        return parcel.number + (position if self.rules.number_a_command else 0)

    def is_takeover(self, ledger: Ledger, seq: int) -> bool:
        return self.rules.older_is_takeover and seq <= ledger.older

    def end_parcel(
        self, ledger: Ledger, number: int, token: int, done: tuple[int, ...], server: int
    ) -> tuple[Ledger, bool]:
        """The end of a parcel: what is not done becomes records; and whether it was accepted."""
        ledger = _enter_era(ledger, server)
        parcel = ledger.parcel(number)
        if parcel is None:
            # Told again, since the answer was lost, it is known by its outcomes.
            return ledger, any(n == number for n, _ in ledger.outcomes)
        if not parcel.token or (parcel.token != token and self.rules.token_compared):
            return ledger, False
        rest = tuple(op for op in parcel.ops if op not in done)
        ledger = self._unpack(ledger, parcel, rest, lease_over=False)
        if done:
            ledger = ledger._replace(outcomes=(*ledger.outcomes, (number, done)))
            if not self.rules.ids_outlive_end:
                ids = tuple(0 if op in done else n for op, n in enumerate(ledger.ids))
                ledger = ledger._replace(ids=ids)
        return self._let_go(ledger), True

    def unpack_late(self, ledger: Ledger, seen: Parcel) -> Ledger:
        """At the end of the lease with which it was seen: as if a worker had died with it."""
        if seen not in ledger.parcels and self.rules.unpacking_looks:
            return ledger
        return self._unpack(ledger, seen, seen.ops, lease_over=True)

    def _unpack(
        self, ledger: Ledger, parcel: Parcel, rest: tuple[int, ...], *, lease_over: bool
    ) -> Ledger:
        lists, held_keys = list(ledger.lists), list(ledger.held_keys)
        records, ids = list(ledger.records), list(ledger.ids)
        for key in sorted({self.keys[op] for op in parcel.ops}):
            its = tuple(op for op in rest if self.keys[op] == key)
            held_keys[key] = False
            if not self.rules.unpacked_holds_key:
                its = ()
            behind = lists[key]
            if behind[:1] == (PLACE,) and (its or self.rules.end_gives_up_place):
                behind = behind[1:]
            lists[key] = (*its, *behind) if self.rules.unpacked_in_place else (*behind, *its)
        for position, op in enumerate(parcel.ops):
            if op in rest:
                seq, real = self.number_of(parcel, position), parcel.real + position
                records[op] = Record(seq, seq, real, parcel.token, attempt=1, lease_over=lease_over)
                ids[op] = 0
        ledger = ledger._replace(
            records=tuple(records),
            ids=tuple(ids),
            lists=tuple(lists),
            held_keys=tuple(held_keys),
            parcels=tuple(p for p in ledger.parcels if p.number != parcel.number),
        )
        for key in {self.keys[op] for op in parcel.ops} if self.rules.end_hands_over else ():
            ledger = _handed_over(ledger, key)
        return ledger

    def may_claim(self, ledger: Ledger, op: int) -> bool:
        record = ledger.records[op]
        if record is None or record.end or record.waits or -1 - op in ledger.held:
            return False
        return self._is_first(ledger, op) and (not record.token or record.lease_over)

    def turn_away(self, ledger: Ledger, op: int) -> Ledger:
        """What a claim does with a record that stands behind another."""
        record = ledger.records[op]
        if record is None or record.end or -1 - op in ledger.held or self._is_first(ledger, op):
            return ledger
        return ledger.with_record(op, record._replace(waits=True))

    def _is_first(self, ledger: Ledger, op: int) -> bool:
        its = ledger.lists[self.keys[op]]
        return its[:1] == (op,) or op not in its

    def claim(self, ledger: Ledger, op: int, token: int, server: int) -> tuple[Ledger, Record]:
        """Of a record that may be claimed; as today."""
        ledger, record = _enter_era(ledger, server), ledger.records[op]
        assert record is not None
        record = record._replace(
            token=token,
            attempt=min(2, record.attempt + 1),
            deaths=record.deaths + (record.token > 0),
            lease_over=False,
        )
        return ledger.with_record(op, record), record

    def finish(
        self, ledger: Ledger, op: int, token: int, end: str, server: int
    ) -> tuple[Ledger, bool]:
        """The end of a record under this token, or back into the queue; as today."""
        ledger = _enter_era(ledger, server)
        record, key = ledger.records[op], self.keys[op]
        if record is None or record.end or not record.token:
            return ledger, False
        if record.token != token and self.rules.token_compared:
            return ledger, False
        its = ledger.lists[key]
        if end == RETRY:
            record = record._replace(token=0, lease_over=False)
            return ledger.with_record(op, record), True
        if its[:1] != (op,) and op in its:
            return ledger, False
        its = tuple(other for other in its if other != op)
        ledger = ledger._replace(lists=_put(ledger.lists, key, its))
        ledger = ledger.with_record(op, record._replace(token=0, lease_over=False, end=end))
        ledger = _handed_over(ledger, key)
        return self._let_go(ledger) if self.rules.end_of_record_lets_go else ledger, True

    def sweep(self, ledger: Ledger) -> Ledger:
        """Forget op_ids that lead nowhere."""
        spared = self.rules.sweep_spares_open
        kept = [
            ledger.in_parcel(op) if spared else ledger.is_done(op) for op in range(len(self.keys))
        ]
        ids = tuple(n if keep else 0 for n, keep in zip(ledger.ids, kept, strict=True))
        return ledger._replace(ids=ids)

    def may_ring_again(self, ledger: Ledger) -> bool:
        """Asked when time has passed in which nobody answered a ring, nor is at work."""
        rules = self.rules
        if not rules.rings_again or not ledger.ready():
            return False
        return (rules.bell_ends or not ledger.bell) and (rules.busy_ends or not ledger.busy)

    def ring_again(self, ledger: Ledger) -> Ledger:
        return ledger._replace(bell=True, busy=False, rings=ledger.rings + 1)

    def _is_refused(self, ledger: Ledger, op: int) -> bool:
        rules, key = self.rules, self.keys[op]
        return (
            (rules.ids_looked_up and ledger.in_parcel(op))
            or (rules.records_looked_up and ledger.records[op] is not None)
            or (rules.keys_looked_up and ledger.held_keys[key])
            or (rules.lists_looked_up and bool(ledger.lists[key]))
        )

    def _next(self, ledger: Ledger, time: int) -> int:
        return max(ledger.seq, time if self.rules.number_follows_time else 0) + 1

    def _let_go(self, ledger: Ledger) -> Ledger:
        while ledger.held:
            first = ledger.held[0]
            parcel = ledger.parcel(first)
            size, flying = len(parcel.ops) if parcel else 1, ledger.on_queue()
            if flying and flying + size > self.window:
                break
            ledger = ledger._replace(held=ledger.held[1:])
            if parcel is not None:
                ledger = _ring(ledger)
        return ledger


def _ring(ledger: Ledger) -> Ledger:
    if ledger.bell or ledger.busy:
        return ledger
    return ledger._replace(bell=True, rings=ledger.rings + 1)


def _handed_over(ledger: Ledger, key: int) -> Ledger:
    """The first on a key goes on, if it was turned away before."""
    first = ledger.lists[key][:1]
    if not first or first == (PLACE,):
        return ledger
    record = ledger.records[first[0]]
    assert record is not None
    return ledger.with_record(first[0], record._replace(waits=False))


def _enter_era(ledger: Ledger, server: int) -> Ledger:
    if ledger.server == server:
        return ledger
    return ledger._replace(server=server, older=ledger.seq)


def _put(lists: Lists, key: int, its: tuple[int, ...]) -> Lists:
    return (*lists[:key], its, *lists[key + 1 :])

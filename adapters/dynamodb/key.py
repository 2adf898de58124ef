"""Keys of items: where one scope's rows, points and events lie, and in which order.

A partition key is `tenant/env/sort-of-item/name`, with further parts behind \\x1f. Tenants and
envs are of `a-z 0-9 _ -`, and no name holds a control character: so no two places share a key,
and a policy can hold a role to `tenant/env/*` (`dynamodb:LeadingKeys`). Sort keys are bytes,
which DynamoDB orders as unsigned.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalbox.adapters.window import micros
from signalbox.commands.scope import Scope

BLOCK = 10_000
"""Versions of a stream in a partition."""
MAX_VERSION = 2**63 - 1
MAX_LABELS_LENGTH = 960
"""Bytes of a point's labels in its key; beyond, a digest tells points apart."""
_DAY = timedelta(days=1) // timedelta(microseconds=1)
_OFFSET = 2**63
"""Makes every microsecond and day of the years 1 to 9999 a positive number."""
_HEAD = b"head"
_SEQ_BYTES = 8
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Key:
    """Partition key and sort key of one item."""

    pk: str
    sk: bytes


@dataclass(frozen=True)
class Layout:
    """Where one scope's items lie."""

    root: str

    @classmethod
    def of(cls, scope: Scope) -> Layout:
        return cls(f"{scope.tenant_id}/{scope.env}")

    def rows(self, table_name: str) -> str:
        """The partition of a table's rows; their sort key is the row's key as UTF-8."""
        return f"{self.root}/row/{table_name}"

    def row(self, table_name: str, key: str) -> Key:
        return Key(self.rows(table_name), key.encode())

    def days(self, series: str) -> str:
        """The partition that names the days on which a series has points."""
        return f"{self.root}/day/{series}"

    def day(self, series: str, day: int) -> Key:
        return Key(self.days(series), number_bytes(day))

    def points(self, series: str, day: int) -> str:
        """The partition of a series' points of one day."""
        return f"{self.root}/point/{series}\x1f{day}"

    def point(self, series: str, timestamp: datetime, labels: str, seq: int) -> Key:
        """Sorts by time, labels and then `seq`; of points whose labels agree in their first 960
        bytes the labels are in no order."""
        spelled = labels.encode()
        if len(spelled) > MAX_LABELS_LENGTH:
            digest = hashlib.blake2b(spelled, digest_size=_DIGEST_BYTES).digest()
            spelled = spelled[:MAX_LABELS_LENGTH] + digest
        sk = time_bytes(timestamp) + spelled + seq.to_bytes(_SEQ_BYTES, "big")
        return Key(self.points(series, day_of(timestamp)), sk)

    def head(self, stream: str) -> Key:
        """The item that holds the version of a stream's last event."""
        return Key(f"{self.root}/stream/{stream}", _HEAD)

    def event_id(self, stream: str, event_id: str) -> Key:
        """The item that says which version an event id has; a partition each, for their number."""
        return Key(f"{self.root}/eventid/{stream}\x1f{event_id}", _HEAD)

    def events(self, stream: str, block: int) -> str:
        """The partition of the versions from `block * BLOCK + 1` on."""
        return f"{self.root}/event/{stream}\x1f{block}"

    def event(self, stream: str, version: int) -> Key:
        return Key(self.events(stream, block_of(version)), version.to_bytes(8, "big"))


def block_of(version: int) -> int:
    return (version - 1) // BLOCK


def day_of(timestamp: datetime) -> int:
    """Days since 1970-01-01; negative before it."""
    return micros(timestamp) // _DAY


def number_bytes(number: int) -> bytes:
    """Sorts as the number does."""
    return (number + _OFFSET).to_bytes(8, "big")


def read_number(spelled: bytes) -> int:
    """The inverse of `number_bytes`."""
    return int.from_bytes(spelled, "big") - _OFFSET


def time_bytes(timestamp: datetime) -> bytes:
    """What the sort keys of points begin with: before every point of that time."""
    return number_bytes(micros(timestamp))


def split_point(sk: bytes) -> tuple[int, bytes, int]:
    """Microseconds since 1970, labels (cut off, with a digest behind, if they are over 960 bytes)
    and `seq` from a point's sort key."""
    return read_number(sk[:8]), sk[8:-_SEQ_BYTES], int.from_bytes(sk[-_SEQ_BYTES:], "big")

r"""Keys of items: which partition and sort key the rows, points and events of a scope have.

A partition key is `tenant/env/kind-of-item/name`, with further parts after \x1f. Tenants and envs
consist of `a-z 0-9 _ -`, and no name contains a control character; so no two names share a key, and
a policy can restrict a role to `tenant/env/*` (`dynamodb:LeadingKeys`). Sort keys are bytes, which
DynamoDB orders as unsigned.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalbox.adapters.metrics_page import micros
from signalbox.commands.scope import Scope

BLOCK = 10_000
"""Number of versions of a stream in a partition."""
MAX_VERSION = 2**63 - 1
MAX_LABELS_LENGTH = 960
"""Maximum bytes of a point's labels in its key; beyond, a digest distinguishes points."""
_DAY = timedelta(days=1) // timedelta(microseconds=1)
_OFFSET = 2**63
"""Makes every microsecond and day of the years 1 to 9999 positive."""
_HEAD = b"head"
_SEQ_BYTES = 8
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class Key:
    """Partition key and sort key of one item."""

    pk: str
    """The partition key."""
    sk: bytes
    """The sort key."""


@dataclass(frozen=True)
class Layout:
    """The keys of one scope's items."""

    root: str
    """Prefix of all partition keys."""

    @classmethod
    def of(cls, scope: Scope) -> Layout:
        """Return the layout of a scope."""
        return cls(f"{scope.tenant_id}/{scope.env}")

    def rows(self, table_name: str) -> str:
        """Return the partition of a table's rows; their sort key is the row's key as UTF-8."""
        return f"{self.root}/row/{table_name}"

    def row(self, table_name: str, key: str) -> Key:
        """Return the key of a row."""
        return Key(self.rows(table_name), key.encode())

    def days(self, series: str) -> str:
        """Return the partition that lists the days on which a series has points."""
        return f"{self.root}/day/{series}"

    def day(self, series: str, day: int) -> Key:
        """Return the key of the item for one day of a series."""
        return Key(self.days(series), number_bytes(day))

    def points(self, series: str, day: int) -> str:
        """Return the partition of a series' points of one day."""
        return f"{self.root}/point/{series}\x1f{day}"

    def point(self, series: str, timestamp: datetime, labels: str, seq: int) -> Key:
        """Return the key of a point, which sorts by time, labels and then `seq`.

        Points whose labels agree in their first 960 bytes are not ordered by labels.
        """
        spelled = labels.encode()
        if len(spelled) > MAX_LABELS_LENGTH:
            digest = hashlib.blake2b(spelled, digest_size=_DIGEST_BYTES).digest()
            spelled = spelled[:MAX_LABELS_LENGTH] + digest
        sk = time_bytes(timestamp) + spelled + seq.to_bytes(_SEQ_BYTES, "big")
        return Key(self.points(series, day_of(timestamp)), sk)

    @property
    def heads(self) -> str:
        """How the partition keys of streams' heads begin; the stream's name follows."""
        return f"{self.root}/stream/"

    def head(self, stream: str) -> Key:
        """Return the key of the item with the version of a stream's last event."""
        return Key(f"{self.heads}{stream}", _HEAD)

    def event_id(self, stream: str, event_id: str) -> Key:
        """Return the key of the item with the version of an event id.

        Each has its own partition, since there are many.
        """
        return Key(f"{self.root}/eventid/{stream}\x1f{event_id}", _HEAD)

    def events(self, stream: str, block: int) -> str:
        """Return the partition of the versions from `block * BLOCK + 1` on."""
        return f"{self.root}/event/{stream}\x1f{block}"

    def event(self, stream: str, version: int) -> Key:
        """Return the key of an event."""
        return Key(self.events(stream, block_of(version)), version.to_bytes(8, "big"))


def block_of(version: int) -> int:
    """Return the block of a version."""
    return (version - 1) // BLOCK


def day_of(timestamp: datetime) -> int:
    """Return days since 1970-01-01, negative before it."""
    return micros(timestamp) // _DAY


def number_bytes(number: int) -> bytes:
    """Return bytes that sort as the number does."""
    return (number + _OFFSET).to_bytes(8, "big")


def read_number(spelled: bytes) -> int:
    """Return the number of `number_bytes`."""
    return int.from_bytes(spelled, "big") - _OFFSET


def time_bytes(timestamp: datetime) -> bytes:
    """Return the beginning of the sort keys of points of this time; it sorts before them."""
    return number_bytes(micros(timestamp))


def split_point(sk: bytes) -> tuple[int, bytes, int]:
    """Return microseconds since 1970, labels and `seq` of a point's sort key.

    Labels over 960 bytes are cut, with a digest after them.
    """
    return read_number(sk[:8]), sk[8:-_SEQ_BYTES], int.from_bytes(sk[-_SEQ_BYTES:], "big")

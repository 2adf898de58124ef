"""Names of Firestore documents, made from a caller's names without collisions.

Firestore refuses `.`, `..`, `__x__` and over 1,500 bytes as an id, and takes `/` for another level.
Ids sort by their UTF-8 bytes; those made here are ASCII.
"""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass
from datetime import datetime

from signalbox.adapters.firestore.config import FirestoreConfig
from signalbox.adapters.metrics_page import micros
from signalbox.commands.scope import Scope

_PLAIN = frozenset((string.ascii_letters + string.digits + "-_.").encode())
_MICROS_OFFSET = 2**60
"""Makes every microsecond of the years 1 to 9999 a positive number of 16 hexadecimal digits."""
MAX_LABELS_LENGTH = 1400
"""Maximum bytes of a point's spelled labels in its id; beyond, a digest distinguishes points."""


@dataclass(frozen=True)
class Layout:
    """Where the documents of one scope are."""

    root: str
    """Name of the document above all of them."""
    prefix: str
    """Prefix of the names of collections."""

    @classmethod
    def of(cls, config: FirestoreConfig, scope: Scope) -> Layout:
        """Return the layout of a scope."""
        prefix = config.prefix
        # Tenants and envs consist of `a-z 0-9 _ -` and begin with a letter: nothing needs encoding.
        root = (
            f"{config.database_name}/documents/{prefix}tenants/{scope.tenant_id}"
            f"/{prefix}envs/{scope.env}"
        )
        return cls(root, prefix)

    def collection(self, group: str, name: str, members: str) -> Collection:
        """Return the collection `members` of one table, series or stream."""
        return Collection(
            f"{self.root}/{self.prefix}{group}/{segment(name)}", f"{self.prefix}{members}"
        )

    def groups(self, group: str) -> Collection:
        """Return the collection that has a document, perhaps a missing one, for each table, series
        or stream."""
        return Collection(self.root, f"{self.prefix}{group}")


@dataclass(frozen=True)
class Collection:
    """Documents of one kind below one parent document."""

    parent: str
    """Name of the parent document."""
    id: str
    """Id of the collection."""

    def document(self, document_id: str) -> str:
        """Return the name of a document."""
        return f"{self.parent}/{self.id}/{document_id}"


def segment(name: str) -> str:
    """Return the id for a name of at most 256 bytes.

    Letters and digits unchanged, others as `=2F`.
    """
    return "n" + "".join(chr(b) if b in _PLAIN else f"={b:02X}" for b in name.encode())


def name_of(document_id: str) -> str:
    """Return the name of a `segment`. Raises ValueError for any other id."""
    plain, *escaped = document_id[1:].encode("ascii").split(b"=")
    spelled = [plain, *(bytes.fromhex(part[:2].decode()) + part[2:] for part in escaped)]
    name = b"".join(spelled).decode()
    if segment(name) != document_id:
        raise ValueError
    return name


def row_id(key: bytes) -> str:
    """Return the id for a row's key, which sorts as the key's UTF-8 does."""
    return "k" + key.hex()


def time_id(timestamp: datetime) -> str:
    """Return the beginning of the ids of points of this time, which sorts before all of them."""
    return f"{micros(timestamp) + _MICROS_OFFSET:016x}"


def point_id(timestamp: datetime, labels: str) -> str:
    """Return the id of a point, which sorts by time, then canonical labels.

    Points whose labels agree in the first 1,400 spelled bytes are not ordered by labels.
    """
    spelled = spell(labels)
    if len(spelled) > MAX_LABELS_LENGTH:
        # Labels end in `}`, a digest never does: the two forms cannot be equal.
        digest = hashlib.sha256(labels.encode()).hexdigest()[:32]
        spelled = f"{spelled[:MAX_LABELS_LENGTH]}!{digest}"
    return time_id(timestamp) + spelled


def time_and_labels(document_name: str) -> tuple[int, str]:
    """Return a point's time in microseconds since 1970, and its spelled labels.

    Labels over MAX_LABELS_LENGTH are cut.
    """
    document_id = document_name.rpartition("/")[2]
    return int(document_id[:16], 16) - _MICROS_OFFSET, document_id[16 : 16 + MAX_LABELS_LENGTH]


def spell(labels: str) -> str:
    """Return canonical labels in ASCII without `/`, in the order of their UTF-8 bytes."""
    out = []
    for byte in labels.encode():
        if byte == 0x2E:
            out.append(".0")
        elif byte == 0x2F:
            out.append(".1")
        elif byte >= 0x7E:
            out.append(f"~{byte:02x}")
        else:
            out.append(chr(byte))
    return "".join(out)

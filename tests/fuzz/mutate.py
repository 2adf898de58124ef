"""Seeded changes of good messages: envelope, headers, body, properties, compression, protocol."""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

from signalbox.commands.envelope import is_id
from tests.fuzz.sample import Sample, good

Change = Callable[[Sample, Random], None]
BOMB_ONE_IN = 1000
"""Large messages are dear to send."""

_DEEP: Any = []
for _ in range(90):
    _DEEP = [_DEEP]
ODD: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63 - 1, 1.5, "", " ", "x", "x" * 300, "é", "\0", "\x1b[2J",
    "null", "../..", "a\nb", [], [[]], [None], {}, {"a": 1}, {"": None}, {"a": {"b": [1]}}, _DEEP,
    "2099-01-01T00:00:00Z", "0001-01-01T00:00:00", "tomorrow", {"__type__": "datetime"},
    {"__type__": "datetime", "__value__": "never"}, {"task": "celery.backend_cleanup"},
]  # fmt: skip
_HEADERS = [
    "lang", "task", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit",
    "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "compression",
    "replaced_task_nesting", "stamped_headers", "stamps", "redelivered", "chord", "chain",
    "callbacks", "errbacks", "reply_to", "correlation_id", "signalbox_summary", "meth", "priority",
    "delivery_info", "properties", "args", "kwargs", "hostname", "is_eager", "unknown",
]  # fmt: skip
_PROPERTIES = [
    "correlation_id", "reply_to", "delivery_mode", "delivery_info", "priority", "body_encoding",
    "delivery_tag", "type", "message_id", "application_headers", "unknown",
]  # fmt: skip
_TYPES = ["application/x-python-serialize", "application/x-yaml", "application/x-msgpack",
          "application/data", "text/plain", "json", "application/json; charset=x"]  # fmt: skip
_ENCODINGS = ["bz2", "zlib", "hex", "idna", "punycode", "unicode_escape", "utf-16", "rot13", "no"]
_BUILTIN = ["celery.map", "celery.starmap", "celery.group", "celery.chain", "celery.chord",
            "celery.chunks", "celery.accumulate", "celery.backend_cleanup", "celery.ping",
            "object_store.nope", "object_store", "", "os.system",
            "signalbox.workers.app"]  # fmt: skip


_SQUEEZE: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("bzip2", bz2.compress),
    ("gzip", zlib.compress),
    ("application/x-gzip", zlib.compress),
]


def samples(seed: int, count: int) -> Iterator[Sample]:
    """The same ones for a seed."""
    rng = Random(seed)
    for _ in range(count):
        yield sample(rng)


def sample(rng: Random) -> Sample:
    """A good message with up to three changes; one in twelve stays good."""
    task_id = f"fz-{rng.getrandbits(128):032x}"
    its = good(task_id, f"k{rng.randrange(50)}", batch=rng.random() < 0.2)
    if rng.randrange(BOMB_ONE_IN) == 0:
        changes: list[Change] = [rng.choice(_BOMBS)]
    elif rng.randrange(12) == 0:
        changes = []
    else:
        changes = rng.choices(_CHANGES, _WEIGHTS, k=rng.choice((1, 1, 1, 2, 3)))
    for change in changes:
        change(its, rng)
        its.changes.append(change.__name__.strip("_"))
    return its


def _odd(rng: Random) -> Any:
    return deepcopy(rng.choice(ODD))


def _header(its: Sample, rng: Random) -> None:
    if isinstance(its.headers, dict):
        its.headers[rng.choice(_HEADERS)] = _odd(rng)


def _no_header(its: Sample, rng: Random) -> None:
    if isinstance(its.headers, dict) and its.headers:
        del its.headers[rng.choice(sorted(its.headers))]


def _odd_id(its: Sample, rng: Random) -> None:
    # None that is a name: two messages with one name are one command.
    if isinstance(its.headers, dict):
        value = _odd(rng)
        its.headers["id"] = f"fz-{rng.getrandbits(64):x}" if is_id(value) else value


def _headers(its: Sample, rng: Random) -> None:
    its.headers = _odd(rng)


def _wait(its: Sample, rng: Random) -> None:
    if isinstance(its.headers, dict):
        moment = rng.choice(["2099-01-01T00:00:00+00:00", "0001-01-01T00:00:00", 5, "2020-01-01"])
        its.headers[rng.choice(["eta", "expires"])] = moment


def _builtin(its: Sample, rng: Random) -> None:
    if isinstance(its.headers, dict):
        its.headers["task"] = rng.choice(_BUILTIN)


def _property(its: Sample, rng: Random) -> None:
    if isinstance(its.properties, dict):
        its.properties[rng.choice(_PROPERTIES)] = _odd(rng)


def _no_property(its: Sample, rng: Random) -> None:
    if isinstance(its.properties, dict) and its.properties:
        del its.properties[rng.choice(sorted(its.properties))]


def _properties(its: Sample, rng: Random) -> None:
    its.properties = _odd(rng)


def _same_tag(its: Sample, rng: Random) -> None:
    if isinstance(its.properties, dict):
        its.properties["delivery_tag"] = rng.choice(["tag", 1, "fz"])


def _content_type(its: Sample, rng: Random) -> None:
    its.content_type = rng.choice([*_TYPES, _odd(rng)])


def _content_encoding(its: Sample, rng: Random) -> None:
    its.content_encoding = rng.choice([*_ENCODINGS, _odd(rng)])


def _compressed(its: Sample, rng: Random) -> None:
    name, squeeze = rng.choice([*_SQUEEZE, ("lzma", lzma.compress), ("zstd", bytes)])
    if isinstance(its.headers, dict):
        its.headers["compression"] = name
        its.body = squeeze(its.body)


def _body(its: Sample, rng: Random) -> None:
    its.body = json.dumps(_odd(rng)).encode()


def _part_of_body(its: Sample, rng: Random) -> None:
    if (parts := _parts(its)) is not None:
        parts[rng.randrange(3)] = _odd(rng)
        its.body = json.dumps(parts).encode()


def _options(its: Sample, rng: Random) -> None:
    if (parts := _parts(its)) is not None:
        link = {"task": "object_store.delete", "args": [], "kwargs": {}, "options": {}}
        name = rng.choice(["callbacks", "errbacks", "chain", "chord", "link", "task", "id"])
        parts[2] = {name: rng.choice([[link], link, [[link]], "x", 1])}
        its.body = json.dumps(parts).encode()


def _keyword(its: Sample, rng: Random) -> None:
    parts = _parts(its)
    if parts is not None and isinstance(parts[1], dict):
        parts[1][rng.choice([*parts[1], "more", "self", "task_id"])] = _odd(rng)
        its.body = json.dumps(parts).encode()


def _field(its: Sample, rng: Random) -> None:
    parts = _parts(its)
    command = parts[1].get("command") if parts and isinstance(parts[1], dict) else None
    if parts and isinstance(command, dict):
        name = rng.choice(["op", "v", "tenant_id", "env", "mode", "key", "deadline", "more"])
        command[name] = _odd(rng)
        its.body = json.dumps(parts).encode()


def _protocol_1(its: Sample, rng: Random) -> None:
    if (parts := _parts(its)) is not None:
        body = {"task": its.task, "id": f"fz-{rng.getrandbits(64):x}", "args": parts[0]}
        body |= {
            "kwargs": parts[1],
            "retries": 0,
            "eta": rng.choice([None, _odd(rng)]),
            "utc": True,
        }
        body |= {"callbacks": rng.choice([None, _odd(rng)]), "taskset": None}
        if rng.random() < 0.3:
            del body[rng.choice(sorted(body))]
        its.headers, its.body = rng.choice([{}, None]), json.dumps(body).encode()


def _broken_body(its: Sample, rng: Random) -> None:
    its.body = _break(its.body, rng)


def _broken_item(its: Sample, rng: Random) -> None:
    its.item = _break(its.stored(), rng)


def _odd_item(its: Sample, rng: Random) -> None:
    its.item = rng.choice([
        b"x", b"\0", b"null", b"[]", b"{}", b"1" * 5000, b"[" * 5000, b"NaN", b'"' * 3, b"\xff\xfe",
        b'{"body": ""}', b'{"properties": {}}', json.dumps(_odd(rng)).encode(),
    ])  # fmt: skip


def _raw_properties(its: Sample, rng: Random) -> None:
    """Tables as py-amqp would not write them, each within its length."""
    item = rng.choice([
        b"T" + b"\xff" * 8, b"T" + b"\0" * 8, b"S\0\0\0\2\xff\xfe", b"x\0\0\0\1\xff", b"V",
        b"D\xff\x7f\xff\xff\xff", b"d" + b"\xff" * 8, b"l" + b"\x80" + b"\0" * 7, b"A\0\0\0\0",
    ])  # fmt: skip
    table = rng.choice([b"\2id", b"\4task", b"\3eta", b"\1\xff"]) + item
    content_type = rng.choice([b"application/json", b"\xff\xfe"])
    flags = 0x8000 | 0x2000
    its.raw_properties = (
        flags.to_bytes(2) + bytes([len(content_type)]) + content_type
        + len(table).to_bytes(4) + table
    )  # fmt: skip


def _decompression_bomb(its: Sample, rng: Random) -> None:
    number = rng.randrange(len(_SQUEEZE))
    its.headers["compression"], its.body = _SQUEEZE[number][0], _squeezed_bomb(number)


@cache
def _squeezed_bomb(number: int) -> bytes:
    return _SQUEEZE[number][1](b"[" + b"0," * 30_000_000)


def _many_values(its: Sample, rng: Random) -> None:
    unit, count = rng.choice([(b"{},", 30_000), (b"[],", 90_000), (b'"ab",', 90_000),
                              (b'{"a":1},', 400_000), (b"[],", 1_000_000)])  # fmt: skip
    its.body = b'[[], {"command": [' + unit * count + b"0]}, {}]"


def _too_large(its: Sample, rng: Random) -> None:
    its.body = b'[[], {"command": "' + b"x" * rng.choice([2_000_000, 6_000_000]) + b'"}, {}]'


def _parts(its: Sample) -> list[Any] | None:
    try:
        parts = json.loads(its.body)
    except ValueError:
        return None
    return parts if isinstance(parts, list) and len(parts) == 3 else None


def _break(data: bytes, rng: Random) -> bytes:
    how = rng.randrange(4)
    if how == 0:
        return data[: rng.randrange(1, len(data) + 1)] if data else b"{"
    if how == 1:
        return rng.randbytes(rng.randrange(1, 200))
    broken = bytearray(data or b"{")
    for _ in range(rng.choice((1, 1, 5, 50))):
        broken[rng.randrange(len(broken))] = rng.randrange(256)
    return bytes(broken)


_BOMBS: list[Change] = [_decompression_bomb, _many_values, _too_large]
_WEIGHED: list[tuple[Change, int]] = [
    (_header, 20), (_no_header, 4), (_odd_id, 4), (_headers, 4), (_wait, 4), (_builtin, 4),
    (_property, 8), (_no_property, 4), (_properties, 4), (_same_tag, 4), (_content_type, 4),
    (_content_encoding, 4), (_compressed, 4), (_body, 4), (_part_of_body, 8), (_options, 4),
    (_keyword, 4), (_field, 8), (_protocol_1, 6), (_broken_body, 6), (_broken_item, 10),
    (_odd_item, 4), (_raw_properties, 1),
]  # fmt: skip
_CHANGES = [change for change, _ in _WEIGHED]
_WEIGHTS = [weight for _, weight in _WEIGHED]

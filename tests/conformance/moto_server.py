"""Runs as a program: a real HTTP server in front of moto's AWS, until its standard input ends.

It prints its port. What is signed in its query is checked first (`query_gate`). Requests run one
after another: moto judges a condition and stores in two steps, where AWS does both in one; without
that order the races of the suite would test moto.
"""

from __future__ import annotations

import base64
import copy
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moto import backends
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

sys.path.insert(0, str(Path(__file__).parent))
from query_gate import refusal  # type: ignore[import-not-found]


class OneAtATime:
    turn = 0

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").lower().replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        refused = refusal(environ["REQUEST_METHOD"], environ["RAW_URI"], headers)
        if refused is not None:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            text = "<Error><Code>{}</Code><Message>{}</Message></Error>".format(*refused)
            return [text.encode()]
        with self._lock:
            OneAtATime.turn += 1
            return list(self._application(environ, start_response))


dynamo_type: Any = DynamoType
table_class: Any = Table
value_of = dynamo_type.cast_value.fget
query_of = table_class.query
serializer_class: Any = BaseJSONSerializer
structure_of = serializer_class._serialize_type_structure


def comparable(value: Any) -> Any:
    """What DynamoDB compares; moto puts bytes in the order of their base64."""
    if value.type == "B" and isinstance(value.value, str):
        return base64.b64decode(value.value)
    return value_of(value)


def copy_of(table: Any, _memo: Any) -> Any:
    """What moto keeps for the case that a transaction fails: a table with the same items, which
    puts replace and never change. Its own copies, an item at a time and once for each item of the
    transaction, take seconds."""
    if table.__dict__.get("kept_in") != OneAtATime.turn:
        table.__dict__.pop("kept", None)
        kept = copy.copy(table)
        kept.items = defaultdict(dict, {pk: dict(rows) for pk, rows in table.items.items()})
        table.kept_in, table.kept = OneAtATime.turn, kept
    return table.kept


def query_partition(table: Any, hash_key: Any, *args: Any, **named: Any) -> Any:
    """moto's own query sorts all of a table's items, whichever partition is asked for."""
    narrow = copy.copy(table)
    narrow.items = {hash_key: table.items[hash_key]} if hash_key in table.items else {}
    return query_of(narrow, hash_key, *args, **named)


def serialize_structure(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """An attribute of an item has one of ten members. moto looks for each of them, under several
    names, which takes half the time of an answer."""
    if shape.name != "AttributeValue" or not isinstance(value, dict):
        structure_of(serializer, serialized, value, shape, key)
        return
    present: dict[str, Any] = {}
    for name, member in value.items():
        serializer._serialize(present, member, shape.members[name], name)
    serializer._default_serialize(serialized, present, shape, key)


class Silent(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nobody reads the lines, and they take a tenth of a request's time."""


# moto looks through its folder with each request, which takes a fifth of the time.
modules = tuple(backends.list_of_moto_modules())
backends.list_of_moto_modules = lambda: modules
serializer_class._serialize_type_structure = serialize_structure
table_class.query = query_partition
dynamo_type.cast_value = property(comparable)
table_class.__deepcopy__ = copy_of


if __name__ == "__main__":
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201
    sys.stdin.read()
    # An interpreter that ends in order frees each of the objects stored here, for many seconds.
    os._exit(0)

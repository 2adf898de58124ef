"""What was changed, removed or put into the log afterwards is found, and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from signalbox.commands.state import State, connect
from signalbox.routing.registry.event import StreamEvent
from signalbox.routing.registry.registry import Registry
from tests.integration import command_line
from tests.integration.operating import point

LOG, HEAD = "{rt}:log", "{rt}:head"
Row = tuple[bytes, dict[bytes, bytes]]


@pytest.fixture
def client(state_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.setenv("SIGNALBOX_STATE_URL", state_url)
    client = connect(state_url)
    client.server().flushall()
    for number in range(6):
        point(Registry(client), f"/{number}")
    yield client
    client.close()


def rows(client: State) -> list[Row]:
    return cast(list[Row], client.server().xrange(LOG))


def write(client: State, entries: list[Row]) -> None:
    """The log anew, as one with access to Redis could make it."""
    client.server().delete(LOG)
    for name, fields in entries:
        client.server().xadd(LOG, fields, id=name)  # type: ignore[arg-type]  # redis-py's types are narrow


def edited(row: Row, reseal: bool = False, **changes: Any) -> Row:
    document = json.loads(row[1][b"event"])
    data = {name: changes.pop(name) for name in ("actor", "reason") if name in changes}
    document = document | changes | {"data": document["data"] | data}
    if reseal:
        document["hash"] = StreamEvent.model_validate(document).digest()
    return row[0], row[1] | {b"event": json.dumps(document).encode()}


def edit(client: State) -> None:
    entries = rows(client)
    entries[2] = edited(entries[2], reason="another")
    write(client, entries)


def edit_and_seal(client: State) -> None:
    entries = rows(client)
    entries[2] = edited(entries[2], reseal=True, reason="another")
    write(client, entries)


def edit_and_seal_the_last(client: State) -> None:
    entries = rows(client)
    entries[5] = edited(entries[5], reseal=True, reason="another")
    write(client, entries)


def make_unreadable(client: State) -> None:
    entries = rows(client)
    entries[3] = (entries[3][0], entries[3][1] | {b"event": b"{"})
    write(client, entries)


def remove(client: State) -> None:
    client.server().xdel(LOG, "3-0")


def swap(client: State) -> None:
    entries = rows(client)
    entries[2], entries[3] = (entries[2][0], entries[3][1]), (entries[3][0], entries[2][1])
    write(client, entries)


def insert(client: State) -> None:
    entries = rows(client)
    entries.insert(3, (b"3-1", edited(entries[2], reseal=True, actor="eve")[1]))
    write(client, entries)


def insert_a_copy(client: State) -> None:
    entries = rows(client)
    entries.insert(3, (b"3-1", entries[2][1]))
    write(client, entries)


def append_a_copy(client: State) -> None:
    entries = rows(client)
    write(client, [*entries, (b"6-1", entries[1][1])])


def append_and_forget_to_move_the_head(client: State) -> None:
    entries = rows(client)
    last = json.loads(entries[5][1][b"event"])
    new = edited(entries[5], reseal=True, revision=7, prev=last["hash"])
    write(client, [*entries, (b"7-0", new[1])])


def truncate(client: State) -> None:
    client.server().xdel(LOG, "6-0", "5-0")


def remove_the_first(client: State) -> None:
    client.server().xdel(LOG, "1-0")


def move_the_head_back(client: State) -> None:
    event = Registry(client).events(3)[0]
    client.server().hset(HEAD, mapping={"rev": event.revision, "hash": event.hash})


def change_the_head(client: State) -> None:
    client.server().hset(HEAD, "hash", "f" * 64)


def empty_the_log(client: State) -> None:
    client.server().delete(LOG)


@pytest.mark.parametrize(
    ("tamper", "revision", "reason"),
    [
        (edit, 3, "not what its hash says"),
        (edit_and_seal, 4, "names another event as the one before it"),
        (edit_and_seal_the_last, 6, "head names another event"),
        (make_unreadable, 4, "cannot be read"),
        (remove, 4, "follows revision 2"),
        (swap, 4, "follows revision 2"),
        (insert, 3, "two different events"),
        (insert_a_copy, 3, "follows revision 3"),
        (append_a_copy, 2, "follows revision 6"),
        (append_and_forget_to_move_the_head, 7, "the registry is at 6"),
        (truncate, 5, "the events end at 4, the registry is at 6"),
        (remove_the_first, 2, "follows revision 0"),
        (move_the_head_back, 5, "the registry is at 4"),
        (change_the_head, 6, "head names another event"),
        (empty_the_log, 1, "the events end at 0"),
    ],
)
def test_the_first_broken_link_is_named(
    client: State, tamper: Callable[[State], None], revision: int, reason: str
) -> None:
    whole = json.loads(command_line.here("audit", "verify", "--json").stdout)
    assert (whole["whole"], whole["events"], whole["last"]) == (True, 6, 6)
    tamper(client)
    result = command_line.here("audit", "verify", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["whole"], found["revision"]) == (1, False, revision)
    assert reason in found["reason"]


def test_a_broken_chain_is_an_error_for_people_too(client: State) -> None:
    remove(client)
    result = command_line.run("audit", "verify")
    assert result.returncode == 1
    assert b"INTEGRITY_MISMATCH" in result.stderr
    assert b"revision 4" in result.stderr
    assert b"Traceback" not in result.stderr


def test_an_empty_registry_is_whole(client: State) -> None:
    client.server().flushall()
    assert command_line.answer("audit", "verify")["events"] == 0

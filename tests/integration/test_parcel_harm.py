"""Parcels whose content is damaged or of another release, and a state Redis that is full."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from signalbox.commands.error import LedgerDamaged, StateUnavailable
from signalbox.commands.ledger import parcel as codec
from signalbox.commands.ledger.dead import DeadLetters, Which
from signalbox.commands.ledger.entry import Acceptance, Action, Claims, Finish
from signalbox.commands.ledger.framing import Heap, enframe, unframe
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.state import State, connect
from signalbox.producers.embedded.redis_server import RedisServer
from tests.integration.parcel_harness import (
    HASTY,
    PLACE,
    SHARD,
    ParcelHarness,
    commands_of,
    end_of,
    token_of,
    wait_for,
    woken,
)
from tests.integration.test_ledger import put
from tests.redis_builds import redis_builds

BUILDS = redis_builds()
NEW, KNOWN = Acceptance.NEW, Acceptance.KNOWN


@pytest.fixture
def harness(state: State) -> ParcelHarness:
    return ParcelHarness(state)


def content_key(harness: ParcelHarness) -> str:
    [key] = harness.client.keys(f"{SHARD}:c:*")
    return str(key, "ascii")


def bury(harness: ParcelHarness, claims: Claims) -> list[str]:
    """What a worker does with what it cannot run: as dead letters; what is woken by that."""
    ends = [end_of(claimed) for claimed in claims.claimed]
    for bad in claims.unrunnable:
        tenant_id, env, op_id = bad.ref.split("/")
        outcome = Outcome(
            op_id=op_id,
            op=bad.op,
            tenant_id=tenant_id,
            env=env,
            status=Status.FAILED,
            error=bad.error.detail(),
            seq=bad.seq,
            attempt=bad.attempt,
            worker="w",
            claimed_at=bad.claimed_at,
            duration_ms=0.0,
        )
        ends.append(Finish(bad.ref, bad.token, Action.DEAD, outcome))
    finished = harness.parcels.end(token_of(claims), claims.parcels, ends)
    assert finished.refused == []
    return woken(finished.wakes)


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "a bit is flipped": lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
    "it is cut short": lambda content: content[:-7],
    "it is empty": lambda _: b"",
    "it is another": lambda _: b"SBo1" + b"\0" * 40,
}


@pytest.mark.parametrize("harm", HARMS)
def test_damaged_content_ends_as_dead_letters_and_gives_up_its_keys(
    harness: ParcelHarness, harm: str
) -> None:
    busy = put("busy")
    harness.submit(busy, as_records=True)
    commands = [put("a"), put("busy", b"2"), put("b")]
    harness.submit(*commands)
    lost = [commands[0], commands[2]]
    behind = put("a", b"2")
    harness.submit(behind)
    assert harness.claim(behind) == []
    key = content_key(harness)
    damaged = HARMS[harm](harness.client.get(key))
    harness.client.set(key, damaged)
    other = put("c")
    harness.submit(other)
    claims = harness.taken()
    assert commands_of(claims) == [other], "of the same scope, in another parcel"
    assert sorted(bad.ref for bad in claims.unrunnable) == sorted(c.ref for c in lost)
    assert {type(bad.error) for bad in claims.unrunnable} == {LedgerDamaged}
    assert bury(harness, claims) == [behind.ref]
    letters = list(DeadLetters(harness.connection, harness.settings).find(Which()))
    assert {letter.code for letter in letters} == {"LEDGER_DAMAGED"}
    kept = [base64.b64decode(json.loads(letter.document)["damaged"]) for letter in letters]
    assert kept == [damaged, damaged], "so it may be looked at"
    assert harness.parcels_open() == []
    assert harness.client.hlen(f"{SHARD}:keys:{PLACE}") == 0
    harness.run(behind)
    harness.run(busy)
    harness.run(commands[1])
    assert harness.ledger.totals()["open"] == 0
    # What the blob held may be submitted again, under its op_ids.
    assert harness.submit(*lost) == [NEW, NEW]
    assert [each.command for each in harness.claim(*lost)] == lost


def test_content_that_is_gone_is_damaged_content(harness: ParcelHarness) -> None:
    harness.submit(put("a"))
    harness.client.delete(content_key(harness))
    claims = harness.taken()
    assert [bad.error.code for bad in claims.unrunnable] == ["LEDGER_DAMAGED"]
    bury(harness, claims)
    assert harness.ledger.totals()["dead_letters"] == 1


def test_damaged_content_leaves_a_late_parcel_as_what_nobody_can_read(state: State) -> None:
    harness, patient = ParcelHarness(state, lease=HASTY), ParcelHarness(state)
    command, sound = put("a"), put("b")
    harness.submit(command)
    key = content_key(harness)
    harness.submit(sound)
    harness.client.set(key, b"nothing")
    harness.taken()
    opened = 0
    while opened < 2:
        opened += wait_for(harness.open_late)
    [wake] = [w for w in wait_for(lambda: patient.ledger.due().wakes) if w.ticket.ref != sound.ref]
    patient.run(sound)
    claims = patient.ledger.claim([wake.ticket], token="t", worker="w")
    assert (claims.claimed, [bad.ref for bad in claims.unrunnable]) == ([], [command.ref])
    assert patient.submit(put("a", b"2")) == [NEW]
    assert patient.waiting_on("a") == [], "its key is free"


def test_what_waited_behind_damaged_content_is_woken_when_that_is_opened_late(
    state: State,
) -> None:
    harness, patient = ParcelHarness(state, lease=HASTY), ParcelHarness(state)
    harness.submit(put("a"))
    behind = put("a", b"2")
    patient.submit(behind)
    harness.client.set(content_key(harness), b"nothing")
    assert patient.claim(behind) == [], "it is turned away"
    harness.taken()
    wait_for(harness.open_late)
    # Nothing holds the key, and nobody ends who would hand it over.
    found = {wake.ticket.ref for wake in patient.ledger.due().wakes}
    assert behind.ref in found
    patient.run(behind)


def test_a_late_name_that_leads_to_no_parcel_holds_up_none(state: State) -> None:
    harness = ParcelHarness(state, lease=HASTY)
    command = put("a")
    harness.submit(command)
    harness.taken()
    harness.client.zadd(f"{SHARD}:pdue", {str(n): 1 for n in range(1, 10)})
    wait_for(harness.open_late)
    assert harness.has_record(command)
    assert harness.client.zcard(f"{SHARD}:pdue") == 0


def of_another_release(harness: ParcelHarness, spoil: str) -> None:
    """As if another release had written it, with one command that this one does not know."""
    key = content_key(harness)
    document, beside = unframe(b"SBp1", harness.client.get(key))
    document["schema"] = "another"
    for section in document["sections"]:
        names = section["rows"]["op_id"]
        if spoil in names:
            section["rows"]["key"][names.index(spoil)] = "../not a key/.."
    heap = Heap()
    heap.put([beside])
    harness.client.set(key, enframe(b"SBp1", document, heap))


def test_of_another_releases_parcel_all_runs_that_is_a_command_here(harness: ParcelHarness) -> None:
    commands = [put(f"k{n}", op_id=f"op{n}") for n in range(4)]
    harness.submit(*commands)
    of_another_release(harness, "op2")
    sound = [commands[0], commands[1], commands[3]]
    claims = harness.taken()
    assert commands_of(claims) == sound
    [bad] = claims.unrunnable
    assert (bad.ref, bad.seq) == (commands[2].ref, claims.claimed[0].seq + 2)
    bury(harness, claims)
    assert harness.ledger.totals()["done"] == 3
    assert harness.client.hlen(f"{SHARD}:keys:{PLACE}") == 0, "also those of what is unreadable"
    [letter] = DeadLetters(harness.connection, harness.settings).find(Which())
    assert json.loads(letter.document)["op_id"] == "op2"
    assert harness.submit(commands[2], put("k2", b"2")) == [NEW, NEW]


def test_what_was_left_out_of_an_unreadable_parcel_is_not_ended_with_it(
    harness: ParcelHarness,
) -> None:
    busy, behind, mine = put("k0"), put("k0", b"2", op_id="op0"), put("k1", op_id="op1")
    harness.submit(busy, as_records=True)
    harness.submit(behind, mine)
    of_another_release(harness, "op0")
    claims = harness.taken()
    assert (commands_of(claims), claims.unrunnable) == ([mine], [])
    harness.end(claims)
    harness.run(busy)
    harness.run(behind)


def test_no_tag_of_this_release_is_another() -> None:
    assert codec._schema()[1] != "another"


@pytest.fixture(scope="module", params=sorted(BUILDS))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("redis")
    server = RedisServer(folder / request.param, binary=BUILDS[request.param])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def small(server: RedisServer) -> Iterator[ParcelHarness]:
    """A ledger on a Redis that can be filled."""
    state = connect(server.url, ledger_shards=16)
    state.server().flushall()
    yield ParcelHarness(state)
    state.server().config_set("maxmemory", "0")
    state.close()


def refused(harness: ParcelHarness, step: Any) -> None:
    """It is refused by a full Redis, with a typed error, and has changed nothing."""
    before = harness.snapshot()
    with pytest.raises(StateUnavailable, match="OOM") as caught:
        step()
    assert caught.value.temporary
    assert harness.snapshot() == before


def test_a_full_redis_refuses_submits_and_takes_and_lets_parcels_end(small: ParcelHarness) -> None:
    done, again, behind, ready = put("a"), put("b"), put("a", b"2"), put("c")
    small.submit(done, again)
    claims = small.taken()
    small.submit(behind)
    small.submit(ready)
    full = small.client.info("memory")["used_memory"]
    small.client.config_set("maxmemory", "1")
    refused(small, lambda: small.accept(put("d")))
    refused(small, lambda: small.accept(put("a", b"3")))
    refused(small, lambda: small.taken())
    refused(small, lambda: small.taken("t1", back_for_more=HASTY))
    assert full > 1
    assert small.end(claims).refused == []
    found = small.ledger.outcomes([done.ref, again.ref])
    assert None not in found
    assert small.client.keys(f"{SHARD}:c:{claims.parcels[0].name}") == []
    small.client.config_set("maxmemory", "0")
    assert commands_of(small.taken()) == [ready]
    small.run(behind)


def test_in_a_full_redis_what_is_not_done_ends_too_and_counts_once(small: ParcelHarness) -> None:
    done, again = put("a"), put("b")
    small.submit(done, again)
    claims = small.taken()
    small.client.config_set("maxmemory", "1")
    assert small.end(claims, {again.ref: Action.RETRY}).refused == []
    assert small.ledger.outcomes([done.ref]) != [None]
    small.client.config_set("maxmemory", "0")
    totals = small.ledger.totals()
    assert (totals["open"], totals["done"], totals["running"], totals["retry"]) == (1, 1, 0, 1)
    small.run(again)


def test_a_full_redis_opens_no_late_parcel_by_half(small: ParcelHarness) -> None:
    harness = ParcelHarness(small.connection, lease=HASTY)
    commands = [put("a"), put("b")]
    harness.submit(*commands)
    harness.taken()
    late = wait_for(lambda: harness.ledger.due().late)
    harness.client.config_set("maxmemory", "1")
    refused(harness, lambda: harness.parcels.open_late(late))
    harness.client.config_set("maxmemory", "0")
    assert harness.parcels.open_late(late) == 1
    assert [claimed.command for claimed in small.claim(*commands)] == commands
    assert harness.submit(*commands) == [KNOWN, KNOWN]

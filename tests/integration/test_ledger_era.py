"""A state server that starts again, comes back older, or is another: what its ledger does then."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox.commands.ledger.entry import Action, Claims, Finish, Intent, Ticket
from signalbox.commands.ledger.era import LedgerEras
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import InlinePayload
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.embedded.ports import free_port
from signalbox.producers.embedded.redis_server import RedisServer
from tests.conftest import need_redis
from tests.integration.backup import back_up, put_back


class StateServer:
    """A state server of the test's own, with a backup of its data."""

    def __init__(self, folder: Path) -> None:
        # On a port that nobody prefers, since it is down now and then.
        self.server = RedisServer(folder / "state", free_port())
        self.server.start()
        self._data, self._backup = folder / "state", folder / "backup"

    def ledger(self) -> Ledger:
        """As a worker has it that was just started."""
        return Ledger(connect(self.server.url), Settings())

    @property
    def eras(self) -> LedgerEras:
        return LedgerEras(connect(self.server.url))

    def back_up(self) -> None:
        back_up(self._data, self._backup)

    def crash(self) -> None:
        self.server.kill()
        self.server.start()

    def restore(self) -> None:
        put_back(self.server, self._data, self._backup)


@pytest.fixture
def state_server(tmp_path: Path) -> Iterator[StateServer]:
    need_redis()
    state_server = StateServer(tmp_path)
    yield state_server
    state_server.server.stop()


def put(key: str) -> PutObject:
    return PutObject(tenant_id="t_a", env="dev", key=key, payload=InlinePayload(data=b"x"))


def submitted(ledger: Ledger, *keys: str) -> list[PutObject]:
    commands = [put(key) for key in keys]
    ledger.submit([Intent(command, "q") for command in commands])
    return commands


def claim(ledger: Ledger, *commands: Command) -> Claims:
    tickets = [Ticket(command.ref, command.op) for command in commands]
    return ledger.claim(tickets, token=uuid.uuid4().hex, worker="w")


def takeovers(claims: Claims) -> list[bool]:
    assert claims.lost == {}
    return [claimed.takeover for claimed in claims.claimed]


def test_what_was_open_when_the_server_started_again_runs_as_a_takeover(
    state_server: StateServer,
) -> None:
    ledger = state_server.ledger()
    first, second, third = submitted(ledger, "a", "b", "c")
    assert takeovers(claim(ledger, first)) == [False], "a new ledger has nothing older"
    state_server.crash()
    claims = claim(ledger, second)
    assert takeovers(claims) == [True]
    assert [claimed.attempt for claimed in claims.claimed] == [1], "it spends no attempt"
    assert takeovers(claim(ledger, *submitted(ledger, "d"))) == [False]
    assert takeovers(claim(state_server.ledger(), third)) == [True]


def test_restarts_that_lose_nothing_stop_nothing_however_many_were_slept_through(
    state_server: StateServer,
) -> None:
    sleeper, awake = state_server.ledger(), state_server.ledger()
    assert takeovers(claim(sleeper, *submitted(awake, "a"))) == [False]
    for key in "bcd":
        state_server.crash()
        claim(awake, *submitted(awake, key))
    assert takeovers(claim(sleeper, *submitted(awake, "e"))) == [False]
    assert state_server.eras.lost() == {}


@pytest.mark.parametrize("begun_anew", [False, True])
def test_a_ledger_that_lost_a_claim_is_refused_by_all_until_it_is_rebased(
    state_server: StateServer, begun_anew: bool
) -> None:
    ledger = state_server.ledger()
    old, *others = submitted(ledger, "a", "b", "c", "d", "e")
    claim(ledger, old)
    state_server.back_up()
    lost = claim(ledger, others[0])
    done = Finish(others[0].ref, lost.claimed[0].token, Action.DONE)
    assert ledger.finish(done.token, [done]).refused == []
    state_server.restore()
    if begun_anew:
        # One that has seen nothing of it goes on, past the clock that was lost.
        assert takeovers(claim(state_server.ledger(), *others[1:])) == [True] * 3
    for each in (ledger, state_server.ledger(), ledger):
        claims = claim(each, *submitted(each, "new"))
        [reason] = claims.lost.values()
        assert "lost some" in reason
        for claimed in claims.claimed:
            each.finish(claimed.token, [Finish(claimed.command.ref, claimed.token, Action.RELEASE)])
    assert list(state_server.eras.lost().values()) == [reason]

    state_server.eras.rebase("e1")
    state_server.eras.rebase("e1")
    assert state_server.eras.lost() == {}
    assert takeovers(claim(ledger, others[0])) == [True]
    assert takeovers(claim(ledger, *submitted(ledger, "later"))) == [False]


def test_a_restore_that_loses_the_rebase_is_refused_again(state_server: StateServer) -> None:
    ledger = state_server.ledger()
    claim(ledger, *submitted(ledger, "a"))
    state_server.back_up()
    state_server.eras.rebase("e1")
    assert claim(ledger, *submitted(ledger, "b")).lost == {}
    state_server.restore()
    assert claim(ledger, *submitted(ledger, "c")).lost
    state_server.eras.rebase("e2")
    assert claim(ledger, *submitted(ledger, "d")).lost == {}


def test_an_end_that_was_lost_is_noticed_too(state_server: StateServer) -> None:
    ledger = state_server.ledger()
    [claimed] = claim(ledger, *submitted(ledger, "a")).claimed
    state_server.back_up()
    ledger.finish(claimed.token, [Finish(claimed.command.ref, claimed.token, Action.DONE)])
    state_server.restore()
    assert claim(ledger, *submitted(ledger, "b")).lost


def test_a_server_that_came_back_empty_is_refused_by_who_knew_more(
    state_server: StateServer,
) -> None:
    ledger = state_server.ledger()
    claim(ledger, *submitted(ledger, "a"))
    connect(state_server.server.url).server().flushall()
    assert claim(ledger, *submitted(ledger, "b")).lost


def test_a_command_that_ends_after_a_restart_is_no_sign_of_a_loss(
    state_server: StateServer,
) -> None:
    slow, awake = state_server.ledger(), state_server.ledger()
    [held] = claim(slow, *submitted(awake, "a")).claimed
    state_server.crash()
    claim(awake, *submitted(awake, "b"))
    end = Finish(held.command.ref, held.token, Action.DONE)
    assert slow.finish(held.token, [end]).refused == []
    assert takeovers(claim(slow, *submitted(awake, "c"))) == [False]
    assert state_server.eras.lost() == {}


def test_ends_after_a_restore_do_not_hide_what_it_lost(state_server: StateServer) -> None:
    """They count past what was lost, before anyone claims."""
    ledger = state_server.ledger()
    held = claim(ledger, *submitted(ledger, *"abcdefgh")).claimed
    state_server.back_up()
    [lost] = claim(ledger, *submitted(ledger, "lost")).claimed
    done = Finish(lost.command.ref, lost.token, Action.DONE)
    assert ledger.finish(lost.token, [done]).refused == []
    state_server.restore()
    for each in held:
        end = Finish(each.command.ref, each.token, Action.DONE)
        assert ledger.finish(each.token, [end]).refused == []
    [reason] = claim(ledger, *submitted(ledger, "new")).lost.values()
    assert "lost some" in reason

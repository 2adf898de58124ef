"""Clocks of producers, workers and the state server that differ, and op_ids that are used again."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from signalbox.commands.ledger.dead import Which
from signalbox.commands.ledger.op_id_sweep import forget_old
from signalbox.commands.model import new_op_id
from signalbox.routing.registry.change import Change
from tests.integration.signed_deployment import OWNER, SignedDeployment, put, token

WORKER, CLIENT = "signalbox.workers.execution.proof_judge", "signalbox.commands.ledger.signing"
"""Where the two ask for the time."""


class Shifted:
    """The module `time`, so many seconds ahead."""

    def __init__(self, by: float) -> None:
        self._by = by

    def time(self) -> float:
        return time.time() + self._by


@pytest.mark.parametrize(
    ("of", "minutes", "code"),
    [
        (WORKER, 10, "done"),
        (WORKER, -10, "SIGNATURE_INVALID"),
        (WORKER, 0.5, "done"),
        (WORKER, -0.5, "done"),
        (CLIENT, 10, "SIGNATURE_INVALID"),
        (CLIENT, -10, "SIGNATURE_INVALID"),
        (CLIENT, 0.5, "done"),
        (CLIENT, -0.5, "done"),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_what_our_client_signs_by_other_clocks(
    deployment: SignedDeployment,
    monkeypatch: pytest.MonkeyPatch,
    of: str,
    minutes: float,
    code: str,
    large: bool,
) -> None:
    """What is not proven takes no op_id, so it runs once the clock is right."""
    command = put("a", b"x" * (70_000 if large else 1))
    client = deployment.client(deployment.keys[OWNER])
    with monkeypatch.context() as patch:
        patch.setattr(f"{of}.time", Shifted(60 * minutes))
        client.submit(command)
        deployment.run_all()
    assert deployment.code(command) == code
    if code != "done":
        outcome = deployment.outcome(command)
        assert outcome is not None
        assert outcome.error is not None
        assert "clocks" in outcome.error.message, outcome.error.message
        assert deployment.stored() == 0
        client.submit(command)
        deployment.run_all()
        assert deployment.code(command) == "done"


def test_what_was_refused_may_be_submitted_again_with_the_same_signature(
    deployment: SignedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is within a second, when what was wrong is mended."""
    command, client, now = put("a"), deployment.client(deployment.keys[OWNER]), time.time()
    monkeypatch.setattr(f"{CLIENT}.time", SimpleNamespace(time=lambda: now))
    with monkeypatch.context() as patch:
        patch.setattr(f"{WORKER}.time", Shifted(-600))
        client.submit(command)
        deployment.run_all()
    assert deployment.code(command) == "SIGNATURE_INVALID"
    client.submit(command)
    deployment.run_all()
    assert deployment.code(command) == "done"


@pytest.mark.parametrize(
    ("minutes", "signed", "code"),
    [
        # The worker's clock, and `iat` and `exp` in minutes from now by the signer's.
        (10, (0, 5), "SIGNATURE_INVALID"),
        (10, (0, 15), "done"),
        (-10, (0, 5), "SIGNATURE_INVALID"),
        (-10, (-11, 5), "done"),
        (0, (0.5, 5), "done"),
        (0, (5, 10), "SIGNATURE_INVALID"),
        (0, (-5, -0.1), "done"),
        (0, (-10, -5), "SIGNATURE_INVALID"),
    ],
)
def test_what_others_sign_by_other_clocks(
    deployment: SignedDeployment,
    monkeypatch: pytest.MonkeyPatch,
    minutes: float,
    signed: tuple[float, float],
    code: str,
) -> None:
    now, command = time.time(), put("a")
    issued, expires = (int(now + 60 * each) for each in signed)
    monkeypatch.setattr(f"{WORKER}.time", Shifted(60 * minutes))
    deployment.carry(token(deployment.keys[OWNER], command, iat=issued, exp=expires))
    if code == "done":
        assert deployment.code(command) == "done"
    else:
        [letter] = deployment.client(None).dead.find(Which())
        assert (letter.ref, letter.code) == (command.ref, code)
        # It has not taken its op_id.
        monkeypatch.setattr(f"{WORKER}.time", Shifted(0))
        other = put("a", b"other", op_id=command.op_id)
        deployment.carry(token(deployment.keys[OWNER], other))
        assert deployment.code(other) == "done"


def test_an_op_id_that_was_purged_is_free_for_another_command_and_not_for_the_old_one(
    deployment: SignedDeployment,
) -> None:
    """While the first signature is still valid."""
    first, second = put("a", b"one", op_id="one"), put("a", b"second", op_id="one")
    client = deployment.client(deployment.keys[OWNER])
    old = token(deployment.keys[OWNER], first, exp=int(time.time()) + 3000)
    route = deployment.registry.get(first.scope)
    assert route is not None
    change = Change(actor="test", reason="test", change_id=new_op_id())
    deployment.registry.delete(first.scope, change)
    deployment.carry(old)
    assert deployment.code(first) == "ROUTE_NOT_FOUND"
    assert client.dead.purge([first.ref]) == [first.ref]
    deployment.registry.set(
        first.scope,
        route.target,
        Change(actor="test", reason="test", change_id=new_op_id()),
    )
    deployment.carry(old)
    assert deployment.ledger.records([first.ref])[0] is None
    client.submit(second)
    deployment.run_all()
    assert deployment.code(second) == "done"
    for _ in range(2):
        deployment.carry(old)
        forget_old(deployment.state, timedelta(0))
        assert (deployment.content(second) or b"").endswith(b"second")

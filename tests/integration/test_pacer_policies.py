"""A policy that the pacer cannot read holds up its own tenant alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from signalbox.commands.ledger.entry import Action, Finish, Intent, Ticket, Wake
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.object_store import HeadObject
from signalbox.commands.settings import Settings
from signalbox.commands.state import connect
from signalbox.producers.broker.publisher import Publisher, make_app
from signalbox.routing.registry.keys import TAG
from signalbox.workers.maintenance.pacer import Pacer


def test_a_policy_of_a_later_release_holds_up_no_other_tenant(
    state_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, settings = connect(state_url), Settings(state_url=state_url)
    state.server().flushall()
    ledger = Ledger(state, settings)
    for tenant in ("t_a", "t_b", "t_c"):
        read = HeadObject(tenant_id=tenant, env="dev", key="k", op_id="one")
        ledger.submit([Intent(read, "q")])
        ledger.claim([Ticket(read.ref, read.op)], token=tenant, worker="w")
        ledger.finish(tenant, [Finish(read.ref, tenant, Action.PACE, delay=timedelta(days=1))])
    later = {"tenant_id": "t_b", "terms": {"mode": "lab", "later": 1}, "revision": 1}
    state.server().hset(f"{TAG}:policies", "t_b", json.dumps(later))
    woken: list[str] = []

    def publish(_: Publisher, wakes: Sequence[Wake]) -> None:
        woken.extend(wake.ticket.ref for wake in wakes)

    monkeypatch.setattr(Publisher, "publish", publish)
    assert Pacer(make_app(settings), settings, "w").run_once() == 2
    assert sorted(woken) == ["t_a/dev/one", "t_c/dev/one"]
    state.close()

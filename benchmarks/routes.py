"""Many routes in a registry, soon: its own change script, a thousand calls in a round trip."""

from __future__ import annotations

import random

from signalbox.commands.model import new_op_id
from signalbox.commands.routing import RouteConfig
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.script import Script, run_pipeline
from signalbox.commands.state import State
from signalbox.routing.registry.change import Change
from signalbox.routing.registry.event import EventData, make_event
from signalbox.routing.registry.keys import TAG
from signalbox.routing.registry.records import new_epoch
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget, route_after

_CHANGE = Script("signalbox.routing.registry", "change.lua")
_STEP = 1000


def tenant(number: int) -> str:
    return f"t_{number:06}"


def by() -> Change:
    """Who makes a change, as each change says."""
    return Change(actor="bench", reason="bench", change_id=new_op_id())


def scopes_of(tenants: int) -> list[Scope]:
    """A scope of every kind for each tenant."""
    return [
        Scope(kind=kind, tenant_id=tenant(number), env="prod")
        for number in range(tenants)
        for kind in ResourceKind
    ]


def load(client: State, scopes: list[Scope], config: RouteConfig) -> None:
    """Set a route for each scope in an empty registry; each is an event of the chain."""
    target = RouteTarget("filesystem", config, Mode.LAB).document()
    head, prev = Registry(client).head(), ""
    epoch = head.epoch or new_epoch()
    calls = []
    for revision, scope in enumerate(scopes, start=1):
        data = EventData(
            actor="bench", reason="bench", before=None, after=target, change_id=f"load-{revision}"
        )
        event = make_event("set", scope.field, data, epoch=epoch, revision=revision, prev=prev)
        arguments = [
            data.change_id,
            epoch,
            revision - 1,
            prev,
            event.model_dump_json(exclude={"committed_at"}),
            epoch,
            event.hash,
            scope.field,
            "set",
            route_after(scope, event).model_dump_json(),
            "bench",
            "",
            60_000,
        ]
        prev = event.hash
        calls.append(_CHANGE.call([TAG], arguments))
        if len(calls) == _STEP or revision == len(scopes):
            answers = run_pipeline(client, calls, [_CHANGE])
            if any(answer[0] != b"ok" for answer in answers):
                raise RuntimeError("the registry was not empty, or is changed by another")
            calls = []


def shuffled(scopes: list[Scope]) -> list[Scope]:
    """In an order in which no two neighbours stand together in memory."""
    return random.Random(1).sample(scopes, len(scopes))

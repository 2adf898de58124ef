"""A route switched hundreds of times under a stream of puts: never a command on an old route."""

from __future__ import annotations

import bisect
import threading
from pathlib import Path

from signalbox.adapters.catalogue import find_backend
from signalbox.adapters.object_store import ObjectStore
from signalbox.adapters.port import AdapterContext, Call
from signalbox.commands.object_store import GetObject, PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.payload import DirectoryPayloadStore, InlinePayload
from signalbox.commands.scope import Mode, ResourceKind
from signalbox.routing.route import RouteTarget
from tests.integration.conftest import TIMEOUT, RunningStack, object_scope
from tests.integration.operating import by
from tests.size import size

SWITCHES, PUTS_EACH, TENANT = size(600, 1000), size(600, 2000), "t_switch"
FOLDERS = ("left", "right")


def test_no_command_runs_on_a_route_older_than_the_one_at_its_claim(
    four_workers: RunningStack,
) -> None:
    four_workers.route_to_folder(TENANT, FOLDERS[0])
    outcomes: list[Outcome] = []
    switched = threading.Event()

    def put_stream(name: str) -> None:
        with four_workers.client() as client:
            number = 0
            # At least so many, and for as long as the route is being switched.
            while number < PUTS_EACH or not switched.is_set():
                run = [_put(f"{name}/{number + n:05}") for n in range(5)]
                number += len(run)
                for outcome in client.wait(client.submit_many(run), TIMEOUT):
                    assert outcome is not None
                    outcomes.append(outcome)

    streams = [threading.Thread(target=put_stream, args=(name,)) for name in ("one", "two")]
    for stream in streams:
        stream.start()
    registry, scope = four_workers.registry(), object_scope(TENANT)
    for number in range(SWITCHES):
        registry.switch(
            scope,
            RouteTarget(
                "filesystem",
                {"base_dir": str(four_workers.data / FOLDERS[(number + 1) % 2])},
                Mode.LAB,
            ),
            by("test", "flip"),
        )
    switched.set()
    for stream in streams:
        stream.join()

    assert [o.error for o in outcomes if o.error] == []
    events = [e for e in registry.events(0, limit=10 * SWITCHES) if e.subject == scope.field]
    changes = [(event.committed_at, event.revision) for event in events]
    times = [at for at, _ in changes if at is not None]
    stale = [
        outcome
        for outcome in outcomes
        # The newest change that was committed before the claim, by the same Redis clock.
        if (outcome.route_revision or 0)
        < changes[bisect.bisect_right(times, outcome.claimed_at) - 1][1]
    ]
    assert stale == []
    assert len({o.route_revision for o in outcomes}) > 50, "the route hardly changed meanwhile"

    config_at = {event.revision: event.data.after for event in events}
    stores = {folder: _open(four_workers, folder) for folder in FOLDERS}
    for outcome in outcomes:
        after = config_at[outcome.route_revision or 0]
        assert after is not None
        store = stores[Path(after["config"]["base_dir"]).name]
        assert _read(store, four_workers, outcome.subject) == outcome.subject.encode()
    for store in stores.values():
        store.close()


def _put(key: str) -> PutObject:
    return PutObject(tenant_id=TENANT, env="dev", key=key, payload=InlinePayload(data=key.encode()))


def _open(running: RunningStack, folder: str) -> ObjectStore:
    """The backend itself, past queue and route."""
    backend = find_backend(ResourceKind.OBJECT_STORE, "filesystem")
    config = {"base_dir": str(running.data / folder)}
    context = AdapterContext(scope=object_scope(TENANT), mode=Mode.LAB, config=config)
    store: ObjectStore = backend.open(context)
    return store


def _read(store: ObjectStore, running: RunningStack, key: str) -> bytes:
    call = Call("test", 0, False, float("inf"), DirectoryPayloadStore(running.data))
    stream = store.get(GetObject(tenant_id=TENANT, env="dev", key=key), call)
    try:
        return stream.body.read()
    finally:
        stream.body.close()

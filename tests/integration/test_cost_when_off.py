"""With signatures `off`, commands cost what they cost without a trust file: calls are counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.proof import manifest, statement, tree
from signalbox.commands.proof.keys import PrivateKey, PublicKey
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import administrator
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.wire import Ring, all_queues
from signalbox.producers.client.client import Client
from signalbox.routing.route import RouteTarget
from signalbox.workers.app import app
from signalbox.workers.runtime import Runtime
from tests.integration.round_trips import round_trips
from tests.integration.signed_deployment import HERE, OWNER, mute, principal, put
from tests.integration.signed_registry import change

BATCH, BATCHES = 100, 5
PRIMITIVES: list[tuple[Any, str]] = [
    (PrivateKey, "sign"),
    (PublicKey, "verifies"),
    *((module, name) for module in (tree, manifest) for name in ("leaf", "group_hash")),
    (statement, "canonical"),
]
"""Whatever signs, verifies, or hashes a command for either."""


@pytest.fixture
def state(state_url: str) -> Iterator[State]:
    with connect(state_url, ledger_shards=4) as client:
        client.server().flushall()
        yield client


@contextmanager
def counted_primitives() -> Iterator[list[str]]:
    """Yield the names of those that are called meanwhile."""
    calls: list[str] = []

    def counting(name: str, its: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            calls.append(name)
            return its(*given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in PRIMITIVES:
            patch.setattr(owner, name, counting(name, getattr(owner, name)))
        yield calls


class Site:
    """A worker and a client in this process, over an empty state."""

    def __init__(self, folder: Path, state: State, signatures: Signatures | None) -> None:
        """With None there is no trust file. With `required`, the client has a key."""
        folder.mkdir()
        state.server().flushall()
        given: dict[str, Any] = {"payload_dir": folder / "payloads", "tenant_shards": 1}
        admin, producer = PrivateKey.new(), PrivateKey.new()
        if signatures is not None:
            trusted = {"keys": [administrator("alice", admin.public)], "signatures": signatures}
            folder.joinpath("trust.json").write_text(json.dumps(trusted))
            admin.save(folder / "admin.json")
            producer.save(folder / "producer.json")
            given |= {"trust_file": folder / "trust.json", "audience": HERE}
        self.settings = Settings.model_validate(given)
        self.state = state
        keys = {"key_file": folder / "admin.json"} if signatures is not None else {}
        setting = Runtime(app, self.settings.model_copy(update=keys), state, worker="setting")
        if signatures is not None:
            setting.registry.principals.add(principal(OWNER, producer), change())
        setting.registry.set(
            Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=OWNER, env="prod"),
            RouteTarget("filesystem", {"base_dir": str(folder / "data")}, Mode.LAB),
            change(),
        )
        setting.close()
        self.runtime = Runtime(app, self.settings, state, worker="w")
        signs = signatures is Signatures.REQUIRED
        keys = {"key_file": folder / "producer.json"} if signs else {}
        self.client = Client(self.settings.model_copy(update=keys), app=app, state=state)
        mute(self.client)

    def run(self, name: str) -> None:
        """Submit a batch, run it, and see that all of it was done."""
        commands = [put(f"{name}/{number}") for number in range(BATCH)]
        self.client.submit_many(commands)
        shards = self.client.ledger.shards.tags
        for queue in all_queues(1):
            self.runtime.drains.run(Ring(tuple(shards), queue))
        outcomes = self.client.ledger.outcomes([command.ref for command in commands])
        assert [outcome and outcome.status for outcome in outcomes] == ["done"] * BATCH

    def calls(self, step: Callable[[], None]) -> dict[str, int]:
        """The commands that the server runs in this step, those of scripts among them, and the
        round trips."""
        server: Any = self.state.server()
        server.config_resetstat()
        with round_trips() as trips:
            step()
        found = server.info("commandstats").items()
        counts = {name.removeprefix("cmdstat_"): int(its["calls"]) for name, its in found}
        own = {name: n for name, n in counts.items() if not name.startswith(("config", "info"))}
        return own | {"round trips": len(trips)}

    def steady(self) -> tuple[dict[str, int], list[str]]:
        """The calls of a batch once everything is known, and of the primitives of all batches.

        Some calls come by the clock, so the fewest of several batches count.
        """
        self.run("warm")
        self.run("warmer")
        with counted_primitives() as primitives:
            batches = [self.calls(partial(self.run, f"b{number}")) for number in range(BATCHES)]
        names = set().union(*batches)
        fewest = {name: min(each.get(name, 0) for each in batches) for name in names}
        return {name: calls for name, calls in fewest.items() if calls}, primitives

    def close(self) -> None:
        self.client.close()
        self.runtime.close()


def measured(folder: Path, state: State, signatures: Signatures | None) -> Any:
    site = Site(folder / str(signatures), state, signatures)
    try:
        return site.steady()
    finally:
        site.close()


def test_off_costs_a_batch_no_call_of_the_state_and_no_signature(
    tmp_path: Path, state: State
) -> None:
    without, nothing = measured(tmp_path, state, None)
    off, nothing_either = measured(tmp_path, state, Signatures.OFF)
    assert nothing == nothing_either == []
    assert without["round trips"] > 1
    assert without["evalsha"] > 1
    assert off == without
    # What is counted is seen where there is something to count.
    _, primitives = measured(tmp_path, state, Signatures.REQUIRED)
    assert {"sign", "verifies", "leaf", "group_hash"} <= set(primitives)

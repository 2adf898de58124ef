"""Deployments to attack: in this process, and in processes of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from signalbox.commands.envelope import read_call
from signalbox.commands.ledger.ledger import Ledger
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.principal import Role
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import Trust, administrator, trust_of
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.settings import Settings
from signalbox.commands.state import State, connect
from signalbox.commands.wire import read_message
from signalbox.producers.broker.message_check import open_item
from signalbox.producers.client.client import Client
from signalbox.routing.policy.policy import Quotas, Terms
from signalbox.routing.registry.registry import Registry
from signalbox.routing.route import RouteTarget
from signalbox.workers.execution.authors import Authors, AuthorsAt
from tests.integration.attacks.ledger_writes import QUEUE
from tests.integration.conftest import RunningStack, start_stack, wait_until
from tests.integration.signed_deployment import HERE, NEIGHBOUR, OWNER, SignedDeployment, principal
from tests.integration.signed_registry import change

OBJECTS = 10**7
"""What the owner's policy allows at first."""


class Keyring:
    """The keys of a deployment that is attacked, and its trust file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ("admin", "operator", "gateway", OWNER, NEIGHBOUR)
        self.keys = {name: PrivateKey.new() for name in names}
        self.files = {name: folder / f"{name}.key" for name in names}
        for name, key in self.keys.items():
            key.save(self.files[name])
        self.trust_file = folder / "trust.json"
        administrators = [administrator("alice", self.keys["admin"].public)]
        document = {"keys": administrators, "signatures": Signatures.REQUIRED.value}
        self.trust_file.write_text(json.dumps(document))

    def begin(self, registry: Registry) -> None:
        """Add the principals, and the owner's policy."""
        for tenant in (OWNER, NEIGHBOUR):
            its = principal(tenant, self.keys[tenant])
            # The attacker's own may do everything in his tenant.
            roles = (Role.PRODUCER, Role.OPERATOR) if tenant == NEIGHBOUR else (Role.PRODUCER,)
            registry.principals.add(its.model_copy(update={"roles": roles}), change())
        operator = principal(OWNER, self.keys["operator"])
        named = {"name": "operator", "roles": (Role.OPERATOR,)}
        registry.principals.add(operator.model_copy(update=named), change())
        gateway = principal(OWNER, self.keys["gateway"])
        granted: dict[str, Any] = {
            "name": "gateway",
            "roles": (Role.PRODUCER, Role.OPERATOR),
            "tenants": (OWNER, NEIGHBOUR),
        }
        registry.principals.add(gateway.model_copy(update=granted), change())
        registry.policies.set(OWNER, Terms(quotas=Quotas(objects=OBJECTS)), change())


class AttackedDeployment(SignedDeployment):
    """A site in this process, with a signed registry."""

    def __init__(self, folder: Path, state: State) -> None:
        self.ring = Keyring(folder)
        self.evil = folder / "evil"
        super().__init__(folder, state)
        self.ring.begin(self.registry)

    def keys_of_tenants(self) -> dict[str, PrivateKey]:
        return {tenant: self.ring.keys[tenant] for tenant in (OWNER, NEIGHBOUR)}

    def more_settings(self) -> dict[str, Any]:
        return {"trust_file": self.ring.trust_file}

    @property
    def trust(self) -> Trust:
        return _trust(self.settings)

    @property
    def operator(self) -> PrivateKey:
        return self.ring.keys["operator"]

    @property
    def registry(self) -> Registry:
        return _as_admin(self.state, self.settings, self.ring)

    def authors(self) -> AuthorsAt:
        rosters = self.runtime.registry.rosters
        assert rosters is not None
        return Authors(self.trust, rosters)

    def queues(self) -> list[str]:
        return [QUEUE]

    def receive(self, item: bytes) -> None:
        limit = self.settings.message_limit_bytes
        call = read_call(open_item(item, limit)[1], limit)
        self.runtime.executor.execute(
            read_message(call.task, call.id, call.keywords, 1, call.arguments)
        )

    def wait_until_idle(self) -> None:
        """Until no open command is left: what came while the registry was forged waits a while."""

        def idle() -> bool:
            self.run_all()
            return self.ledger.totals()["open"] == 0

        wait_until(idle, "no open command")

    def settled(self, *commands: PutObject) -> list[Outcome | None]:
        refs = [each.ref for each in commands]

        def have_run() -> bool:
            self.run_all()
            return None not in self.ledger.outcomes(refs)

        wait_until(have_run, "all have outcomes")
        return self.ledger.outcomes(refs)


class RunningSite:
    """A site of a stack's own processes: one worker, so that it remembers what it has run."""

    def __init__(self, running: RunningStack, ring: Keyring) -> None:
        self.running, self.ring = running, ring
        self.settings: Settings = running.settings
        self.state = connect(self.settings.state_url)
        self.keys = {tenant: ring.keys[tenant] for tenant in (OWNER, NEIGHBOUR)}
        self.operator = ring.keys["operator"]
        self.evil = ring.folder / "evil"
        self.trust = _trust(self.settings)
        self.registry = _as_admin(self.state, self.settings, ring)
        self.ledger = Ledger(self.state, self.settings)
        self._broker = connect(self.settings.broker_url)

    def client(self, key: PrivateKey | None) -> Client:
        [path] = [None] if key is None else [
            self.ring.files[name] for name, each in self.ring.keys.items() if each == key
        ]  # fmt: skip
        return Client(self.settings.model_copy(update={"key_file": path}))

    def receive(self, item: bytes) -> None:
        queue = json.loads(item)["properties"]["delivery_info"]["routing_key"]
        self._broker.server().lpush(queue, item)

    def run_all(self) -> None:
        """They do."""

    def settled(self, *commands: PutObject) -> list[Outcome | None]:
        refs = [each.ref for each in commands]
        wait_until(lambda: None not in self.ledger.outcomes(refs), "all have outcomes")
        return self.ledger.outcomes(refs)

    def wait_until_idle(self) -> None:
        """Until no message and no open command is left."""
        server = self._broker.server()

        def idle() -> bool:
            queued = sum(server.llen(key) for key in server.scan_iter("*.0", _type="list"))
            return queued + server.hlen("unacked") + self.ledger.totals()["open"] == 0

        wait_until(idle, "no message and no open command")


@contextmanager
def running_site(folder: Path) -> Iterator[RunningSite]:
    ring = Keyring(folder)
    its = {
        "SIGNALBOX_TRUST_FILE": str(ring.trust_file),
        "SIGNALBOX_AUDIENCE": HERE,
        "SIGNALBOX_TENANT_SHARDS": "1",
    }
    with start_stack(folder / "stack", workers=1, **its) as running:  # type: ignore[arg-type]
        site = RunningSite(running, ring)
        for tenant in (OWNER, NEIGHBOUR):
            site.registry.set(
                Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="prod"),
                RouteTarget("filesystem", {"base_dir": str(folder / tenant)}, Mode.LAB),
                change(),
            )
        ring.begin(site.registry)
        with closing(site.state):
            yield site


def _as_admin(state: State, settings: Settings, ring: Keyring) -> Registry:
    with_key = settings.model_copy(update={"key_file": ring.files["admin"]})
    return Registry(state, trust_of(with_key))


def _trust(settings: Settings) -> Trust:
    found = trust_of(settings)
    assert found is not None
    return found

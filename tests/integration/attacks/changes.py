"""Attacks by who can write the registry: events and records written by hand.

Each would lead the owner's data into a folder of the attacker's, lift what the policy says, or make
the attacker a principal who may.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from signalbox.commands.proof.keys import PrivateKey, encode
from signalbox.commands.proof.principal import PrincipalKey
from signalbox.commands.scope import Mode, ResourceKind, Scope
from signalbox.commands.state import State
from signalbox.routing.policy.policy import Quotas, Terms, policy_after, policy_subject
from signalbox.routing.registry.event import EventData, Kind, StreamEvent, make_event
from signalbox.routing.registry.proof import digest_of, signed_event
from signalbox.routing.registry.record_tree import EMPTY_ROOT, TREE, TreePath, tree_fields
from signalbox.routing.registry.roster import ROSTER, Roster, principal_subject, roster_after
from signalbox.routing.registry.tombstone import tombstone_after
from signalbox.routing.route import RouteTarget, route_after
from tests.integration.attacks.attacker import Attacker, Draw
from tests.integration.attacks.forgery import Forgery
from tests.integration.signed_deployment import NEIGHBOUR, OWNER, principal
from tests.integration.signed_registry import FENCES, POLICIES, ROUTES, change
from tests.integration.signed_registry import ROSTER as ROSTER_KEY

SCOPE, THEIRS = (
    Scope(kind=ResourceKind.OBJECT_STORE, tenant_id=tenant, env="prod")
    for tenant in (OWNER, NEIGHBOUR)
)
OBJECTS = 10**6
"""What the owner's policy allows, once the attacker has seen one that allowed more."""
GONE = "{rt}:gone"
Make = Callable[[StreamEvent], BaseModel]
"""The record that an event makes."""


@dataclass(frozen=True)
class Wish:
    """A change that the attacker would like to have made."""

    kind: Kind
    subject: str
    op: str
    after: dict[str, Any] | None
    key: str
    """Where its record stands."""
    field: str
    fence: str
    """Name of its fence."""
    make: Make
    in_tree: bool = True


class Changes:
    """Draws changes for an attacker."""

    def __init__(self, attacker: Attacker) -> None:
        self.attacker, self.operator = attacker, attacker.site.operator
        self.random, self.state = attacker.random, attacker.site.state
        self.honest: RouteTarget
        """Where the owner's data go."""
        self.kinds: dict[str, Draw] = {
            name: self.forged(draw) for name, draw in attacker.operators.by_signature().items()
        }
        self.kinds |= {
            "unsigned": self.unsigned,
            "without times": self.without_times,
            "number of the future": self.renumbered,
            "number of the past": self.renumbered,
            "signature of something else": self.of_something_else,
            "record changed": self.edited,
            "record of a neighbour": self.neighbours,
            "replayed": self.older,
            "replayed, with its event": self.older_with_event,
            "removed": self.removed,
            "not readable": self.unreadable,
            "another epoch": self.epoch,
        }

    def observe(self) -> None:
        """Honest changes are made; the attacker has copied what was there before."""
        self.older_records = [
            (key, field, self.state.call("HGET", key, field), fence,
             self.state.call("HGET", FENCES, fence))
            for key, field, fence in (
                (ROUTES, SCOPE.field, SCOPE.field),
                (POLICIES, OWNER, policy_subject(OWNER)),
                (ROSTER_KEY, "all", ROSTER),
            )
        ]  # fmt: skip
        self.older_head = self.state.call("HGETALL", "{rt}:head")
        registry = self.attacker.site.registry
        route = registry.get(SCOPE)
        assert route is not None
        self.honest = RouteTarget(
            "filesystem", {"base_dir": f"{route.config['base_dir']}/now"}, Mode.LAB
        )
        registry.switch(SCOPE, self.honest, change())
        registry.policies.set(OWNER, Terms(quotas=Quotas(objects=OBJECTS)), change())
        registry.principals.rotate(
            self.attacker.names[self.attacker.keys.reader.kid],
            change(),
            add=PrincipalKey(x=encode(PrivateKey.new().public.raw)),
        )

    # What he would like.

    def wish(self) -> Wish:
        return self.random.choice([self.route, self.policy, self.roster, self.deletion])()

    def route(self) -> Wish:
        target = RouteTarget("filesystem", {"base_dir": str(self.attacker.site.evil)}, Mode.LAB)
        kind: Kind = self.random.choice(["set", "switched"])
        op = {"set": "routing.set", "switched": "routing.switch"}[kind]
        field = SCOPE.field
        return Wish(
            kind, field, op, target.document(), ROUTES, field, field,
            lambda event: made(route_after(SCOPE, event)),
        )  # fmt: skip

    def policy(self) -> Wish:
        subject = policy_subject(OWNER)
        after = Terms().model_dump(mode="json")
        return Wish(
            "policy_set", subject, "policy.set", after, POLICIES, OWNER, subject,
            lambda event: policy_after(OWNER, event),
        )  # fmt: skip

    def deletion(self) -> Wish:
        field = SCOPE.field
        return Wish("deleted", field, "routing.delete", None, GONE, field, field, tombstone_after)

    def roster(self) -> Wish:
        """The attacker's own principal gets all tenants."""
        own = self.attacker.own
        name = self.attacker.names[own.kid]
        granted = principal(OWNER, own).model_copy(update={"name": name, "tenants": ("*",)})
        before = Roster.model_validate_json(self.state.call("HGET", ROSTER_KEY, "all"))
        return Wish(
            "principal_granted", principal_subject(name), "principal.change",
            granted.model_dump(mode="json"), ROSTER_KEY, "all", ROSTER,
            lambda event: roster_after(before, granted, event), in_tree=False,
        )  # fmt: skip

    # How he goes about it.

    def forged(self, draw: Callable[[], Forgery]) -> Draw:
        def write() -> None:
            wish = self.wish()
            self.write(wish, self.event(wish, draw().of))

        return write

    def unsigned(self) -> None:
        wish = self.wish()
        event = self.event(wish, str).model_copy(update={"proof": None, "hash": ""})
        self.write(wish, event.model_copy(update={"hash": event.digest()}))

    def without_times(self) -> None:
        time = self.random.choice([None, True, "0", 1e300, 2**60])
        forgery = Forgery(self.operator, {"iat": time})
        wish = self.wish()
        self.write(wish, self.event(wish, forgery.of))

    def renumbered(self) -> None:
        """The signature of a revision of another time, by who may sign the one."""
        by = self.random.choice([-3, -1, 1, 5, 2**40])
        wish = self.random.choice([self.route, self.policy])()
        event = self.event(wish, str, by=by)
        head = self.attacker.site.registry.head()
        again = event.model_copy(update={"revision": head.revision + 1, "hash": ""})
        self.write(wish, again.model_copy(update={"hash": again.digest()}))

    def of_something_else(self) -> None:
        """The event under the signature of an honest one, or of a message."""
        site = self.attacker.site
        proofs = [event.proof for event in site.registry.events(0)[-20:] if event.proof]
        stolen = self.random.choice([*proofs, *self.attacker.loot.tokens])
        wish = self.wish()
        self.write(wish, self.event(wish, lambda _: stolen))

    def edited(self) -> None:
        """The record alone, with the fence as it is, or a newer one."""
        key, field, fence = self.random.choice(
            [(ROUTES, SCOPE.field, SCOPE.field), (POLICIES, OWNER, policy_subject(OWNER))]
        )
        document = json.loads(self.state.call("HGET", key, field))
        if key == ROUTES:
            document["config"] = {"base_dir": str(self.attacker.site.evil)}
        else:
            document["terms"] = {}
        if self.random.random() < 0.5:
            document["revision"] += 50
            self.state.call("HSET", FENCES, fence, f"{document['revision']}-{'f' * 16}")
        self.state.call("HSET", key, field, json.dumps(document))

    def neighbours(self) -> None:
        """The record of the attacker's own tenant, and its fence, for the owner's."""
        theirs = json.loads(self.state.call("HGET", ROUTES, THEIRS.field))
        if self.random.random() < 0.5:
            theirs["scope"] = json.loads(SCOPE.model_dump_json())
        fence = self.state.call("HGET", FENCES, THEIRS.field)
        self.state.call("HSET", ROUTES, SCOPE.field, json.dumps(theirs))
        self.state.call("HSET", FENCES, SCOPE.field, fence)

    def older(self) -> None:
        """A record from before a change, with its fence or under the new one."""
        key, field, record, fence, its = self.random.choice(self.older_records)
        self.state.call("HSET", key, field, record)
        if self.random.random() < 0.5:
            self.state.call("HSET", FENCES, fence, its)

    def older_with_event(self) -> None:
        """The same, and the head of the log from before."""
        self.older()
        flat = [part for pair in self.older_head.items() for part in pair]
        self.state.call("HSET", "{rt}:head", *flat)

    def removed(self) -> None:
        key, field, _, fence, _ = self.random.choice(self.older_records)
        self.state.call("HDEL", key, field)
        if self.random.random() < 0.5:
            self.state.call("HDEL", FENCES, fence)
        if self.random.random() < 0.3:
            self.state.call("DEL", TREE)

    def unreadable(self) -> None:
        key, field, record, fence, _ = self.random.choice(self.older_records)
        text = self.random.choice([
            b"", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, record[: len(record) // 2],
            b'{"config": {"base_dir": "/srv/evil"}, ' + record[1:],
        ])  # fmt: skip
        self.state.call("HSET", key, field, text)
        if self.random.random() < 0.5:
            self.state.call(
                "HSET", FENCES, fence, self.random.choice([b"", b"x", b"-", b"9" * 400])
            )

    def epoch(self) -> None:
        """An epoch that the attacker begins, so that workers forget what they know."""
        later = "ffffffff-0000-7000-8000-000000000000"
        self.state.call("HSET", FENCES, "@epoch", f"{later}/1-{'f' * 16}")
        self.state.call("HSET", "{rt}:head", "epoch", later)
        self.older()

    # What that takes.

    def event(self, wish: Wish, forge: Callable[[str], str], by: int = 0) -> StreamEvent:
        """The event that goes on from the head, as the owner's operator would have signed it."""
        site = self.attacker.site
        head = site.registry.head()
        data = EventData(actor="ops", reason="x", before=None, after=wish.after, change_id="evil")
        revision = head.revision + 1 + by
        event = make_event(
            wish.kind, wish.subject, data, epoch=head.epoch, revision=revision, prev=head.hash
        )
        document = json.loads(wish.make(event).model_dump_json())
        root = EMPTY_ROOT
        if wish.in_tree:
            root = root_with(self.state, wish.subject, digest_of(document))
        event = signed_event(
            event, wish.op, document, root, site.trust, self.operator, roster=head.revision + 1
        )
        event = event.model_copy(update={"proof": forge(event.proof or ""), "hash": ""})
        return event.model_copy(update={"hash": event.digest()})

    def write(self, wish: Wish, event: StreamEvent) -> None:
        """What change.lua writes, by hand."""
        call = self.state.call
        fence = f"{event.revision}-{event.hash[:16]}"
        head = ("epoch", event.epoch, "rev", event.revision, "hash", event.hash)
        call("HSET", "{rt}:head", *head, "proof", event.proof or "")
        call("HSET", FENCES, "@epoch", f"{event.epoch}/{fence}", wish.fence, fence)
        text = event.model_dump_json(exclude={"committed_at"})
        row = ("event", text, "subject", event.subject, "at", 1)
        call("XADD", "{rt}:log", f"{event.revision}-0", *row)
        if wish.kind == "deleted":
            call("HDEL", ROUTES, wish.field)
        call("HSET", wish.key, wish.field, wish.make(event).model_dump_json())


def made(record: BaseModel | None) -> BaseModel:
    assert record is not None
    return record


def root_with(state: State, subject: str, digest: str) -> str:
    """The root of a tree in which the subject has a record of the attacker's, which is written."""
    nodes = state.call("HMGET", TREE, *tree_fields(subject))
    root, changed = TreePath.read(subject, nodes).with_record(digest)
    state.call("HSET", TREE, *[part for pair in changed.items() for part in pair])
    return root

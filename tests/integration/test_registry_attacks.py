"""Who can write everything into the state Redis redirects nobody, and what is noticed when.

The attacker knows the whole source, every record and event that there ever was, a key of nobody,
and where a test says so the key of an operator of another tenant. What is not noticed stands in
docs/security.md under the name that a test here has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.error import (
    RegistryRegressed,
    RegistryUnproven,
    RouteNotFound,
    SignalboxError,
)
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.scope import Mode, Scope
from signalbox.commands.state import State, connect
from signalbox.routing.audit.authorship import Authorship
from signalbox.routing.audit.fault import Fault
from signalbox.routing.cache import log_follower
from signalbox.routing.cache.log_follower import LogFollower
from signalbox.routing.cache.route_cache import RouteCache
from signalbox.routing.policy.policy import Quotas, Terms
from signalbox.routing.registry.event import EventData, StreamEvent, make_event
from signalbox.routing.registry.event_log import EventLog
from signalbox.routing.registry.proof import digest_of, signed_event
from signalbox.routing.registry.rebase import rebase
from signalbox.routing.registry.record_tree import EMPTY_ROOT, TREE, TreePath, tree_fields
from signalbox.routing.registry.registry import Registry
from signalbox.routing.registry.roster import EMPTY, Roster, roster_after
from signalbox.routing.route import Route, RouteTarget, route_after
from tests.integration.signed_registry import (
    ACME,
    ADMIN,
    FENCES,
    OPS,
    OTHER,
    OTHERS,
    POLICIES,
    ROSTER,
    ROUTES,
    THIEF,
    SignedRegistry,
    change,
    now,
    object_scope,
    principal,
    target,
    trust,
)

EVIL = "/srv/evil"


@pytest.fixture
def client(state_url: str) -> Iterator[State]:
    with connect(state_url) as client:
        client.server().flushdb()
        yield client


@pytest.fixture(autouse=True)
def _followers_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follower, "BLOCK_MS", 5)


@pytest.fixture
def signed(client: State, tmp_path: Path) -> SignedRegistry:
    signed = SignedRegistry(client, tmp_path)
    signed.begin()
    return signed


class Worker:
    """The part of a worker that decides where a command goes, with what it remembers."""

    def __init__(self, signed: SignedRegistry, floor: int = 0) -> None:
        self._client = signed.client
        self._registry = signed.by(None, floor)
        self._cache = RouteCache(self._registry, self._registry.policies)
        self._follower = LogFollower(self._cache, EventLog(signed.client), self._registry.rosters)

    def follow(self) -> None:
        """Let the worker read the log, as its thread does."""
        self._follower.run_once()

    def resolve(self, scope: Scope = ACME) -> Route:
        """Route and terms as a claim now finds them. Raises the error that the command gets."""
        seen = self._cache.position
        fields = ("@epoch", f"policy/{scope.tenant_id}", scope.field)
        found = self._client.call("HMGET", FENCES, *fields)
        read = [text.decode(errors="replace") if text else None for text in found]
        position, policy, fence = read
        error: SignalboxError | None = self._cache.enter(position, seen)
        if error is not None:
            raise error
        route = self._cache.resolve_many({scope: fence})[scope]
        terms = self._cache.terms_many({scope.tenant_id: policy})[scope.tenant_id]
        for found in (route, terms):
            if isinstance(found, SignalboxError):
                raise found
        assert isinstance(route, Route)
        self.terms = terms
        return route


def snapshot(client: State) -> dict[bytes, bytes | None]:
    server = client.server()
    return {key: server.dump(key) for key in server.scan_iter("{rt}*")}


def restore(client: State, saved: dict[bytes, bytes | None]) -> None:
    server = client.server()
    for key in list(server.scan_iter("{rt}*")):
        server.delete(key)
    for key, value in saved.items():
        server.restore(key, 0, value or b"")


def evil(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"config": {"base_dir": EVIL}}


def forged_event(
    signed: SignedRegistry,
    key: PrivateKey,
    kind: Any = "set",
    subject: str = ACME.field,
    **other: Any,
) -> StreamEvent:
    """An event that goes on from the head, signed with a key of the attacker's choice."""
    head = signed.by(None).head()
    after = other.pop("after", RouteTarget("filesystem", {"base_dir": EVIL}, Mode.LAB).document())
    data = EventData(actor="ops", reason="x", before=None, after=after, change_id="evil")
    fields: dict[str, Any] = {
        "epoch": head.epoch,
        "revision": head.revision + 1,
        "prev": head.hash,
    } | other
    event = make_event(kind, subject, data, **fields)
    record = route_after(ACME, event) if kind == "set" else None
    document = json.loads(record.model_dump_json()) if record else None
    root = root_with(signed, ACME.field, digest_of(document)) if document else EMPTY_ROOT
    return signed_event(event, "routing.set", document, root, trust(), key, roster=0)


def root_with(signed: SignedRegistry, subject: str, digest: str) -> str:
    """The root of a tree in which the subject has a record of the attacker's, which is written."""
    nodes = signed.client.call("HMGET", TREE, *tree_fields(subject))
    root, changed = TreePath.read(subject, nodes).with_record(digest)
    for name, value in changed.items():
        signed.client.call("HSET", TREE, name, value)
    return root


def write_event(signed: SignedRegistry, event: StreamEvent) -> None:
    """What change.lua writes, by hand."""
    call = signed.client.call
    fence = f"{event.revision}-{event.hash[:16]}"
    call("HSET", "{rt}:head", "epoch", event.epoch, "rev", event.revision, "hash", event.hash)
    call("HSET", "{rt}:head", "proof", event.proof or "")
    call("HSET", FENCES, "@epoch", f"{event.epoch}/{fence}", event.subject, fence)
    text = event.model_dump_json(exclude={"committed_at"})
    call(
        "XADD", "{rt}:log", f"{event.revision}-0", "event", text, "subject", event.subject, "at", 1
    )


def redirect(signed: SignedRegistry) -> None:
    signed.write(ROUTES, ACME.field, evil(signed.read(ROUTES, ACME.field)))


def redirect_and_raise_the_fence(signed: SignedRegistry) -> None:
    document = evil(signed.read(ROUTES, ACME.field)) | {"revision": 99}
    signed.write(ROUTES, ACME.field, document)
    signed.fence(ACME.field, 99)


def remove_the_signature(signed: SignedRegistry) -> None:
    document = evil(signed.read(ROUTES, ACME.field))
    del document["proof"]
    signed.write(ROUTES, ACME.field, document)


def sign_with_a_key_of_nobody(signed: SignedRegistry) -> None:
    event = forged_event(signed, THIEF)
    write_event(signed, event)
    signed.write(ROUTES, ACME.field, route_after(ACME, event).model_dump_json())


def sign_as_operator_of_another_tenant(signed: SignedRegistry) -> None:
    event = forged_event(signed, OTHER)
    write_event(signed, event)
    signed.write(ROUTES, ACME.field, route_after(ACME, event).model_dump_json())


def swap_between_tenants(signed: SignedRegistry) -> None:
    document = signed.read(ROUTES, OTHERS.field)
    signed.write(ROUTES, ACME.field, document)
    signed.client.call("HSET", FENCES, ACME.field, signed.client.call("HGET", FENCES, OTHERS.field))


def swap_and_rename(signed: SignedRegistry) -> None:
    swap_between_tenants(signed)
    scope = json.loads(ACME.model_dump_json())
    signed.write(ROUTES, ACME.field, signed.read(ROUTES, ACME.field) | {"scope": scope})


def move_the_signature_to_another_record(signed: SignedRegistry) -> None:
    document = evil(signed.read(ROUTES, ACME.field))
    signed.write(
        ROUTES, ACME.field, document | {"proof": signed.read(ROUTES, OTHERS.field)["proof"]}
    )


def two_configs_in_one_record(signed: SignedRegistry) -> None:
    text = json.dumps(signed.read(ROUTES, ACME.field))
    signed.write(ROUTES, ACME.field, '{"config": {"base_dir": "/srv/evil"}, ' + text[1:])


def a_record_of_an_event_of_another_kind(signed: SignedRegistry) -> None:
    signed.write(ROUTES, ACME.field, signed.client.call("HGET", ROSTER, "all"))


def a_record_that_is_a_bomb(signed: SignedRegistry) -> None:
    signed.write(ROUTES, ACME.field, "[" * 200_000)


def no_record(signed: SignedRegistry) -> None:
    signed.client.call("HDEL", ROUTES, ACME.field)


def no_record_and_a_newer_fence(signed: SignedRegistry) -> None:
    no_record(signed)
    signed.fence(ACME.field, 99)


def a_forged_deletion(signed: SignedRegistry) -> None:
    no_record(signed)
    event = forged_event(signed, THIEF, "deleted", after=None)
    signed.fence(ACME.field, event.revision, event.hash[:16])
    signed.write(
        "{rt}:gone",
        ACME.field,
        event.model_dump_json(include={"subject", "revision", "hash", "proof"}),
    )


def a_fence_that_is_none(signed: SignedRegistry) -> None:
    redirect(signed)
    signed.client.call("HSET", FENCES, ACME.field, b"\xff\xfe")


def a_policy_that_lifts_the_quota(signed: SignedRegistry) -> None:
    document = signed.read(POLICIES, "t_acme")
    signed.write(POLICIES, "t_acme", document | {"terms": {}})


def the_policy_of_another_tenant(signed: SignedRegistry) -> None:
    signed.write(POLICIES, "t_acme", signed.read(POLICIES, "t_other"))
    signed.client.call(
        "HSET", FENCES, "policy/t_acme", signed.client.call("HGET", FENCES, "policy/t_other")
    )


def no_policy(signed: SignedRegistry) -> None:
    signed.client.call("HDEL", POLICIES, "t_acme")


def add_a_principal(signed: SignedRegistry) -> None:
    roster = signed.read(ROSTER, "all")
    thief = json.loads(principal("thief", THIEF, tenants=["*"], roles=["admin"]).model_dump_json())
    signed.write(ROSTER, "all", roster | {"principals": roster["principals"] | {"thief": thief}})


def add_a_principal_without_a_signature(signed: SignedRegistry) -> None:
    add_a_principal(signed)
    roster = signed.read(ROSTER, "all")
    del roster["proof"]
    signed.write(ROSTER, "all", roster)


def sign_a_roster(key: PrivateKey) -> Callable[[SignedRegistry], None]:
    def run(signed: SignedRegistry) -> None:
        before = Roster.model_validate(signed.read(ROSTER, "all"))
        granted = principal("other", OTHER, tenants=["*"], roles=["admin"])
        head = signed.by(None).head()
        data = EventData(actor="x", reason="x", before=None, after={}, change_id="evil")
        event = make_event(
            "principal_granted",
            "principal/other",
            data,
            epoch=head.epoch,
            revision=head.revision + 1,
            prev=head.hash,
        )
        made = json.loads(roster_after(before, granted, event).model_dump_json())
        event = signed_event(
            event, "principal.change", made, EMPTY_ROOT, trust(), key, roster=event.revision
        )
        write_event(signed, event)
        signed.write(ROSTER, "all", roster_after(before, granted, event).model_dump_json())
        signed.fence("principals", event.revision, event.hash[:16])

    return run


def no_roster(signed: SignedRegistry) -> None:
    signed.client.call("HDEL", ROSTER, "all")


ATTACKS: dict[str, Callable[[SignedRegistry], None]] = {
    name.replace("_", " "): run
    for name, run in {
        **{
            each.__name__: each
            for each in (
                redirect,
                redirect_and_raise_the_fence,
                remove_the_signature,
                sign_with_a_key_of_nobody,
                sign_as_operator_of_another_tenant,
                swap_between_tenants,
                swap_and_rename,
                move_the_signature_to_another_record,
                two_configs_in_one_record,
                a_record_of_an_event_of_another_kind,
                a_record_that_is_a_bomb,
                no_record,
                no_record_and_a_newer_fence,
                a_forged_deletion,
                a_fence_that_is_none,
                a_policy_that_lifts_the_quota,
                the_policy_of_another_tenant,
                no_policy,
                add_a_principal,
                add_a_principal_without_a_signature,
                no_roster,
            )
        },
        "an operator grants himself all": sign_a_roster(OTHER),
        "a stranger grants an operator all": sign_a_roster(THIEF),
    }.items()
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("warm", [False, True], ids=["started", "at work"])
def test_nobody_is_redirected(signed: SignedRegistry, name: str, warm: bool) -> None:
    """A command that meets what was forged waits with a typed error, and runs once it is mended."""
    signed.by(OPS).policies.set("t_acme", Terms(quotas=Quotas(objects=5)), change())
    signed.by(OTHER).policies.set("t_other", Terms(), change())
    worker, honest = Worker(signed), snapshot(signed.client)
    if warm:
        worker.follow()
        assert worker.resolve().config == {"base_dir": str(signed.folder / "acme")}
    ATTACKS[name](signed)
    for look in range(3):
        if look == 1:
            with_follower(worker)
        try:
            route = worker.resolve()
        except (RegistryUnproven, RegistryRegressed) as error:
            assert error.waits and error.next_step  # noqa: PT017, PT018 - or it is the honest one
        else:
            # From the cache, by a fence that is the honest one's.
            assert route.config == {"base_dir": str(signed.folder / "acme")}
            assert isinstance(worker.terms, Terms)
            assert worker.terms.quotas.objects == 5
            assert warm
    restore(signed.client, honest)
    with_follower(worker)
    # Nothing that the attacker has written is remembered.
    assert worker.resolve().config == {"base_dir": str(signed.folder / "acme")}
    worker.follow()
    assert worker.resolve(OTHERS).config == {"base_dir": str(signed.folder / "other")}


def with_follower(worker: Worker) -> None:
    with suppress(RegistryUnproven, ValueError):  # as its thread does
        worker.follow()


def old_and_new(signed: SignedRegistry) -> tuple[bytes, bytes]:
    """An older record of the route with its fence; the route is a newer one then."""
    before = (
        signed.client.call("HGET", ROUTES, ACME.field),
        signed.client.call("HGET", FENCES, ACME.field),
    )
    signed.by(OPS).switch(ACME, target(signed.folder / "new"), change())
    return before


def test_an_older_record_is_refused_by_a_worker_that_has_seen_the_newer(
    signed: SignedRegistry,
) -> None:
    record, fence = old_and_new(signed)
    worker = Worker(signed)
    assert worker.resolve().config == {"base_dir": str(signed.folder / "new")}
    signed.write(ROUTES, ACME.field, record)
    signed.client.call("HSET", FENCES, ACME.field, fence)
    with pytest.raises((RegistryRegressed, RegistryUnproven)):
        worker.resolve()
    # Under the newer fence, even a worker that has just started refuses it.
    newer = signed.by(None).events(0)[-1]
    signed.fence(ACME.field, newer.revision, newer.hash[:16])
    with pytest.raises(RegistryUnproven, match="not the newest"):
        Worker(signed).resolve()


def test_an_older_roster_is_refused(signed: SignedRegistry) -> None:
    saved = snapshot(signed.client)
    before = (
        signed.client.call("HGET", ROSTER, "all"),
        signed.client.call("HGET", FENCES, "principals"),
    )
    worker = Worker(signed)
    assert worker.resolve()
    signed.by(ADMIN).principals.revoke("ops", change())
    revision = signed.by(None).head().revision
    with pytest.raises(RegistryUnproven, match="revoked"):
        worker.resolve()
    signed.write(ROSTER, "all", before[0])
    signed.client.call("HSET", FENCES, "principals", before[1])
    signed.client.call("HSET", FENCES, "@epoch", "0/1-x")  # so that it looks again
    with pytest.raises((RegistryUnproven, RegistryRegressed)):
        worker.resolve()
    # One that has just started refuses it by the newest event, which names the roster's revision.
    with pytest.raises(RegistryUnproven, match="older than the one that it was made under"):
        Worker(signed).resolve()
    # And with all that was there before, if the trust file names the revision of the revocation.
    restore(signed.client, saved)
    with pytest.raises(RegistryUnproven, match="below the trust file's floor"):
        Worker(signed, floor=revision).resolve()


def test_an_epoch_that_nobody_began_makes_no_worker_forget(signed: SignedRegistry) -> None:
    record, fence = old_and_new(signed)
    worker = Worker(signed)
    worker.follow()
    worker.resolve()
    later = "ffffffff-0000-7000-8000-000000000000"
    signed.client.call("HSET", FENCES, "@epoch", f"{later}/1-x")
    signed.client.call("HSET", "{rt}:head", "epoch", later)
    signed.write(ROUTES, ACME.field, record)
    signed.client.call("HSET", FENCES, ACME.field, fence)
    for _ in range(2):
        with pytest.raises((RegistryRegressed, RegistryUnproven)):
            worker.resolve()
        worker.follow()


@pytest.mark.parametrize("kind", ["rebased", "refused"])
def test_an_operator_who_is_no_administrator_begins_no_epoch(
    signed: SignedRegistry, kind: str
) -> None:
    """Nor by an event of another kind, which an operator of all tenants may make."""
    signed.by(ADMIN).principals.grant("ops", {"tenants": ("*",)}, change())
    worker = Worker(signed)
    worker.follow()
    later = "ffffffff-0000-7000-8000-000000000000"
    event = forged_event(signed, OPS, kind, "registry", epoch=later, after={"epoch": later})
    write_event(signed, event)
    signed.client.call("HSET", "{rt}:head", "rebased", event.model_dump_json())
    worker.follow()
    worker.follow()
    with pytest.raises(RegistryRegressed, match="no signed rebase"):
        worker.resolve()


def test_a_rebase_by_an_administrator_is_believed(signed: SignedRegistry) -> None:
    worker = Worker(signed)
    worker.follow()
    worker.resolve()
    saved = snapshot(signed.client)
    old_and_new(signed)
    worker.follow()
    worker.resolve()
    restore(signed.client, saved)
    with pytest.raises(RegistryRegressed):
        worker.resolve()
    rebase(signed.by(ADMIN), change())
    worker.follow()
    worker.follow()
    assert worker.resolve().config == {"base_dir": str(signed.folder / "acme")}


def test_an_event_written_by_hand_is_learnt_by_no_follower(signed: SignedRegistry) -> None:
    worker = Worker(signed)
    worker.follow()
    for key in (THIEF, OTHER):
        write_event(signed, forged_event(signed, key))
        with_follower(worker)
        with pytest.raises(RegistryUnproven):
            worker.resolve()


def test_who_changes_the_registry_does_not_go_on_from_what_was_forged(
    signed: SignedRegistry,
) -> None:
    write_event(signed, forged_event(signed, THIEF))
    with pytest.raises(RegistryUnproven, match="does not count"):
        signed.by(OPS).set(ACME, target(signed.folder / "acme"), change())
    # An administrator does, knowingly, and what an attacker wrote is replaced.
    signed.by(ADMIN).set(ACME, target(signed.folder / "acme"), change())
    assert Worker(signed).resolve().config == {"base_dir": str(signed.folder / "acme")}


def test_a_forged_route_is_mended_by_setting_it_again(signed: SignedRegistry) -> None:
    redirect(signed)
    worker = Worker(signed)
    with pytest.raises(RegistryUnproven):
        worker.resolve()
    signed.by(OPS).set(ACME, target(signed.folder / "acme"), change())
    assert worker.resolve().config == {"base_dir": str(signed.folder / "acme")}


def test_another_deployments_registry_does_not_count(signed: SignedRegistry) -> None:
    elsewhere = Registry(signed.client, trust().__class__("other", trust().administrators))
    with pytest.raises(RegistryUnproven, match="another deployment"):
        elsewhere.get(ACME)


def test_without_the_trust_file_nothing_is_checked(signed: SignedRegistry) -> None:
    """Each process needs it: one without believes what stands there."""
    redirect(signed)
    route = Registry(signed.client).get(ACME)
    assert route is not None
    assert route.config == {"base_dir": EVIL}


# What is not noticed, and by whom. The names stand in docs/security.md.


def not_noticed_an_older_record_that_an_operator_with_access_to_redis_put_back(
    signed: SignedRegistry,
) -> None:
    """By a worker that has just started: the operator of another tenant states the older tree."""
    at_work = Worker(signed)
    record, fence = old_and_new(signed)
    at_work.resolve()
    event = forged_event(signed, OTHER, "refused", OTHERS.field, after=None)
    root = root_with(signed, ACME.field, digest_of(json.loads(record)))
    event = signed_event(event, "routing.set", None, root, trust(), OTHER, roster=0)
    write_event(signed, event)
    authorship = Authorship(trust(), EMPTY)
    for each in signed.by(None).events(0):
        authorship.add(each)
    assert authorship.fault == Fault(event.revision, "it states another tree of records")
    signed.write(ROUTES, ACME.field, record)
    signed.client.call("HSET", FENCES, ACME.field, fence)
    with pytest.raises(RegistryRegressed):
        at_work.resolve()
    assert Worker(signed).resolve().config == {"base_dir": str(signed.folder / "acme")}


def not_noticed_an_older_whole_state_by_a_worker_that_has_just_started(
    signed: SignedRegistry,
) -> None:
    saved = snapshot(signed.client)
    old_and_new(signed)
    at_work = Worker(signed)
    at_work.follow()
    at_work.resolve()
    restore(signed.client, saved)
    started = Worker(signed)
    started.follow()
    assert started.resolve().config == {"base_dir": str(signed.folder / "acme")}
    with pytest.raises(RegistryRegressed):
        at_work.resolve()


def test_a_route_or_policy_that_is_withheld_is_missed(signed: SignedRegistry) -> None:
    signed.by(OPS).policies.set("t_acme", Terms(quotas=Quotas(objects=5)), change())
    at_work = Worker(signed)
    at_work.resolve()
    signed.client.call("HDEL", POLICIES, "t_acme")
    signed.client.call("HDEL", FENCES, "policy/t_acme")
    with pytest.raises(RegistryUnproven, match="missing"):
        Worker(signed).resolve()
    signed.client.call("HDEL", ROUTES, ACME.field)
    signed.client.call("HDEL", FENCES, ACME.field)
    with pytest.raises(RegistryUnproven, match="missing"):
        Worker(signed).resolve()
    with pytest.raises((RegistryRegressed, RegistryUnproven)):
        at_work.resolve()
    with pytest.raises(RouteNotFound):  # it never had one
        Worker(signed).resolve(object_scope("t_new"))


def test_an_older_record_is_refused_by_a_worker_that_has_just_started(
    signed: SignedRegistry,
) -> None:
    record, fence = old_and_new(signed)
    signed.write(ROUTES, ACME.field, record)
    signed.client.call("HSET", FENCES, ACME.field, fence)
    with pytest.raises(RegistryUnproven, match="not the newest"):
        Worker(signed).resolve()
    # Nor with the older tree, or none, or the older head.
    for name in tree_fields(ACME.field):
        signed.client.call("HDEL", TREE, name)
    with pytest.raises(RegistryUnproven, match="tree"):
        Worker(signed).resolve()
    signed.client.call("HDEL", "{rt}:head", "proof")
    with pytest.raises(RegistryUnproven):
        Worker(signed).resolve()
    signed.client.call("DEL", "{rt}:head")
    with pytest.raises(RegistryUnproven):
        Worker(signed).resolve()


def not_noticed_a_change_that_is_withheld_from_all(signed: SignedRegistry) -> None:
    worker, saved = Worker(signed), snapshot(signed.client)
    worker.follow()
    worker.resolve()
    old_and_new(signed)
    restore(signed.client, saved)
    worker.follow()
    assert worker.resolve().config == {"base_dir": str(signed.folder / "acme")}


def not_noticed_a_time_that_the_holder_of_an_expired_key_made_up(signed: SignedRegistry) -> None:
    signed.by(ADMIN).principals.grant(
        "ops", {"expires": now() + timedelta(seconds=-3600)}, change()
    )
    event = forged_event(signed, OPS)
    early = event.model_copy(update={"time": now() - timedelta(days=1), "proof": None})
    document = json.loads(route_after(ACME, early).model_dump_json())
    root = root_with(signed, ACME.field, digest_of(document))
    early = signed_event(early, "routing.set", document, root, trust(), OPS, roster=0)
    write_event(signed, early)
    signed.write(ROUTES, ACME.field, route_after(ACME, early).model_dump_json())
    assert Worker(signed).resolve().config == {"base_dir": EVIL}
    signed.by(ADMIN).principals.revoke("ops", change())
    with pytest.raises(RegistryUnproven):
        Worker(signed).resolve()


NOT_NOTICED = {
    name.replace("_", " ").removeprefix("not noticed "): run
    for name, run in globals().items()
    if name.startswith("not_noticed_")
}


@pytest.mark.parametrize("name", NOT_NOTICED)
def test_what_is_not_noticed(signed: SignedRegistry, name: str) -> None:
    NOT_NOTICED[name](signed)
    page = Path(__file__).parents[2] / "docs" / "security.md"
    assert f"- {name}" in page.read_text()

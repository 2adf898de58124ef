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
def lab(client: State, tmp_path: Path) -> SignedRegistry:
    lab = SignedRegistry(client, tmp_path)
    lab.begin()
    return lab


class Worker:
    """The part of a worker that decides where a command goes, with what it remembers."""

    def __init__(self, lab: SignedRegistry, floor: int = 0) -> None:
        self._client = lab.client
        self._registry = lab.by(None, floor)
        self._cache = RouteCache(self._registry, self._registry.policies)
        self._follower = LogFollower(self._cache, EventLog(lab.client), self._registry.rosters)

    def follow(self) -> None:
        """Let the worker read the log, as its thread does."""
        self._follower.turn()

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
    lab: SignedRegistry, key: PrivateKey, kind: Any = "set", subject: str = ACME.field, **other: Any
) -> StreamEvent:
    """An event that goes on from the head, signed with a key of the attacker's choice."""
    head = lab.by(None).head()
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
    root = root_with(lab, ACME.field, digest_of(document)) if document else EMPTY_ROOT
    return signed_event(event, "routing.set", document, root, trust(), key, roster=0)


def root_with(lab: SignedRegistry, subject: str, digest: str) -> str:
    """The root of a tree in which the subject has a record of the attacker's, which is written."""
    nodes = lab.client.call("HMGET", TREE, *tree_fields(subject))
    root, changed = TreePath.read(subject, nodes).with_record(digest)
    for name, value in changed.items():
        lab.client.call("HSET", TREE, name, value)
    return root


def write_event(lab: SignedRegistry, event: StreamEvent) -> None:
    """What change.lua writes, by hand."""
    call = lab.client.call
    fence = f"{event.revision}-{event.hash[:16]}"
    call("HSET", "{rt}:head", "epoch", event.epoch, "rev", event.revision, "hash", event.hash)
    call("HSET", "{rt}:head", "proof", event.proof or "")
    call("HSET", FENCES, "@epoch", f"{event.epoch}/{fence}", event.subject, fence)
    text = event.model_dump_json(exclude={"committed_at"})
    call(
        "XADD", "{rt}:log", f"{event.revision}-0", "event", text, "subject", event.subject, "at", 1
    )


def redirect(lab: SignedRegistry) -> None:
    lab.write(ROUTES, ACME.field, evil(lab.read(ROUTES, ACME.field)))


def redirect_and_raise_the_fence(lab: SignedRegistry) -> None:
    document = evil(lab.read(ROUTES, ACME.field)) | {"revision": 99}
    lab.write(ROUTES, ACME.field, document)
    lab.fence(ACME.field, 99)


def remove_the_signature(lab: SignedRegistry) -> None:
    document = evil(lab.read(ROUTES, ACME.field))
    del document["proof"]
    lab.write(ROUTES, ACME.field, document)


def sign_with_a_key_of_nobody(lab: SignedRegistry) -> None:
    event = forged_event(lab, THIEF)
    write_event(lab, event)
    lab.write(ROUTES, ACME.field, route_after(ACME, event).model_dump_json())


def sign_as_operator_of_another_tenant(lab: SignedRegistry) -> None:
    event = forged_event(lab, OTHER)
    write_event(lab, event)
    lab.write(ROUTES, ACME.field, route_after(ACME, event).model_dump_json())


def swap_between_tenants(lab: SignedRegistry) -> None:
    document = lab.read(ROUTES, OTHERS.field)
    lab.write(ROUTES, ACME.field, document)
    lab.client.call("HSET", FENCES, ACME.field, lab.client.call("HGET", FENCES, OTHERS.field))


def swap_and_rename(lab: SignedRegistry) -> None:
    swap_between_tenants(lab)
    scope = json.loads(ACME.model_dump_json())
    lab.write(ROUTES, ACME.field, lab.read(ROUTES, ACME.field) | {"scope": scope})


def move_the_signature_to_another_record(lab: SignedRegistry) -> None:
    document = evil(lab.read(ROUTES, ACME.field))
    lab.write(ROUTES, ACME.field, document | {"proof": lab.read(ROUTES, OTHERS.field)["proof"]})


def two_configs_in_one_record(lab: SignedRegistry) -> None:
    text = json.dumps(lab.read(ROUTES, ACME.field))
    lab.write(ROUTES, ACME.field, '{"config": {"base_dir": "/srv/evil"}, ' + text[1:])


def a_record_of_an_event_of_another_kind(lab: SignedRegistry) -> None:
    lab.write(ROUTES, ACME.field, lab.client.call("HGET", ROSTER, "all"))


def a_record_that_is_a_bomb(lab: SignedRegistry) -> None:
    lab.write(ROUTES, ACME.field, "[" * 200_000)


def no_record(lab: SignedRegistry) -> None:
    lab.client.call("HDEL", ROUTES, ACME.field)


def no_record_and_a_newer_fence(lab: SignedRegistry) -> None:
    no_record(lab)
    lab.fence(ACME.field, 99)


def a_forged_deletion(lab: SignedRegistry) -> None:
    no_record(lab)
    event = forged_event(lab, THIEF, "deleted", after=None)
    lab.fence(ACME.field, event.revision, event.hash[:16])
    lab.write(
        "{rt}:gone",
        ACME.field,
        event.model_dump_json(include={"subject", "revision", "hash", "proof"}),
    )


def a_fence_that_is_none(lab: SignedRegistry) -> None:
    redirect(lab)
    lab.client.call("HSET", FENCES, ACME.field, b"\xff\xfe")


def a_policy_that_lifts_the_quota(lab: SignedRegistry) -> None:
    document = lab.read(POLICIES, "t_acme")
    lab.write(POLICIES, "t_acme", document | {"terms": {}})


def the_policy_of_another_tenant(lab: SignedRegistry) -> None:
    lab.write(POLICIES, "t_acme", lab.read(POLICIES, "t_other"))
    lab.client.call(
        "HSET", FENCES, "policy/t_acme", lab.client.call("HGET", FENCES, "policy/t_other")
    )


def no_policy(lab: SignedRegistry) -> None:
    lab.client.call("HDEL", POLICIES, "t_acme")


def add_a_principal(lab: SignedRegistry) -> None:
    roster = lab.read(ROSTER, "all")
    thief = json.loads(principal("thief", THIEF, tenants=["*"], roles=["admin"]).model_dump_json())
    lab.write(ROSTER, "all", roster | {"principals": roster["principals"] | {"thief": thief}})


def add_a_principal_without_a_signature(lab: SignedRegistry) -> None:
    add_a_principal(lab)
    roster = lab.read(ROSTER, "all")
    del roster["proof"]
    lab.write(ROSTER, "all", roster)


def sign_a_roster(key: PrivateKey) -> Callable[[SignedRegistry], None]:
    def run(lab: SignedRegistry) -> None:
        before = Roster.model_validate(lab.read(ROSTER, "all"))
        granted = principal("other", OTHER, tenants=["*"], roles=["admin"])
        head = lab.by(None).head()
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
        write_event(lab, event)
        lab.write(ROSTER, "all", roster_after(before, granted, event).model_dump_json())
        lab.fence("principals", event.revision, event.hash[:16])

    return run


def no_roster(lab: SignedRegistry) -> None:
    lab.client.call("HDEL", ROSTER, "all")


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
def test_nobody_is_redirected(lab: SignedRegistry, name: str, warm: bool) -> None:
    """A command that meets what was forged waits with a typed error, and runs once it is mended."""
    lab.by(OPS).policies.set("t_acme", Terms(quotas=Quotas(objects=5)), change())
    lab.by(OTHER).policies.set("t_other", Terms(), change())
    worker, honest = Worker(lab), snapshot(lab.client)
    if warm:
        worker.follow()
        assert worker.resolve().config == {"base_dir": str(lab.folder / "acme")}
    ATTACKS[name](lab)
    for look in range(3):
        if look == 1:
            with_follower(worker)
        try:
            route = worker.resolve()
        except (RegistryUnproven, RegistryRegressed) as error:
            assert error.waits and error.next_step  # noqa: PT017, PT018 - or it is the honest one
        else:
            # From the cache, by a fence that is the honest one's.
            assert route.config == {"base_dir": str(lab.folder / "acme")}
            assert isinstance(worker.terms, Terms)
            assert worker.terms.quotas.objects == 5
            assert warm
    restore(lab.client, honest)
    with_follower(worker)
    # Nothing that the attacker has written is remembered.
    assert worker.resolve().config == {"base_dir": str(lab.folder / "acme")}
    worker.follow()
    assert worker.resolve(OTHERS).config == {"base_dir": str(lab.folder / "other")}


def with_follower(worker: Worker) -> None:
    with suppress(RegistryUnproven, ValueError):  # as its thread does
        worker.follow()


def old_and_new(lab: SignedRegistry) -> tuple[bytes, bytes]:
    """An older record of the route with its fence; the route is a newer one then."""
    before = (
        lab.client.call("HGET", ROUTES, ACME.field),
        lab.client.call("HGET", FENCES, ACME.field),
    )
    lab.by(OPS).switch(ACME, target(lab.folder / "new"), change())
    return before


def test_an_older_record_is_refused_by_a_worker_that_has_seen_the_newer(
    lab: SignedRegistry,
) -> None:
    record, fence = old_and_new(lab)
    worker = Worker(lab)
    assert worker.resolve().config == {"base_dir": str(lab.folder / "new")}
    lab.write(ROUTES, ACME.field, record)
    lab.client.call("HSET", FENCES, ACME.field, fence)
    with pytest.raises((RegistryRegressed, RegistryUnproven)):
        worker.resolve()
    # Under the newer fence, even a worker that has just started refuses it.
    newer = lab.by(None).events(0)[-1]
    lab.fence(ACME.field, newer.revision, newer.hash[:16])
    with pytest.raises(RegistryUnproven, match="not the newest"):
        Worker(lab).resolve()


def test_an_older_roster_is_refused(lab: SignedRegistry) -> None:
    saved = snapshot(lab.client)
    before = lab.client.call("HGET", ROSTER, "all"), lab.client.call("HGET", FENCES, "principals")
    worker = Worker(lab)
    assert worker.resolve()
    lab.by(ADMIN).principals.revoke("ops", change())
    revision = lab.by(None).head().revision
    with pytest.raises(RegistryUnproven, match="revoked"):
        worker.resolve()
    lab.write(ROSTER, "all", before[0])
    lab.client.call("HSET", FENCES, "principals", before[1])
    lab.client.call("HSET", FENCES, "@epoch", "0/1-x")  # so that it looks again
    with pytest.raises((RegistryUnproven, RegistryRegressed)):
        worker.resolve()
    # One that has just started refuses it by the newest event, which names the roster's revision.
    with pytest.raises(RegistryUnproven, match="older than the one that it was made under"):
        Worker(lab).resolve()
    # And with all that was there before, if the trust file names the revision of the revocation.
    restore(lab.client, saved)
    with pytest.raises(RegistryUnproven, match="below the trust file's floor"):
        Worker(lab, floor=revision).resolve()


def test_an_epoch_that_nobody_began_makes_no_worker_forget(lab: SignedRegistry) -> None:
    record, fence = old_and_new(lab)
    worker = Worker(lab)
    worker.follow()
    worker.resolve()
    later = "ffffffff-0000-7000-8000-000000000000"
    lab.client.call("HSET", FENCES, "@epoch", f"{later}/1-x")
    lab.client.call("HSET", "{rt}:head", "epoch", later)
    lab.write(ROUTES, ACME.field, record)
    lab.client.call("HSET", FENCES, ACME.field, fence)
    for _ in range(2):
        with pytest.raises((RegistryRegressed, RegistryUnproven)):
            worker.resolve()
        worker.follow()


@pytest.mark.parametrize("kind", ["rebased", "refused"])
def test_an_operator_who_is_no_administrator_begins_no_epoch(
    lab: SignedRegistry, kind: str
) -> None:
    """Nor by an event of another kind, which an operator of all tenants may make."""
    lab.by(ADMIN).principals.grant("ops", {"tenants": ("*",)}, change())
    worker = Worker(lab)
    worker.follow()
    later = "ffffffff-0000-7000-8000-000000000000"
    event = forged_event(lab, OPS, kind, "registry", epoch=later, after={"epoch": later})
    write_event(lab, event)
    lab.client.call("HSET", "{rt}:head", "rebased", event.model_dump_json())
    worker.follow()
    worker.follow()
    with pytest.raises(RegistryRegressed, match="no signed rebase"):
        worker.resolve()


def test_a_rebase_by_an_administrator_is_believed(lab: SignedRegistry) -> None:
    worker = Worker(lab)
    worker.follow()
    worker.resolve()
    saved = snapshot(lab.client)
    old_and_new(lab)
    worker.follow()
    worker.resolve()
    restore(lab.client, saved)
    with pytest.raises(RegistryRegressed):
        worker.resolve()
    rebase(lab.by(ADMIN), change())
    worker.follow()
    worker.follow()
    assert worker.resolve().config == {"base_dir": str(lab.folder / "acme")}


def test_an_event_written_by_hand_is_learnt_by_no_follower(lab: SignedRegistry) -> None:
    worker = Worker(lab)
    worker.follow()
    for key in (THIEF, OTHER):
        write_event(lab, forged_event(lab, key))
        with_follower(worker)
        with pytest.raises(RegistryUnproven):
            worker.resolve()


def test_who_changes_the_registry_does_not_go_on_from_what_was_forged(
    lab: SignedRegistry,
) -> None:
    write_event(lab, forged_event(lab, THIEF))
    with pytest.raises(RegistryUnproven, match="does not count"):
        lab.by(OPS).set(ACME, target(lab.folder / "acme"), change())
    # An administrator does, knowingly, and what an attacker wrote is replaced.
    lab.by(ADMIN).set(ACME, target(lab.folder / "acme"), change())
    assert Worker(lab).resolve().config == {"base_dir": str(lab.folder / "acme")}


def test_a_forged_route_is_mended_by_setting_it_again(lab: SignedRegistry) -> None:
    redirect(lab)
    worker = Worker(lab)
    with pytest.raises(RegistryUnproven):
        worker.resolve()
    lab.by(OPS).set(ACME, target(lab.folder / "acme"), change())
    assert worker.resolve().config == {"base_dir": str(lab.folder / "acme")}


def test_another_deployments_registry_does_not_count(lab: SignedRegistry) -> None:
    elsewhere = Registry(lab.client, trust().__class__("other", trust().administrators))
    with pytest.raises(RegistryUnproven, match="another deployment"):
        elsewhere.get(ACME)


def test_without_the_trust_file_nothing_is_checked(lab: SignedRegistry) -> None:
    """Each process needs it: one without believes what stands there."""
    redirect(lab)
    route = Registry(lab.client).get(ACME)
    assert route is not None
    assert route.config == {"base_dir": EVIL}


# What is not noticed, and by whom. The names stand in docs/security.md.


def not_noticed_an_older_record_that_an_operator_with_access_to_redis_put_back(
    lab: SignedRegistry,
) -> None:
    """By a worker that has just started: the operator of another tenant states the older tree."""
    at_work = Worker(lab)
    record, fence = old_and_new(lab)
    at_work.resolve()
    event = forged_event(lab, OTHER, "refused", OTHERS.field, after=None)
    root = root_with(lab, ACME.field, digest_of(json.loads(record)))
    event = signed_event(event, "routing.set", None, root, trust(), OTHER, roster=0)
    write_event(lab, event)
    authorship = Authorship(trust(), EMPTY)
    for each in lab.by(None).events(0):
        authorship.add(each)
    assert authorship.fault == Fault(event.revision, "it states another tree of records")
    lab.write(ROUTES, ACME.field, record)
    lab.client.call("HSET", FENCES, ACME.field, fence)
    with pytest.raises(RegistryRegressed):
        at_work.resolve()
    assert Worker(lab).resolve().config == {"base_dir": str(lab.folder / "acme")}


def not_noticed_an_older_whole_state_by_a_worker_that_has_just_started(
    lab: SignedRegistry,
) -> None:
    saved = snapshot(lab.client)
    old_and_new(lab)
    at_work = Worker(lab)
    at_work.follow()
    at_work.resolve()
    restore(lab.client, saved)
    started = Worker(lab)
    started.follow()
    assert started.resolve().config == {"base_dir": str(lab.folder / "acme")}
    with pytest.raises(RegistryRegressed):
        at_work.resolve()


def test_a_route_or_policy_that_is_withheld_is_missed(lab: SignedRegistry) -> None:
    lab.by(OPS).policies.set("t_acme", Terms(quotas=Quotas(objects=5)), change())
    at_work = Worker(lab)
    at_work.resolve()
    lab.client.call("HDEL", POLICIES, "t_acme")
    lab.client.call("HDEL", FENCES, "policy/t_acme")
    with pytest.raises(RegistryUnproven, match="missing"):
        Worker(lab).resolve()
    lab.client.call("HDEL", ROUTES, ACME.field)
    lab.client.call("HDEL", FENCES, ACME.field)
    with pytest.raises(RegistryUnproven, match="missing"):
        Worker(lab).resolve()
    with pytest.raises((RegistryRegressed, RegistryUnproven)):
        at_work.resolve()
    with pytest.raises(RouteNotFound):  # it never had one
        Worker(lab).resolve(object_scope("t_new"))


def test_an_older_record_is_refused_by_a_worker_that_has_just_started(lab: SignedRegistry) -> None:
    record, fence = old_and_new(lab)
    lab.write(ROUTES, ACME.field, record)
    lab.client.call("HSET", FENCES, ACME.field, fence)
    with pytest.raises(RegistryUnproven, match="not the newest"):
        Worker(lab).resolve()
    # Nor with the older tree, or none, or the older head.
    for name in tree_fields(ACME.field):
        lab.client.call("HDEL", TREE, name)
    with pytest.raises(RegistryUnproven, match="tree"):
        Worker(lab).resolve()
    lab.client.call("HDEL", "{rt}:head", "proof")
    with pytest.raises(RegistryUnproven):
        Worker(lab).resolve()
    lab.client.call("DEL", "{rt}:head")
    with pytest.raises(RegistryUnproven):
        Worker(lab).resolve()


def not_noticed_a_change_that_is_withheld_from_all(lab: SignedRegistry) -> None:
    worker, saved = Worker(lab), snapshot(lab.client)
    worker.follow()
    worker.resolve()
    old_and_new(lab)
    restore(lab.client, saved)
    worker.follow()
    assert worker.resolve().config == {"base_dir": str(lab.folder / "acme")}


def not_noticed_a_time_that_the_holder_of_an_expired_key_made_up(lab: SignedRegistry) -> None:
    lab.by(ADMIN).principals.grant("ops", {"expires": now() + timedelta(seconds=-3600)}, change())
    event = forged_event(lab, OPS)
    early = event.model_copy(update={"time": now() - timedelta(days=1), "proof": None})
    document = json.loads(route_after(ACME, early).model_dump_json())
    root = root_with(lab, ACME.field, digest_of(document))
    early = signed_event(early, "routing.set", document, root, trust(), OPS, roster=0)
    write_event(lab, early)
    lab.write(ROUTES, ACME.field, route_after(ACME, early).model_dump_json())
    assert Worker(lab).resolve().config == {"base_dir": EVIL}
    lab.by(ADMIN).principals.revoke("ops", change())
    with pytest.raises(RegistryUnproven):
        Worker(lab).resolve()


NOT_NOTICED = {
    name.replace("_", " ").removeprefix("not noticed "): run
    for name, run in globals().items()
    if name.startswith("not_noticed_")
}


@pytest.mark.parametrize("name", NOT_NOTICED)
def test_what_is_not_noticed(lab: SignedRegistry, name: str) -> None:
    NOT_NOTICED[name](lab)
    page = Path(__file__).parents[2] / "docs" / "security.md"
    assert f"- {name}" in page.read_text()

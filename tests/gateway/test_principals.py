"""Principals over HTTP: prepared by the gateway, signed by an administrator, and no other way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.commands.error import RegistryUnproven, SignatureInvalid
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.principal import Role
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.statement import sign
from signalbox.commands.proof.trust import Trust
from signalbox.routing.registry import author_signature
from signalbox.routing.registry.author_signature import Prepared
from signalbox.routing.registry.prepared_change import check_prepared
from signalbox.routing.registry.proof import TYP
from signalbox.routing.registry.registry import Registry
from tests.gateway.principals import ADMIN, AUDIENCE, KEYS, THIEF, WIDE, Guarded, guarded, token
from tests.gateway.raw import Answer

TRUST = Trust(AUDIENCE, {ADMIN.kid: ("alice", ADMIN.public)}, Signatures.OFF, 0, ADMIN)
NEW = PrivateKey(b"n" * 32)
ALICE = token(ADMIN, "alice", lifetime=timedelta(hours=1))
ADD = {"name": "new", "roles": ["reader"], "tenants": ["t_acme"], "reason": "r"}
ROUTE = {"backend_type": "filesystem", "config": {"base_dir": "/srv/data"}, "reason": "r"}
PATH = "/v1/routes/object_store/t_acme/prod"


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    with guarded(tmp_path, monkeypatch) as running:
        yield running


class Author:
    """Who changes something with a key of theirs."""

    def __init__(self, gateway: Guarded, key: PrivateKey = ADMIN, given: str = ALICE) -> None:
        self.gateway, self.key, self.given = gateway, key, given

    def ask(
        self, method: str, path: str, body: Any, signature: str | None, name: str = "c1"
    ) -> Answer:
        headers = {"Idempotency_Key": name} | ({"X_Signature": signature} if signature else {})
        return self.gateway.call(self.given, method, path, body, **headers)

    def prepare(self, method: str, path: str, body: Any, name: str = "c1") -> Prepared:
        answer = self.ask(method, path, body, "prepare", name)
        assert answer.status == 200, answer.body
        return Prepared.model_validate_json(json.dumps(answer.json()["prepared"]))

    def signature(self, prepared: Prepared) -> str:
        return sign(self.key, TYP, prepared.claims)

    def change(self, method: str, path: str, body: Any, name: str = "c1") -> Answer:
        prepared = self.prepare(method, path, body, name)
        check_prepared(prepared, TRUST)
        return self.ask(method, path, body, self.signature(prepared), name)


def code(answer: Answer) -> str:
    return str(answer.json().get("error_code", "")) if answer.status >= 400 else "done"


def test_a_principal_from_its_beginning_to_its_end(gateway: Guarded) -> None:
    author, other = Author(gateway), PrivateKey(b"m" * 32)
    added = author.change("POST", "/v1/principals", ADD | {"key": NEW.public.jwk()}, "c1")
    assert added.json()["principal"]["roles"] == ["reader"], added.body
    own = token(NEW, "new")
    assert gateway.call(own, "GET", "/v1/objects/t_acme/prod/k").status == 200
    assert gateway.call(own, "PUT", "/v1/objects/t_acme/prod/k", "x").status == 403
    grant = {"roles": ["producer"], "reason": "r"}
    assert code(author.change("POST", "/v1/principals/new/grant", grant, "c2")) == "done"
    assert gateway.call(own, "PUT", "/v1/objects/t_acme/prod/k", "x").status == 200
    rotate = {"key": other.public.jwk(), "remove": NEW.kid, "reason": "r"}
    assert code(author.change("POST", "/v1/principals/new/rotate", rotate, "c3")) == "done"
    assert gateway.call(own, "GET", "/v1/objects/t_acme/prod/k").status == 401
    own = token(other, "new")
    assert gateway.call(own, "GET", "/v1/objects/t_acme/prod/k").status == 200
    ended = author.change("POST", "/v1/principals/new/revoke", {"reason": "r"}, "c4")
    assert gateway.call(own, "GET", "/v1/objects/t_acme/prod/k").status == 401
    shown = gateway.call(ALICE, "GET", "/v1/principals/new").json()
    assert shown == ended.json()["principal"]
    assert shown["revoked"] is not None
    listed = gateway.call(ALICE, "GET", "/v1/principals").json()
    assert shown in listed["principals"]
    assert listed["revision"] == ended.json()["revision"]
    # What the gateway appended counts for who remembers nothing.
    registry = gateway.server.services.registry
    assert Registry(registry.client, TRUST).principals.get("new").revoked is not None
    events = registry.events(0)[-4:]
    verifier = registry.principals.verifier()
    assert [event.data.actor for event in events] == ["alice"] * 4
    shown = gateway.call(ALICE, "GET", f"/v1/audit?after={events[0].revision - 1}").json()["events"]
    whole = {"name": "alice", "verified": True, "why_not": None}
    assert [each["signed_by"] for each in shown] == [whole] * 4
    assert all(verifier.proves(event) for event in events)


def test_the_gateways_own_key_signs_no_principal_though_it_is_an_administrators(
    gateway: Guarded,
) -> None:
    for given in (ALICE, token(WIDE[Role.ADMIN], "wide-admin")):
        for path, body in (
            ("/v1/principals", ADD),
            ("/v1/principals/wide-reader/grant", {"roles": ["admin"], "reason": "r"}),
            ("/v1/principals/wide-reader/rotate", {"key": NEW.public.jwk(), "reason": "r"}),
            ("/v1/principals/wide-reader/revoke", {"reason": "r"}),
        ):
            answer = gateway.call(given, "POST", path, body, Idempotency_Key="c1")
            assert code(answer) == "SIGNATURE_MISSING", answer.body
            assert "X-Signature" in answer.json()["next_step"]


@pytest.mark.parametrize("key", [WIDE[Role.ADMIN], KEYS[Role.ADMIN], THIEF, NEW])
def test_nobody_but_an_administrator_signs_a_principal(gateway: Guarded, key: PrivateKey) -> None:
    before = gateway.server.services.registry.log.head()
    author = Author(gateway, key)
    assert code(author.change("POST", "/v1/principals", ADD)) in (
        "NOT_GRANTED",
        "SIGNATURE_INVALID",
    )
    assert gateway.server.services.registry.log.head() == before


def test_a_signature_is_for_one_change_at_one_revision(gateway: Guarded) -> None:
    author = Author(gateway)
    signature = author.signature(author.prepare("POST", "/v1/principals", ADD))
    for body, name in ((ADD | {"roles": ["admin"]}, "c1"), (ADD, "c2")):
        answer = author.ask("POST", "/v1/principals", body, signature, name)
        assert code(answer) == "CONFLICT", answer.body
    assert code(author.ask("PUT", PATH, ROUTE, signature)) == "CONFLICT"
    policy = {"terms": {}, "reason": "r"}
    assert code(author.ask("PUT", "/v1/policies/t_acme", policy, None, "p1")) == "done"
    assert code(author.ask("POST", "/v1/principals", ADD, signature)) == "CONFLICT"
    signature = author.signature(author.prepare("POST", "/v1/principals", ADD))
    assert code(author.ask("POST", "/v1/principals", ADD, signature)) == "done"
    head = gateway.server.services.registry.log.head()
    # A repeat has no second effect.
    assert code(author.ask("POST", "/v1/principals", ADD, signature)) == "done"
    assert gateway.server.services.registry.log.head() == head


@pytest.mark.parametrize("signature", ["a", "a.b", "a.b.c", "e30.e30.e30", "....", "Prepare"])
def test_what_is_no_signature_is_refused(gateway: Guarded, signature: str) -> None:
    answer = Author(gateway).ask("POST", "/v1/principals", ADD, signature)
    assert (answer.status, code(answer)) == (401, "SIGNATURE_INVALID")


def test_what_was_prepared_long_ago_is_prepared_anew(gateway: Guarded) -> None:
    author = Author(gateway)
    prepared = author.prepare("POST", "/v1/principals", ADD)
    old = int((datetime.now(UTC) - author_signature.LONGEST).timestamp()) - 1
    for iat in (old, -1, 2**70, True, "1", None):
        late = sign(ADMIN, TYP, prepared.claims | {"iat": iat})
        assert code(author.ask("POST", "/v1/principals", ADD, late)) == "SIGNATURE_INVALID", iat


def test_preparing_needs_a_name_for_the_change_and_a_look_at_the_registry(
    gateway: Guarded,
) -> None:
    answer = gateway.call(ALICE, "POST", "/v1/principals", ADD, X_Signature="prepare")
    assert code(answer) == "INVALID_REQUEST"
    assert "Idempotency-Key" in answer.json()["detail"]
    narrow = token(KEYS[Role.OPERATOR], "operator")
    headers = {"X_Signature": "prepare", "Idempotency_Key": "c1"}
    assert code(gateway.call(narrow, "PUT", PATH, ROUTE, **headers)) == "NOT_GRANTED"


def test_operators_sign_routes_policies_and_locks_themselves(gateway: Guarded) -> None:
    given = token(WIDE[Role.OPERATOR], "wide-operator", lifetime=timedelta(hours=1))
    author = Author(gateway, WIDE[Role.OPERATOR], given)
    lock, reason = "/v1/locks/object_store/t_acme/prod", "?reason=r"
    calls: list[tuple[str, str, Any]] = [
        ("PUT", PATH, ROUTE),
        ("PUT", lock, {"reason": "r", "ttl": 600}),
        ("PUT", lock, {"reason": "again", "ttl": 600}),
        ("POST", PATH + "/switch", ROUTE | {"config": {"base_dir": "/srv/other"}}),
        ("DELETE", lock + reason, None),
        ("PUT", "/v1/policies/t_acme", {"terms": {}, "reason": "r"}),
        ("DELETE", PATH + reason, None),
    ]
    for number, call in enumerate(calls):
        assert code(author.change(*call, name=f"c{number}")) == "done", call
    registry = gateway.server.services.registry
    verifier = registry.principals.verifier()
    events = registry.events(0)[-len(calls) :]
    assert [verifier.event(event).name for event in events] == ["wide-operator"] * len(calls)


def test_an_operator_signs_nothing_beyond_their_grant(gateway: Guarded) -> None:
    author = Author(gateway, KEYS[Role.READER])
    assert code(author.change("PUT", PATH, ROUTE)) == "NOT_GRANTED"
    author = Author(gateway, KEYS[Role.OPERATOR])
    path = "/v1/routes/object_store/t_other/prod"
    assert code(author.change("PUT", path, ROUTE, "c2")) == "NOT_GRANTED"


def test_a_refusal_is_answered_when_the_change_is_prepared(gateway: Guarded) -> None:
    author, head = Author(gateway), gateway.server.services.registry.log.head()
    taken = author.ask("POST", "/v1/principals", ADD | {"name": "wide-reader"}, "prepare")
    assert code(taken) == "CONFLICT"
    nobody = author.ask("POST", "/v1/principals/nobody/revoke", {"reason": "r"}, "prepare")
    assert (nobody.status, code(nobody)) == (404, "NOT_FOUND")
    assert gateway.server.services.registry.log.head() == head


def test_the_first_change_of_a_registry_can_be_signed_so(
    gateway: Guarded,
) -> None:
    gateway.server.services.registry.client.server().flushall()
    gateway.server.services.registry.rosters._known = None  # type: ignore[union-attr]
    assert code(Author(gateway).change("POST", "/v1/principals", ADD)) == "done"


def test_a_private_key_is_not_taken(gateway: Guarded) -> None:
    document = NEW.public.jwk() | {"d": "c2VjcmV0"}
    answer = Author(gateway).ask("POST", "/v1/principals", ADD | {"key": document}, "prepare")
    assert code(answer) == "INVALID_COMMAND"
    assert b"c2VjcmV0" not in answer.body


def test_its_author_signs_nothing_but_what_is_shown(gateway: Guarded) -> None:
    """What a gateway in foreign hands could have an administrator sign."""
    prepared = Author(gateway).prepare("POST", "/v1/principals", ADD)
    route = Author(gateway).prepare("PUT", PATH, ROUTE)
    older = prepared.basis.roster
    assert code(Author(gateway).change("POST", "/v1/principals", ADD)) == "done"
    thief = Author(gateway).prepare(
        "POST", "/v1/principals", ADD | {"name": "thief", "roles": ["admin"]}, "c2"
    )
    for honest in (prepared, route, thief):
        check_prepared(honest, TRUST)

    def changed(of: Prepared, **fields: Any) -> Prepared:
        return of.model_copy(update=fields)

    basis, event = thief.basis, prepared.event
    data = event.data.model_copy(update={"after": thief.event.data.after})
    forged: dict[str, Prepared] = {
        "the claims of another": changed(prepared, claims=thief.claims),
        "the record of another": changed(prepared, record=thief.record),
        "claims and record of another": changed(prepared, claims=thief.claims, record=thief.record),
        "the event of another": changed(thief, event=event),
        "another principal in the event": changed(
            prepared, event=event.model_copy(update={"data": data})
        ),
        "another op": changed(prepared, claims=prepared.claims | {"op": "routing.set"}),
        "another root": changed(prepared, claims=prepared.claims | {"root": "0" * 64}),
        "one claim more": changed(prepared, claims=prepared.claims | {"anew": True}),
        "another deployment": changed(prepared, claims=prepared.claims | {"aud": "other"}),
        "no record": changed(prepared, record=None),
        "a record of a route": changed(route, record=prepared.record),
        "an older list under a newer event": changed(
            thief, basis=basis.__class__(**(vars(basis) | {"roster": older}))
        ),
        "a list that nobody signed": changed(
            prepared,
            basis=basis.__class__(
                **(vars(prepared.basis) | {"roster": older.model_copy(update={"proof": None})})
            ),
        ),
        "an event that nobody signed": changed(
            prepared, basis=basis.__class__(**(vars(prepared.basis) | {"proof": "a.b.c"}))
        ),
        "another tree": changed(
            prepared, basis=basis.__class__(**(vars(prepared.basis) | {"digests": {"a": "b"}}))
        ),
        "no tree": changed(
            prepared, basis=basis.__class__(**(vars(prepared.basis) | {"beside": []}))
        ),
    }
    assert {what: is_refused(each) for what, each in forged.items()} == dict.fromkeys(forged, True)


def is_refused(prepared: Prepared) -> bool:
    try:
        check_prepared(prepared, TRUST)
    except (SignatureInvalid, RegistryUnproven):
        return True
    return False

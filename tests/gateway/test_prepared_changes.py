"""Changes that are prepared here and signed elsewhere, by several authors and more than once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from structlog.testing import capture_logs

from signalbox.commands.error import RegistryUnproven
from signalbox.commands.proof.keys import PrivateKey
from signalbox.commands.proof.principal import Role
from signalbox.commands.proof.statement import sign
from signalbox.routing.audit.signed_by import Signatures as SignedBy
from signalbox.routing.registry.prepared_change import check_prepared
from signalbox.routing.registry.proof import TYP
from signalbox.routing.registry.registry import Registry
from tests.gateway.principals import AUDIENCE, KEYS, WIDE, Guarded, guarded, token, use_redis
from tests.gateway.raw import Answer
from tests.gateway.test_principals import (
    ADD,
    ALICE,
    PATH,
    ROUTE,
    TRUST,
    Author,
    code,
)

HOUR = timedelta(hours=1)
ROUNDS = 8
Asked = tuple[str, str, Any]


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_url: str) -> Iterator[Guarded]:
    use_redis(monkeypatch, state_url)
    with guarded(tmp_path, monkeypatch) as running:
        yield running


def operators(gateway: Guarded) -> list[Author]:
    """Two people who may change any route, each with a key and a token of their own."""
    roles = {Role.OPERATOR: "wide-operator", Role.ADMIN: "wide-admin"}
    return [
        Author(gateway, WIDE[role], token(WIDE[role], name, lifetime=HOUR))
        for role, name in roles.items()
    ]


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    """Make all calls at the same time."""
    ready = Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        ready.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def proven(registry: Registry) -> int:
    """The number of events, each of which is proven."""
    verifier, events = registry.principals.verifier(), registry.events(0)
    assert all(verifier.proves(event) for event in events)
    return len(events)


def on_one_route(number: int, who: int) -> Asked:
    return "POST", PATH + "/switch", ROUTE | {"config": {"base_dir": f"/srv/{number}-{who}"}}


def on_two_routes(number: int, who: int) -> Asked:
    return "PUT", f"/v1/routes/object_store/t_{number}/env{who}", ROUTE


def on_principals(number: int, who: int) -> Asked:
    return "POST", "/v1/principals", ADD | {"name": f"new-{number}-{who}"}


@pytest.mark.parametrize("asked", [on_one_route, on_two_routes, on_principals])
def test_of_two_prepared_changes_one_is_made_and_the_other_is_told_to_begin_again(
    gateway: Guarded,
    asked: Callable[[int, int], Asked],
) -> None:
    registry = gateway.server.services.registry
    both = [Author(gateway), Author(gateway)] if asked is on_principals else operators(gateway)
    assert code(operators(gateway)[0].change("PUT", PATH, ROUTE)) == "done"
    before = proven(registry)
    for number in range(ROUNDS):
        calls = [asked(number, who) for who in range(2)]
        names = [f"c{number}-{who}" for who in range(2)]
        prepared = [
            its.prepare(*call, name) for its, call, name in zip(both, calls, names, strict=True)
        ]
        signed = [its.signature(each) for its, each in zip(both, prepared, strict=True)]
        answers = at_once(
            *(
                lambda its=its, call=call, sent=sent, name=name: its.ask(*call, sent, name)
                for its, call, sent, name in zip(both, calls, signed, names, strict=True)
            )
        )
        assert sorted(map(code, answers)) == ["CONFLICT", "done"]
        loser = [code(answer) for answer in answers].index("CONFLICT")
        told = answers[loser].json()
        assert answers[loser].status == 409
        assert "prepare the change again" in told["next_step"]
        # It has no effect, and is not lost: prepared again, it is made.
        assert proven(registry) == before + 2 * number + 1
        assert code(both[loser].change(*calls[loser], names[loser])) == "done"
        assert proven(registry) == before + 2 * number + 2
    made = [event.data.change_id.split(":")[0] for event in registry.events(0)[before:]]
    assert sorted(made) == sorted(
        f"c{number}-{who}" for number in range(ROUNDS) for who in range(2)
    )


def test_one_prepared_change_that_is_sent_twice_at_once_is_made_once(
    gateway: Guarded,
) -> None:
    author, registry = operators(gateway)[0], gateway.server.services.registry
    for number in range(ROUNDS):
        call = on_two_routes(number, 0)
        signed = author.signature(author.prepare(*call))
        before = proven(registry)
        answers = at_once(*[partial(author.ask, *call, signed)] * 3)
        assert [code(answer) for answer in answers] == ["done"] * 3
        assert len({answer.body for answer in answers}) == 1
        assert proven(registry) == before + 1


def test_who_signs_what_another_has_prepared_is_named(gateway: Guarded) -> None:
    """The actor of the event is who asked for it, and `signed_by` who signed."""
    asks, signs = operators(gateway)
    registry = gateway.server.services.registry
    prepared = asks.prepare("PUT", PATH, ROUTE)
    for stranger, expected in (
        (PrivateKey.new(), "SIGNATURE_INVALID"),
        (KEYS[Role.READER], "NOT_GRANTED"),
        (KEYS[Role.PRODUCER], "NOT_GRANTED"),
    ):
        answer = asks.ask("PUT", PATH, ROUTE, sign(stranger, TYP, prepared.claims))
        assert code(answer) == expected, answer.body
    # Who has another's signature cannot send it as their own change.
    stolen = asks.signature(prepared)
    assert code(signs.ask("PUT", PATH, ROUTE, stolen)) == "CONFLICT"
    assert code(asks.ask("PUT", PATH, ROUTE, signs.signature(prepared))) == "done"
    [event] = registry.events(prepared.event.revision - 1)
    by = SignedBy(TRUST, registry.principals.verifier().roster).of(event).document()
    assert (event.data.actor, by["name"]) == ("wide-operator", "wide-admin")


def test_what_is_signed_for_another_deployment_changes_nothing_here(
    gateway: Guarded,
) -> None:
    author, head = operators(gateway)[0], gateway.server.services.registry.log.head
    prepared, before = author.prepare("PUT", PATH, ROUTE), head()
    for audience in ("another", AUDIENCE.upper(), [AUDIENCE], [AUDIENCE, "another"], None, ""):
        other = sign(author.key, TYP, prepared.claims | {"aud": audience})
        answer = author.ask("PUT", PATH, ROUTE, other)
        assert (code(answer), "another deployment" in answer.json()["detail"]) == (
            "SIGNATURE_INVALID",
            True,
        )
    without = {name: value for name, value in prepared.claims.items() if name != "aud"}
    assert code(author.ask("PUT", PATH, ROUTE, sign(author.key, TYP, without))) == (
        "SIGNATURE_INVALID"
    )
    assert head() == before
    # Nor does its author sign what a gateway of another deployment has prepared.
    check_prepared(prepared, TRUST)
    with pytest.raises(RegistryUnproven, match="another deployment"):
        check_prepared(prepared, replace(TRUST, audience="another"))


def test_a_key_that_is_revoked_between_the_two_steps_changes_nothing(
    gateway: Guarded,
) -> None:
    author, administrator = operators(gateway)[0], Author(gateway)
    signed = author.signature(author.prepare("PUT", PATH, ROUTE))
    revoke = ("POST", "/v1/principals/wide-operator/revoke", {"reason": "left"})
    assert code(administrator.change(*revoke)) == "done"
    other = Author(gateway, author.key, ALICE)
    head = gateway.server.services.registry.log.head()
    assert code(author.ask("PUT", PATH, ROUTE, signed)) == "TOKEN_INVALID"
    # By the token of someone who may, the signature of the revoked key does not count either.
    assert code(other.ask("PUT", PATH, ROUTE, signed)) == "SIGNATURE_INVALID"
    signed = other.signature(other.prepare("PUT", PATH, ROUTE))
    assert code(other.ask("PUT", PATH, ROUTE, signed)) == "SIGNATURE_INVALID"
    assert gateway.server.services.registry.log.head() == head


def test_what_is_refused_in_either_step_is_a_line_of_the_log(gateway: Guarded) -> None:
    """And no event, since nobody has signed one."""
    author, head = operators(gateway)[0], gateway.server.services.registry.log.head()
    switch = (PATH + "/switch", ROUTE)
    with capture_logs() as lines:
        assert code(author.ask("POST", *switch, "prepare", "c1")) == "NOT_FOUND"
        prepared = author.prepare("PUT", PATH, ROUTE, "c2")
        stolen = sign(KEYS[Role.READER], TYP, prepared.claims)
        assert code(author.ask("PUT", PATH, ROUTE, stolen, "c2")) == "NOT_GRANTED"
    assert [(line["error"], line["step"], line["key"], line["call"]) for line in lines] == [
        ("NOT_FOUND", "prepare", "c1", f"POST {PATH}/switch"),
        ("NOT_GRANTED", "signed", "c2", f"PUT {PATH}"),
    ]
    assert {line["actor"] for line in lines} == {"wide-operator"}
    assert gateway.server.services.registry.log.head() == head

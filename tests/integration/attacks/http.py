"""Attacks over HTTP, on a gateway that signs what it is asked for: bearer tokens that do not count,
and signed commands that do not, from a caller whose token does.

Whatever one of its calls accepts, a worker runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx

from signalbox.commands.ledger.signing import longest_life
from signalbox.commands.proof.principal import Grant, Role
from signalbox.commands.proof.token import LONGEST, issue
from tests.gateway.principals import grant
from tests.integration.attacks.attacker import Attacker, Draw
from tests.integration.attacks.forgery import Forgery
from tests.integration.signed_deployment import HERE, OWNER, token

MINUTE = timedelta(minutes=1)
REFUSED = {400, 401, 403, 422}
"""What an attack is answered."""


class Http:
    """Draws requests for an attacker."""

    def __init__(self, attacker: Attacker, http: httpx.Client) -> None:
        self.attacker, self.http = attacker, http
        self.random = attacker.random
        self.allowed = 0
        """How many requests were not refused."""
        forgeries = attacker.forgeries.by_signature()
        forgeries |= attacker.forgeries.by_time(int(LONGEST.total_seconds()))
        tokens: dict[str, Callable[[], str | None]] = {
            name: self.forged(draw) for name, draw in forgeries.items()
        }
        tokens |= {
            "unsigned": lambda: None,
            "signature of something else": self.of_something_else,
            "for another principal": self.for_another,
            "replayed": self.narrowed,
        }
        longest = longest_life(attacker.site.settings.outcome_retention)
        commands = attacker.forgeries.by_signature()
        commands |= attacker.forgeries.by_time(int(longest.total_seconds()))
        self.kinds: dict[str, Draw] = {name: self.asking(draw) for name, draw in tokens.items()}
        for name, forgery in commands.items():
            self.kinds[name] = self.either(self.kinds[name], self.sending(forgery))

    def either(self, one: Draw, other: Draw) -> Draw:
        return lambda: self.random.choice([one, other])()

    def asking(self, draw: Callable[[], str | None]) -> Draw:
        """Ask for something with a token that does not count."""

        def ask() -> None:
            given = draw()
            headers = {} if given is None else {"Authorization": f"Bearer {given}"}
            method, path, more = self.random.choice([self.put, self.commands, self.route])()
            headers |= more.pop("headers", {})
            self.note(self.http.request(method, path, headers=headers, **more))

        return ask

    def sending(self, draw: Callable[[], Forgery]) -> Draw:
        """Send a command whose signature does not count, with a token that does."""

        def send() -> None:
            forged = draw().of(token(self.attacker.owner, self.attacker.victim()))
            headers = {"Authorization": f"Bearer {self.usual()}"}
            if self.random.random() < 0.5:
                headers["Content-Type"] = "application/jose"
                self.note(self.http.post("/v1/commands", content=forged, headers=headers))
            else:
                body = {"commands": [forged]}
                self.note(self.http.post("/v1/commands", json=body, headers=headers))

        return send

    def note(self, answer: httpx.Response) -> None:
        assert answer.status_code < 500, answer.text
        ends = answer.json().get("results", []) if answer.status_code == 200 else []
        refused = bool(ends) and {end["state"] for end in ends} == {"refused"}
        if answer.status_code not in REFUSED and not refused:
            self.allowed += 1

    def put(self) -> tuple[str, str, dict[str, Any]]:
        victim = self.attacker.victim()
        path = f"/v1/objects/{OWNER}/prod/{victim.key}"
        headers = {"Idempotency-Key": victim.op_id}
        return "PUT", path, {"content": b"attack", "headers": headers}

    def commands(self) -> tuple[str, str, dict[str, Any]]:
        documents = [self.attacker.victim().model_dump(mode="json") for _ in range(2)]
        return "POST", "/v1/commands", {"json": {"commands": documents}}

    def route(self) -> tuple[str, str, dict[str, Any]]:
        body: Mapping[str, Any] = {
            "backend_type": "filesystem",
            "config": {"base_dir": str(self.attacker.site.evil)},
            "reason": "attack",
        }
        return "PUT", f"/v1/routes/object_store/{OWNER}/prod", {"json": body}

    def usual(self, granted: Grant | None = None) -> str:
        """The token that the owner has."""
        name = self.attacker.names[self.attacker.owner.kid]
        return issue(self.attacker.owner, HERE, name, granted or grant(), MINUTE)[0]

    def forged(self, draw: Callable[[], Forgery]) -> Callable[[], str]:
        def make() -> str:
            forgery = draw()
            name = self.attacker.names.get(forgery.key.kid)
            claims = {"sub": name} | dict(forgery.claims) if name else forgery.claims
            return Forgery(forgery.key, claims, forgery.typ, forgery.change).of(self.usual())

        return make

    def of_something_else(self) -> str:
        loot = self.attacker.loot
        return self.random.choice([self.random.choice(loot.tokens), self.attacker.manifest_token()])

    def for_another(self) -> str:
        """The attacker's own key signs that he acts as the owner, or as an administrator."""
        name = self.random.choice(
            [self.attacker.names[self.attacker.owner.kid], "alice", "gateway"]
        )
        return issue(self.attacker.own, HERE, name, grant(), MINUTE)[0]

    def narrowed(self) -> str:
        """A token that was copied, and that the owner has narrowed to something else."""
        narrow: list[dict[str, Any]] = [
            {"roles": [Role.READER]},
            {"tenants": ["t_evil"]},
            {"envs": ["dev"]},
            {"ops": ["object_store.get"]},
        ]
        return self.usual(grant(**self.random.choice(narrow)))

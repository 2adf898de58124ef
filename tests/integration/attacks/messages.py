"""Attacks by messages on the broker: what stands in place of a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from signalbox.commands.ledger.signing import longest_life
from signalbox.commands.proof.token import issue
from tests.gateway.principals import grant
from tests.integration.attacks.attacker import Attacker, Draw
from tests.integration.attacks.forgery import Forgery
from tests.integration.attacks.message import message
from tests.integration.signed_deployment import HERE, put, token


class Messages:
    """Draws them for an attacker."""

    def __init__(self, attacker: Attacker) -> None:
        self.attacker = attacker
        self.random = attacker.random
        longest = longest_life(attacker.site.settings.outcome_retention)
        forgeries = attacker.forgeries.by_signature()
        forgeries |= attacker.forgeries.by_time(int(longest.total_seconds()))
        documents: dict[str, Callable[[], Any]] = {
            name: self.forged(draw) for name, draw in forgeries.items()
        }
        documents |= {
            "unsigned": lambda: attacker.victim().model_dump(mode="json"),
            "replayed": lambda: self.random.choice(attacker.loot.tokens),
            "other op_id beside it": self.with_claims(op_id="another"),
            "without op_id": self.with_claims(op_id=None),
            "signature of something else": self.of_something_else,
            "content changed": self.changed,
            "within a batch": self.batch,
        }
        self.kinds: dict[str, Draw] = {name: self.sending(draw) for name, draw in documents.items()}

    def sending(self, draw: Callable[[], Any]) -> Draw:
        def send() -> None:
            found = draw()
            documents = found if isinstance(found, list) else [found]
            single = len(documents) == 1 and self.random.random() < 0.5
            self.attacker.site.receive(message(documents, single=single))

        return send

    def forged(self, draw: Callable[[], Forgery]) -> Callable[[], str]:
        return lambda: draw().of(token(self.attacker.owner, self.attacker.victim()))

    def with_claims(self, **claims: Any) -> Callable[[], str]:
        return lambda: token(self.attacker.owner, self.attacker.victim(), **claims)

    def of_something_else(self) -> str:
        """A manifest of the owner's, or a token for HTTP."""
        if self.random.random() < 0.5:
            return self.attacker.manifest_token()
        owner = self.attacker.owner
        name = self.attacker.names[owner.kid]
        return issue(owner, HERE, name, grant(), timedelta(minutes=1))[0]

    def changed(self) -> str:
        """The payload of one command, with the signature over another."""
        attacker = self.attacker
        one, two = (token(attacker.owner, attacker.victim()).split(".") for _ in range(2))
        return ".".join([one[0], two[1], one[2]])

    def batch(self) -> list[Any]:
        attacker = self.attacker
        return [
            token(attacker.own, attacker.victim()),
            attacker.victim().model_dump(mode="json"),
            [json.dumps(attacker.victim().model_dump(mode="json"))],
            attacker.forgeries.cut(token(attacker.owner, put("cut"))),
        ]

"""Commands that their authors have signed, and unsigned ones where a signature is required.

The gateway checks both before anything is recorded, by the rules of a worker, which verifies them
again at the claim. It signs other commands with its own key, if it has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from signalbox.commands.error import (
    RegistryUnreadable,
    SignalboxError,
    SignatureInvalid,
    SignatureMissing,
)
from signalbox.commands.model import Command
from signalbox.commands.proof.signatures import Signatures
from signalbox.commands.proof.trust import Trust, key_of
from signalbox.commands.settings import Settings
from signalbox.producers.client.client import Client
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.producers.client.shared_lookup import SharedLookup
from signalbox.producers.client.submission import Submission
from signalbox.routing.registry.registry import Registry
from signalbox.workers.execution.authors import Authors, AuthorsAt
from signalbox.workers.execution.proof_judge import Judge
from signalbox.workers.execution.signed_statements import Statements

Signed = tuple[Command, str]
"""A command, and the JWS that states it."""
_NEXT = (
    "sign it (docs/wire-contract.md) and send the JWS to POST /v1/commands, or have the operator "
    "give the gateway a key that may"
)


class SignedCommands:
    """Verifies and submits signed commands. To be used in one event loop."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        registry: Registry,
        trust: Trust | None,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._settings, self._client, self._registry = settings, client, registry
        self._trust = trust
        self.asks = trust is not None and key_of(settings) is None
        """True if commands that have to be signed are refused without a signature: not where the
        gateway signs, or knows nothing of signatures."""
        self._authors: AuthorsAt | None = None
        if trust is not None and registry.rosters is not None:
            self._authors = Authors(trust, registry.rosters)
            self._statements = Statements(trust.audience, settings.message_limit_bytes)
        self._submissions = SharedLookup(self._submit, threads, Inboxes())
        self._wanted = SharedLookup(self._signatures, threads, Inboxes())

    async def submit(self, command: Command, token: str) -> Submission:
        """Verify a signed command and submit it; a round trip or two for all that arrive meanwhile.

        Raises SignatureInvalid, NotGranted, RegistryUnproven and StateUnavailable; nothing was
        recorded then.
        """
        end = await self._submissions.ask((command, token))
        if isinstance(end, SignalboxError):
            raise end
        return end

    async def check_unsigned(self, command: Command) -> None:
        """Raise SignatureMissing if the command needs a signature that nobody makes."""
        if self._trust is None or not self.asks:
            return
        wanted = self._trust.signatures
        if wanted is not Signatures.REQUIRED:
            found = await self._wanted.ask(command.tenant_id)
            if isinstance(found, SignalboxError):
                raise found
            wanted = found
        if wanted is Signatures.REQUIRED:
            raise SignatureMissing(
                "commands of this tenant have to be signed, and this one is not",
                kind=command.kind,
                tenant_id=command.tenant_id,
                env=command.env,
                next_step=_NEXT,
            )

    def _signatures(self, tenants: Sequence[str]) -> list[Signatures | SignalboxError]:
        different = list(dict.fromkeys(tenants))
        found: dict[str, Signatures | SignalboxError] = {}
        policies = self._registry.policies.get_many(different)
        for tenant, (policy, _) in zip(different, policies, strict=True):
            if isinstance(policy, RegistryUnreadable):
                found[tenant] = policy
            else:
                found[tenant] = policy.terms.signatures if policy else Signatures.OFF
        return [found[tenant] for tenant in tenants]

    def _submit(self, signed: Sequence[Signed]) -> list[Submission | SignalboxError]:
        if self._authors is None:
            return [
                SignatureInvalid(
                    "signed commands cannot be verified here",
                    next_step="have the operator give the gateway SIGNALBOX_TRUST_FILE",
                )
                for _ in signed
            ]
        judge = Judge(self._statements, self._settings, self._authors(None))
        errors = [judge.of_message(token, command) for command, token in signed]
        proven = [each for each, error in zip(signed, errors, strict=True) if error is None]
        submissions = iter(self._client.submit_signed(proven) if proven else ())
        return [error or next(submissions) for error in errors]

"""Quotas and rates: decides which commands of a message may run now, before any backend is called.

Tenants without quotas cost nothing here; those with quotas are read in one round trip. Commands
that run elsewhere at the same moment are not counted yet, so a quota may be exceeded by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from signalbox.commands.error import BackendResting, QuotaExceeded, RateLimited, SignalboxError
from signalbox.commands.ledger.usage import Allowance, Demand, UsageBook
from signalbox.commands.scope import ResourceKind
from signalbox.routing.policy.policy import Quotas
from signalbox.workers.execution.pipeline_types import Admitted, Ended

TenantEnv = tuple[str, str]
"""Tenant and env: each has quotas of its own."""


def within_quotas(
    admitted: Sequence[Admitted], book: UsageBook
) -> tuple[list[Admitted], list[Ended]]:
    """Return the commands that may run now, and the ends of the others.

    Tokens of the rate are taken in accepted order, so that no command overtakes an earlier one of
    its key. Raises StateUnavailable.
    """
    free = [item for item in admitted if not item.quotas.any]
    groups: dict[TenantEnv, list[Admitted]] = {}
    for item in admitted:
        if item.quotas.any:
            groups.setdefault(_tenant_env(item), []).append(item)
    if not groups:
        return free, []
    for group in groups.values():
        group.sort(key=lambda item: item.claimed.seq)
    demands = [
        Demand(
            tenant_id,
            env,
            f"{ResourceKind.OBJECT_STORE}/{tenant_id}/{env}",
            group[0].quotas.commands_per_second,
            [(item.claimed.command.kind, item.claimed.seq) for item in group],
        )
        for (tenant_id, env), group in groups.items()
    ]
    ended: list[Ended] = []
    for group, allowance in zip(groups.values(), book.allow(demands), strict=True):
        tally = _Tally(allowance, group[0].quotas)
        for item, position in zip(group, allowance.positions, strict=True):
            error = tally.judge(item, position)
            if error is None:
                free.append(item)
            else:
                ended.append(Ended(item.claimed, item.route, error=error))
    return free, ended


def give_back(allowed: Sequence[Admitted], ended: Sequence[Ended], book: UsageBook) -> None:
    """Return the rate tokens of commands that were not attempted because their backend is at rest.

    Raises StateUnavailable.
    """
    rates = {
        _tenant_env(item): rate for item in allowed if (rate := item.quotas.commands_per_second)
    }
    if not rates:
        return
    tokens = Counter[tuple[str, str, float]]()
    for end in ended:
        tenant_env = _tenant_env(end)
        idle = not end.attempted or (isinstance(end.error, BackendResting) and not end.tried)
        if idle and tenant_env in rates:
            tokens[(*tenant_env, rates[tenant_env])] += 1
    book.give_back(tokens)


def _tenant_env(item: Admitted | Ended) -> TenantEnv:
    command = item.claimed.command
    return command.tenant_id, command.env


class _Tally:
    """What is stored in a scope, with what the commands admitted so far may add to it."""

    def __init__(self, allowance: Allowance, quotas: Quotas) -> None:
        self._allowance = allowance
        self._quotas = quotas
        self._objects = allowance.objects
        self._bytes = allowance.bytes

    def judge(self, item: Admitted, position: int) -> SignalboxError | None:
        command = item.claimed.command
        if position:
            return self._rate_limited(
                self._allowance.wait + (position - 1) * self._allowance.interval
            )
        if not command.new_objects:
            return None
        objects, size = self._objects + command.new_objects, self._bytes + command.size
        if self._quotas.objects is not None and objects > self._quotas.objects:
            return _exceeded(f"{self._quotas.objects} objects", f"{self._objects} are stored")
        if self._quotas.bytes is not None and size > self._quotas.bytes:
            return _exceeded(
                f"{self._quotas.bytes} bytes",
                f"{self._bytes} are stored, this would add {command.size}",
            )
        self._objects, self._bytes = objects, size
        return None

    def _rate_limited(self, seconds: float) -> RateLimited:
        error = RateLimited(
            f"over the tenant's {self._quotas.commands_per_second:g} commands per second",
            next_step="it waits for its turn; send less, or raise the rate with "
            "`signalbox policy set`",
        )
        error.retry_after = max(0.001, round(seconds, 3))
        return error


def _exceeded(limit: str, found: str) -> QuotaExceeded:
    return QuotaExceeded(
        f"the tenant's quota is {limit}: {found}",
        next_step="delete what is not needed, or raise the quota with `signalbox policy set`; "
        "if the count is wrong: signalbox routes check --recount",
    )

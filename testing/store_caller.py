"""What all callers share: the scope of their commands, and each command's place in the order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from signalbox.adapters.port import Call
from signalbox.commands.clock import lease_clock
from signalbox.commands.error import SignalboxError
from signalbox.commands.model import new_op_id
from signalbox.commands.payload import PayloadStore

_SEQUENCE = itertools.count(1)


@dataclass(frozen=True)
class Acceptance:
    """The place of one accepted command in the order; by default the next one."""

    seq: int = field(default_factory=lambda: next(_SEQUENCE))
    """Its sequence number."""
    op_id: str = field(default_factory=new_op_id)
    """What marks its effects."""

    @classmethod
    def numbered(cls) -> Acceptance:
        """Return an acceptance that is marked by its number, as the ledger does."""
        seq = next(_SEQUENCE)
        return cls(seq, str(seq))

    def replayed(self) -> Acceptance:
        """Return an acceptance of the same command, accepted again at the end of the order."""
        return Acceptance(op_id=self.op_id)


@dataclass(frozen=True)
class StoreCaller:
    """Base of the callers: one scope's store."""

    store: Any
    """The store."""
    tenant: str
    """The tenant."""
    env: str
    """The env."""
    payloads: PayloadStore
    """Where staged content is read."""

    @property
    def scope_fields(self) -> dict[str, str]:
        """The fields that every command of this scope has."""
        return {"tenant_id": self.tenant, "env": self.env}

    def call(
        self,
        acceptance: Acceptance | None = None,
        *,
        takeover: bool = False,
        stale: bool = False,
        seconds: float = 60,
    ) -> Call:
        """Return the call of a command; a given `acceptance` repeats an earlier acceptance.

        The lease ends in `seconds`. `takeover` says that the earlier attempt may have had its
        effect, `stale` that newer commands may have run before.
        """
        acceptance = acceptance or Acceptance()
        return Call(
            mark=acceptance.op_id,
            seq=acceptance.seq,
            takeover=takeover,
            stale=stale,
            deadline=lease_clock() + seconds,
            payloads=self.payloads,
        )

    def late(self) -> Call:
        """Return a call whose lease has expired."""
        return self.call(seconds=-1)


AnyCaller = TypeVar("AnyCaller", bound=StoreCaller)
OpenAt = Callable[..., Any]
"""Opens a caller: `(caller class, tenant, env, config)`, all but the first with a default."""


def overtaken(takeover: bool) -> AbstractContextManager[None]:
    """Expect a late write to change nothing.

    A takeover must succeed as if the write had been done. The answer to a suspended worker that
    resumes does not matter.
    """
    return nullcontext() if takeover else suppress(SignalboxError)


def codes(answers: Sequence[object]) -> list[str]:
    """Return `OK` or the error's code for each answer of a bulk call."""
    return [answer.code if isinstance(answer, SignalboxError) else "OK" for answer in answers]

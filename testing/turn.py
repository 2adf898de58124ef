"""What the desks of all kinds share: who commands, and each command's place in the order."""

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
class Turn:
    """One accepted command's place in the order; without arguments the next one."""

    seq: int = field(default_factory=lambda: next(_SEQUENCE))
    op_id: str = field(default_factory=new_op_id)

    @classmethod
    def numbered(cls) -> Turn:
        """One that is marked by its number, as the ledger does it."""
        seq = next(_SEQUENCE)
        return cls(seq, str(seq))

    def replayed(self) -> Turn:
        """The same command accepted once more, at the end of the order."""
        return Turn(op_id=self.op_id)


@dataclass(frozen=True)
class Caller:
    """One scope's store. `turn` repeats an earlier acceptance, `takeover` says so."""

    store: Any
    tenant: str
    env: str
    payloads: PayloadStore

    @property
    def place(self) -> dict[str, str]:
        return {"tenant_id": self.tenant, "env": self.env}

    def call(
        self, turn: Turn | None = None, *, takeover: bool = False, seconds: float = 60
    ) -> Call:
        turn = turn or Turn()
        return Call(
            mark=turn.op_id,
            seq=turn.seq,
            takeover=takeover,
            deadline=lease_clock() + seconds,
            payloads=self.payloads,
        )

    def late(self) -> Call:
        """A call whose lease has run out."""
        return self.call(seconds=-1)


AnyCaller = TypeVar("AnyCaller", bound=Caller)
OpenAt = Callable[..., Any]
"""`(desk, tenant, env, config)`: a desk of that class; all but the first have defaults."""


def overtaken(takeover: bool) -> AbstractContextManager[None]:
    """Around a write that came late: one that takes over is answered as if it had been done;
    what a frozen worker that woke is told does not matter, as long as nothing changes."""
    return nullcontext() if takeover else suppress(SignalboxError)


def codes(answers: Sequence[object]) -> list[str]:
    """What each answer of a bulk call is: `OK`, or the code of its error."""
    return [answer.code if isinstance(answer, SignalboxError) else "OK" for answer in answers]

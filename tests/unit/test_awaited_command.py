"""What a task is told of its command, in whichever order the news comes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import cast

import pytest

from signalbox.commands.error import OpIdReused
from signalbox.commands.ledger.entry import Acceptance, Receipt
from signalbox.commands.object_store import PutObject
from signalbox.commands.outcome import Outcome, Status
from signalbox.commands.payload import InlinePayload
from signalbox.producers.client.awaited_command import AwaitedCommand
from signalbox.producers.client.buffered_command import Pending, Submitter
from signalbox.producers.client.loop_inbox import Inboxes
from signalbox.producers.client.submission import Submission

COMMAND = PutObject(
    tenant_id="t_a", env="dev", key="k", payload=InlinePayload(data=b"x"), op_id="one"
)
OUTCOME = Outcome(
    op_id="one",
    op=COMMAND.op,
    tenant_id="t_a",
    env="dev",
    status=Status.DONE,
    seq=1,
    attempt=1,
    worker="w",
    claimed_at=datetime(2026, 1, 1, tzinfo=UTC),
    duration_ms=1.0,
)


@pytest.mark.parametrize("told_first", [True, False])
@pytest.mark.parametrize("acceptance", [Acceptance.NEW, Acceptance.KNOWN, Acceptance.CONFLICT])
def test_the_outcome_of_another_command_under_its_op_id_is_none_of_its(
    acceptance: Acceptance, told_first: bool
) -> None:
    async def main() -> AwaitedCommand:
        awaited = AwaitedCommand(Inboxes().here(), COMMAND, to_its_end=True)
        pending = Pending(COMMAND, cast(Submitter, None), lambda _: None)
        awaited.hand_over(pending)
        if told_first:
            awaited.tell(OUTCOME)
            await asyncio.sleep(0)
        pending.settle(Submission(COMMAND, Receipt(COMMAND.ref, acceptance, 1)))
        if not told_first:
            awaited.tell(OUTCOME)
        await awaited.known()
        return awaited

    awaited = asyncio.run(main())
    if acceptance is Acceptance.CONFLICT:
        assert isinstance(awaited.error(), OpIdReused)
        assert awaited.outcome is None
    else:
        assert awaited.outcome == OUTCOME
        assert awaited.error() is None

"""Claim checks: staged content, and a separate name of it for each command.

When a command ends, only its own name is removed. Any number of commands may therefore be made of
one payload (`model_copy`), independently of each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress

from signalbox.commands.error import PayloadMissing, StateUnavailable
from signalbox.commands.ledger.entry import Acceptance, Receipt
from signalbox.commands.ledger.staged import refs_named_by
from signalbox.commands.model import Command
from signalbox.commands.object_store import PutObject
from signalbox.commands.payload import DirectoryPayloadStore, StagedPayload
from signalbox.commands.state import State

MAX_UNSURE = 10_000
"""Number of names that are remembered for commands of which it is unknown whether they were
accepted."""


class ClaimChecks:
    """Gives each command its own name of the staged content. Thread-safe."""

    def __init__(self, store: DirectoryPayloadStore | None, state: State) -> None:
        self._store = store
        self._state = state
        self._unsure: OrderedDict[tuple[str, str, str], StagedPayload] = OrderedDict()

    def take(self, commands: Sequence[Command]) -> list[Command]:
        """Return the commands as they are to be submitted. Raises LocalFileError.

        A command whose content is missing is not changed: the ledger may already have it.
        """
        own = list(commands)
        if self._store is None:
            return own
        staged = [
            (number, command)
            for number, command in enumerate(commands)
            if isinstance(command, PutObject) and isinstance(command.payload, StagedPayload)
        ]
        try:
            for number, command in staged:
                with suppress(PayloadMissing):
                    payload = self._again(command) or self._store.add_owner(_payload(command))
                    own[number] = command.model_copy(update={"payload": payload})
            if staged:
                self._store.sync()
        except BaseException:
            for number, command in staged:
                self._give_up(own[number], command)
            raise
        return own

    def unsure(self, commands: Sequence[Command], own: Sequence[Command]) -> None:
        """Remember the names of commands for which there was no answer.

        Submitted again, they get the same names. Names that are not used again are removed by the
        cleaner.
        """
        for command, mine in zip(commands, own, strict=True):
            if mine is not command:
                self._unsure[_key(command)] = _payload(mine)
                if len(self._unsure) > MAX_UNSURE:
                    with suppress(KeyError):
                        self._unsure.popitem(last=False)

    def settle(
        self, commands: Sequence[Command], own: Sequence[Command], receipts: Sequence[Receipt]
    ) -> list[Command]:
        """Remove the names that the ledger did not accept.

        Return the commands as they are known now. An accepted command is returned with its own
        name, so that keeping it does not keep the content.
        """
        known: list[int] = []
        settled = list(commands)
        for number, (command, mine) in enumerate(zip(commands, own, strict=True)):
            if mine is command:
                continue
            match receipts[number].acceptance:
                case Acceptance.NEW | Acceptance.HELD:
                    settled[number] = mine
                case Acceptance.KNOWN:
                    known.append(number)
                case _:
                    self._give_up(mine, command)
        if known:
            # An earlier answer may have been lost, in which case the ledger has the name that was
            # given then.
            with suppress(StateUnavailable):
                named = refs_named_by(self._state, [commands[number].ref for number in known])
                for number, refs in zip(known, named, strict=True):
                    if _payload(own[number]).ref not in refs:
                        self._give_up(own[number], commands[number])
        return settled

    def _again(self, command: Command) -> StagedPayload | None:
        return self._unsure.pop(_key(command), None) if self._unsure else None

    def _give_up(self, mine: Command, command: Command) -> None:
        if mine is not command and self._store is not None:
            self._store.remove(_payload(mine))


def _payload(command: Command) -> StagedPayload:
    if not (isinstance(command, PutObject) and isinstance(command.payload, StagedPayload)):
        raise TypeError(f"{command.op} has nothing staged")
    return command.payload


def _key(command: Command) -> tuple[str, str, str]:
    return command.ref, _payload(command).ref, command.fingerprint()

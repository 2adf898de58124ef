"""What a process remembers of what it has run: that it comes again, in little room."""

from __future__ import annotations

import random

import pytest

from signalbox.commands.error import SignatureInvalid
from signalbox.workers.execution.proof_judge import _indexes
from signalbox.workers.execution.signed_statements import Statements

WHOLE = range(100)


@pytest.mark.parametrize("positions", [[], [0], [*WHOLE], [1, 2], [0, 0], [2, 0, 1], [0, 2]])
def test_the_indexes_of_a_parcel_are_those_of_its_commands(positions: list[int]) -> None:
    assert {index for index in range(-1, 101) if index in _indexes(positions)} == set(positions)


def test_those_of_a_whole_parcel_take_no_room_of_their_own() -> None:
    assert _indexes([*WHOLE]) == WHOLE
    assert _indexes(random.Random(1).sample(WHOLE, 100)) == frozenset(WHOLE)


@pytest.mark.parametrize("positions", [[*WHOLE], [1, 5, 7]])
def test_what_ran_in_a_parcel_is_known_in_each_form(positions: list[int]) -> None:
    statements, indexes = Statements("here", 1000), _indexes(positions)
    assert not statements.runs_as_parcel("token", 0, 1000, indexes)
    assert statements.runs_as_parcel("token", 0, 1000, indexes)
    assert statements.runs_apart("token", 0, 5, 1005)
    assert not statements.runs_apart("token", 0, 200, 1)
    assert not statements.runs_as_parcel("token", 1, 1000, indexes)
    with pytest.raises(SignatureInvalid):
        statements.runs_apart("token", 0, 7, 2000)
    with pytest.raises(SignatureInvalid):
        statements.runs_as_parcel("token", 0, 2000, indexes)

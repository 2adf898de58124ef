"""One table says which HTTP status an error has, and it knows every code."""

from __future__ import annotations

from signalbox.commands import error
from signalbox.gateway.error import STATUS, kinds, status_of


def test_every_code_of_an_error_has_its_status() -> None:
    codes = {
        kind.code: kind.http_status
        for kind in vars(error).values()
        if isinstance(kind, type) and issubclass(kind, error.SignalboxError)
    }
    assert len(codes) > 50
    assert codes.items() <= STATUS.items()


def test_no_two_errors_share_a_code() -> None:
    named = [
        kind
        for kind in kinds()
        if kind.__module__ in ("signalbox.commands.error", "signalbox.gateway.error")
    ]
    # The class of all has the code of what nobody foresaw.
    own = [k for k in named if "code" in vars(k) and k is not error.SignalboxError]
    assert len({kind.code for kind in own}) == len(own)


def test_a_condition_that_does_not_hold_is_412() -> None:
    assert status_of("ALREADY_EXISTS", 500) == 409
    assert status_of("ALREADY_EXISTS", 500, conditional=True) == 412


def test_a_code_of_another_release_keeps_the_status_that_came_with_it() -> None:
    assert status_of("SOMETHING_NEW", 418) == 418

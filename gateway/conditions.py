"""Conditional requests: `If-Match` and `If-None-Match: *` as conditions of a write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import Header

from signalbox.gateway.error import InvalidRequest

IfMatchHeader = Annotated[
    str | None, Header(alias="If-Match", description="Only if this ETag is there.")
]
IfNoneMatchHeader = Annotated[
    str | None, Header(alias="If-None-Match", description="`*`: only if there is nothing yet.")
]
CONDITIONS = frozenset(("if-match", "if-none-match", "if-unmodified-since"))
"""Headers that make a write depend on what is there."""
_TAG = re.compile(r'"([^"]+)"')
_REVISION = re.compile(r'"?([1-9][0-9]{0,18})"?', re.ASCII)


def check_conditions_are_known(headers: Mapping[str, str], known: frozenset[str]) -> None:
    """Raise InvalidRequest if a write has a condition other than those that its call checks.

    It would otherwise take effect although its condition may not hold.
    """
    for name in CONDITIONS - known:
        if name in headers:
            takes = ", ".join(sorted(CONDITIONS & known))
            raise InvalidRequest(
                f"header.{name}: this call does not check that condition",
                next_step=f"send another condition ({takes})" if takes else "leave it out",
            )


def tag_of(header: str | None) -> str | None:
    """Return the ETag in `If-Match`, None without the header. Raises InvalidRequest."""
    if header is None:
        return None
    if (said := _TAG.fullmatch(header.strip())) is None:
        raise InvalidRequest(
            "If-Match is not one ETag in quotes",
            next_step='send If-Match: "<etag>", as it was told',
        )
    return said[1]


def revision_of(header: str | None) -> int | None:
    """Return the revision in `If-Match`, None without the header. Raises InvalidRequest."""
    if header is None:
        return None
    said = _REVISION.fullmatch(header.strip())
    if said is None or int(said[1]) >= 2**63:
        raise InvalidRequest(
            "If-Match is not a revision", next_step='send If-Match: "<revision>", as it was told'
        )
    return int(said[1])


def is_absent(header: str | None) -> bool:
    """Return whether nothing may exist yet. Raises InvalidRequest for anything but `*`."""
    if header is None:
        return False
    if header.strip() != "*":
        raise InvalidRequest(
            "a write takes If-None-Match: * alone", next_step="send *, or leave the header out"
        )
    return True

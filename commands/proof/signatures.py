"""How strictly a deployment or a tenant asks for signatures."""

from __future__ import annotations

from enum import StrEnum


class Signatures(StrEnum):
    """What becomes of a command whose signature is missing or does not count."""

    OFF = "off"
    """It runs, and nothing is checked."""
    OBSERVE = "observe"
    """It runs, and is counted and logged."""
    REQUIRED = "required"
    """It is refused."""

    def stricter(self, other: Signatures) -> Signatures:
        """The stricter of the two."""
        order = list(Signatures)
        return max(self, other, key=order.index)

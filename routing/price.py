"""An estimate of what a route costs in a month, from its use and a file of prices."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from signalbox.commands.error import InvalidSetting
from signalbox.commands.ledger.usage import Use

GIB = 1024**3
Price = Field(ge=0, allow_inf_nan=False)


class Prices(BaseModel):
    """Of one backend, in the file's currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gb_month: float = Price
    writes: float = Price
    reads: float = Price
    gb_out: float = Price


PriceTables = dict[str, dict[str, Prices]]
"""By name of the table, then backend type."""
_TABLES = TypeAdapter(PriceTables)


@dataclass(frozen=True)
class Estimate:
    """Of this month so far, and of storage for a whole one; `storage` is None if not counted."""

    storage: float | None
    writes: float
    reads: float
    out: float

    @property
    def total(self) -> float:
        return (self.storage or 0.0) + self.writes + self.reads + self.out


def load_prices(path: Path | None) -> PriceTables:
    """The tables of a file; without one the example that comes along. Raises InvalidSetting."""
    try:
        text = (
            path.read_text()
            if path is not None
            else resources.files("signalbox.routing").joinpath("prices.toml").read_text()
        )
        return _TABLES.validate_python(tomllib.loads(text))
    except (OSError, ValueError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise InvalidSetting(
            f"the price file {path} cannot be read: {reason}",
            next_step="write it like routing/prices.toml",
        ) from None


def estimate(use: Use, backend_type: str, tables: PriceTables, table: str | None) -> Estimate:
    """What the use comes to. Raises InvalidSetting where the file has no such table or backend."""
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

"""Estimates of cost: arithmetic, the file that comes along, and files that are no price files."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalbox.adapters.catalogue import CATALOGUE
from signalbox.commands.error import InvalidSetting
from signalbox.commands.ledger.usage import Use
from signalbox.routing.policy.price import GIB, Prices, estimate, load_prices

PRICES = Prices(gb_month=0.5, writes=2.0, reads=0.25, gb_out=0.125)
FREE = Prices(gb_month=0, writes=0, reads=0, gb_out=0)
TABLES = {"default": {"s3": PRICES}, "contract": {"s3": FREE}}
GOOD = "gb_month = 1.0\nwrites = 1.0\nreads = 1.0\ngb_out = 1.0\n"


def use(**counts: int | None) -> Use:
    zero: dict[str, int | None] = dict.fromkeys(
        ("objects", "bytes", "reads", "writes", "failures", "bytes_in", "bytes_out"), 0
    )
    return Use(**zero | counts, ok_at=None, error_at=None, error=None)  # type: ignore[arg-type]


def test_each_part_is_its_use_times_its_price() -> None:
    found = estimate(
        use(bytes=3 * GIB, writes=1500, reads=4000, bytes_out=8 * GIB), "s3", TABLES, None
    )
    assert (found.storage, found.writes, found.reads, found.out) == (1.5, 3.0, 1.0, 1.0)
    assert found.total == 6.5


def test_nothing_used_costs_nothing() -> None:
    assert estimate(use(), "s3", TABLES, None).total == 0


def test_what_comes_in_and_what_failed_is_free() -> None:
    assert estimate(use(bytes_in=GIB, failures=99), "s3", TABLES, None).total == 0


def test_storage_that_was_not_counted_is_unknown_and_not_part_of_the_total() -> None:
    found = estimate(use(bytes=None, writes=1000), "s3", TABLES, None)
    assert found.storage is None
    assert found.total == 2.0


def test_a_tenants_table_counts_instead_of_the_default() -> None:
    assert estimate(use(writes=1000), "s3", TABLES, "contract").total == 0


@pytest.mark.parametrize(
    ("backend", "table"), [("firestore", None), ("s3", "none-such"), ("firestore", "contract")]
)
def test_a_missing_table_or_backend_is_named_and_never_counts_as_free(
    backend: str, table: str | None
) -> None:
    with pytest.raises(InvalidSetting) as caught:
        estimate(use(writes=1000), backend, TABLES, table)
    assert backend in str(caught.value)
    assert repr(table or "default") in str(caught.value)
    assert "--prices" in str(caught.value)


def test_the_file_that_comes_along_has_a_price_for_every_backend_of_the_catalogue() -> None:
    default = load_prices(None)["default"]
    assert {backend.backend_type for backend in CATALOGUE} <= default.keys() | {"postgres"}
    assert default["filesystem"] == FREE
    assert all(prices.gb_month > 0 for name, prices in default.items() if name != "filesystem")


def test_a_file_of_ones_own_replaces_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(f"[default.s3]\n{GOOD}")
    assert load_prices(path) == {"default": {"s3": Prices(gb_month=1, writes=1, reads=1, gb_out=1)}}


@pytest.mark.parametrize(
    "content",
    [
        b"no toml",
        b"\xff\xfe",
        b"[default]\ns3 = 1\n",
        b"[default.s3]\ngb_month = 1.0\n",
        f"[default.s3]\n{GOOD}more = 1.0\n".encode(),
        f"[default.s3]\n{GOOD}".replace("writes = 1.0", "writes = -1.0").encode(),
        f"[default.s3]\n{GOOD}".replace("writes = 1.0", "writes = inf").encode(),
        f"[default.s3]\n{GOOD}".replace("writes = 1.0", "writes = nan").encode(),
        f"[default.s3]\n{GOOD}".replace("writes = 1.0", 'writes = "dear"').encode(),
    ],
    ids=["no toml", "no text", "flat", "lacking", "unknown", "negative", "infinite", "nan", "word"],
)
def test_a_file_that_is_no_price_file_is_refused_with_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidSetting, match=r"mine\.toml") as caught:
        load_prices(path)
    assert "routing/policy/prices.toml" in str(caught.value)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSetting, match=r"No such file|Is a directory"):
        load_prices(tmp_path / name)

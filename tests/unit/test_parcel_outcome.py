"""Outcomes of a parcel as one blob: equal to what went in, and small."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox.commands.error import LedgerDamaged
from signalbox.commands.error_detail import ErrorDetail
from signalbox.commands.ledger import parcel_outcome
from signalbox.commands.ledger.framing import Heap, enframe, unframe
from signalbox.commands.ledger.parcel_outcome import open_outcomes, seal_outcomes
from signalbox.commands.model import new_op_id
from signalbox.commands.object_store import PutResult
from signalbox.commands.outcome import Outcome, Status
from signalbox.testing.typed_values import names

NOW = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


def outcome(position: int, **fields: Any) -> Outcome:
    usual: dict[str, Any] = {
        "op_id": f"id-{position}",
        "op": "object_store.put",
        "tenant_id": "t_x",
        "env": "dev",
        "subject": f"a/{position}",
        "status": Status.DONE,
        "result": {"key": f"a/{position}", "size": 3, "superseded": False},
        "backend_type": "filesystem",
        "route_revision": 1,
        "seq": 1_700_000_000_000_000 + position,
        "attempt": 1,
        "worker": "w1",
        "claimed_at": NOW,
        "duration_ms": 1.5,
    }
    return Outcome(**usual | fields)


def done_put(position: int) -> Outcome:
    key, content = f"docs/2026/report-{position:05}.pdf", str(position).encode()
    result = PutResult(
        key=key,
        size=1024,
        etag=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        uri=f"s3://bucket/t_x/dev/{key}",
    )
    return outcome(position, op_id=new_op_id(), subject=key, result=result.model_dump(mode="json"))


SMALL = [
    (0, outcome(0, op_id="01a21e3c-d0cd-747c-be93-628c24c46399")),
    (2, outcome(2, op_id="01a21e3c-d0cd-747c-be93-628c24c4639a", result={"sha256": "0f" * 32})),
    (3, outcome(3, op_id="01a21e3c-d0cd-747c-be93-628c24c4639b")),
]
GOLDEN = (
    "53426f3100000398000000507b22736368656d61223a22676f6c64656e222c2273656374696f6e73223a5b7b2261"
    "74223a5b302c335d2c226f7574636f6d65223a7b226f705f6964223a7b2275756964223a307d2c226f70223a7b22"
    "73616d65223a226f626a6563745f73746f72652e707574227d2c2274656e616e745f6964223a7b2273616d65223a"
    "22745f78227d2c22656e76223a7b2273616d65223a22646576227d2c227375626a656374223a7b2268656164223a"
    "22612f222c227461696c73223a5b2230222c2233225d7d2c22737461747573223a7b2273616d65223a22646f6e65"
    "227d2c226572726f72223a7b2273616d65223a6e756c6c7d2c226261636b656e645f74797065223a7b2273616d65"
    "223a2266696c6573797374656d227d2c22726f7574655f7265766973696f6e223a7b2273616d65223a317d2c2273"
    "6571223a7b2273616d65223a313730303030303030303030303030307d2c22617474656d7074223a7b2273616d65"
    "223a317d2c22776f726b6572223a7b2273616d65223a227731227d2c22636c61696d65645f6174223a7b2273616d"
    "65223a22323032362d30312d33315431323a30303a30302e3030303030315a227d2c226475726174696f6e5f6d73"
    "223a7b2273616d65223a312e357d7d2c22726573756c74223a7b226b6579223a7b2268656164223a22612f222c22"
    "6c696b65223a307d2c2273697a65223a7b2273616d65223a337d2c2273757065727365646564223a7b2273616d65"
    "223a66616c73657d7d7d2c7b226174223a5b325d2c226f7574636f6d65223a7b226f705f6964223a7b2275756964"
    "223a33327d2c226f70223a5b226f626a6563745f73746f72652e707574225d2c2274656e616e745f6964223a5b22"
    "745f78225d2c22656e76223a5b22646576225d2c227375626a656374223a5b22612f32225d2c2273746174757322"
    "3a5b22646f6e65225d2c226572726f72223a5b6e756c6c5d2c226261636b656e645f74797065223a5b2266696c65"
    "73797374656d225d2c22726f7574655f7265766973696f6e223a5b315d2c22736571223a5b313730303030303030"
    "303030303030305d2c22617474656d7074223a5b315d2c22776f726b6572223a5b227731225d2c22636c61696d65"
    "645f6174223a5b22323032362d30312d33315431323a30303a30302e3030303030315a225d2c226475726174696f"
    "6e5f6d73223a5b312e355d7d2c22726573756c74223a7b22736861323536223a7b22686578223a34382c226c656e"
    "677468223a36347d7d7d5d7d01a21e3cd0cd747cbe93628c24c4639901a21e3cd0cd747cbe93628c24c4639b01a2"
    "1e3cd0cd747cbe93628c24c4639a0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
    "2aaa9084"
)

digits = st.text("0123456789abcdef", min_size=30, max_size=34)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.text("ab", max_size=6).map(lambda text: "s3://bucket/" + text),
    st.uuids().map(str),
    st.uuids().map(lambda uuid: str(uuid).upper()),
    digits,
    st.sampled_from(["", "0" * 16, "A" * 16, " " * 16, "0" * 15 + "é", "-" * 36, "é" * 36]),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)
results = st.none() | st.dictionaries(
    st.sampled_from(["key", "etag", "n"]), json_values, max_size=3
)
outcomes = st.builds(
    outcome,
    st.integers(0, 3),
    op_id=texts,
    op=st.sampled_from(["object_store.put", "event_stream.append"]),
    tenant_id=st.sampled_from(["t_x", "t_y"]),
    subject=texts,
    status=st.sampled_from(Status),
    result=results,
    error=st.none()
    | st.just(ErrorDetail(code="X", message="m", http_status=500, temporary=True, retry_after=1.5)),
    backend_type=st.none() | texts,
    route_revision=st.none() | st.integers(0, 2),
    claimed_at=st.just(NOW) | st.just(NOW + timedelta(microseconds=1)),
    duration_ms=st.sampled_from([0.0, -0.0, 1.5]) | st.floats(0, 1e6),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 99), outcomes, max_size=6), st.booleans())
@example(dict(SMALL), True)
def test_outcomes_come_out_as_they_went_in(drawn: dict[int, Outcome], own: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        blob = seal_outcomes(list(drawn.items()))
        if not own:
            patch.setattr(parcel_outcome, "_SCHEMA", "another")
        found = open_outcomes(blob)
    assert found == drawn
    for position, expected in drawn.items():
        # Equal for more than Python: 0.0 and -0.0, 1 and True.
        assert found[position].model_dump_json() == expected.model_dump_json()
        assert found[position].model_fields_set == set(Outcome.model_fields)
        if own:
            assert repr(found[position]) == repr(expected)


def test_no_two_rows_share_a_result() -> None:
    found = open_outcomes(seal_outcomes([(n, outcome(n, result={"n": 1})) for n in range(2)]))
    assert found[0].result is not found[1].result


def test_a_done_put_keeps_less_than_a_hundred_bytes() -> None:
    rows = [(position, done_put(position)) for position in range(100)]
    blob = seal_outcomes(rows)
    assert open_outcomes(blob) == dict(rows)
    assert len(blob) < 100 * 100


@pytest.mark.parametrize("number", [1, 100])
def test_an_etag_that_is_the_digest_is_kept_once(number: int) -> None:
    def sealed(etag: Callable[[str], str]) -> tuple[list[tuple[int, Outcome]], bytes]:
        rows = []
        for position in range(number):
            sha256 = hashlib.sha256(str(position).encode()).hexdigest()
            result = {"etag": etag(sha256), "sha256": sha256}
            rows.append((position, outcome(position, result=result)))
        return rows, seal_outcomes(rows)

    (rows, same), (_, other) = sealed(str), sealed(lambda digest: digest[::-1])
    assert open_outcomes(same) == dict(rows)
    assert len(other) - len(same) >= 32 * number - 4


def test_a_blob_keeps_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel_outcome, "_SCHEMA", "golden")
    # Not the bytes: builds of zlib deflate differently.
    tag = bytes.fromhex(GOLDEN)[:4]
    assert unframe(tag, seal_outcomes(SMALL)) == unframe(tag, bytes.fromhex(GOLDEN))
    assert open_outcomes(bytes.fromhex(GOLDEN)) == dict(SMALL)


def test_a_blob_of_an_earlier_release_is_read() -> None:
    assert open_outcomes(bytes.fromhex(GOLDEN)) == dict(SMALL)


def test_every_cut_and_every_changed_byte_is_noticed() -> None:
    blob = seal_outcomes(SMALL)
    changed = [blob[:end] for end in range(len(blob))]
    changed += [
        blob[:index] + bytes([byte ^ change]) + blob[index + 1 :]
        for index, byte in enumerate(blob)
        for change in (1, 0x20, 0x80, 0xFF)
    ]
    for other in [*changed, blob + b"\0"]:
        with pytest.raises(LedgerDamaged):
            open_outcomes(other)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("section", [None, 1, {}, {"at": [0]}, {"at": [0], "outcome": {}}])
def test_what_has_a_checksum_and_holds_no_outcomes_is_called_damaged(
    section: Any, own: bool
) -> None:
    schema = parcel_outcome._SCHEMA if own else "another"
    for document in (section, {"schema": schema, "sections": [section]}):
        with pytest.raises(LedgerDamaged):
            open_outcomes(enframe(b"SBo1", document, Heap()))

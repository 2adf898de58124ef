"""Commands of every op that a parcel takes, for hypothesis to draw from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from signalbox.commands.event_stream import AppendEvent, Event, ListStreams, ReadEvents
from signalbox.commands.metrics_store import (
    Aggregation,
    IngestPoints,
    ListSeries,
    Point,
    QueryPoints,
)
from signalbox.commands.model import Command
from signalbox.commands.object_store import (
    Condition,
    DeleteObject,
    GetObject,
    HeadObject,
    ListObjects,
    ObjectUri,
    PresignGet,
    PresignPost,
    PresignPut,
    PutObject,
    RegisterObject,
)
from signalbox.commands.payload import InlinePayload
from signalbox.commands.scope import Mode
from signalbox.commands.tabular_store import (
    DeleteRow,
    Filter,
    GetRow,
    ListTables,
    QueryRows,
    RowCondition,
    UpsertRow,
)
from signalbox.testing.typed_values import data, names, timestamps, values

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.lists(
    st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1)
    .map(lambda text: text[:9])
    .filter(lambda text: text not in (".", "..")),
    min_size=1,
    max_size=3,
).map("/".join)
metadata = st.dictionaries(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,5}", fullmatch=True), st.sampled_from(["", "a b", "~"])
)
labels = st.dictionaries(names, texts, max_size=3)
maybe_text = st.none() | texts
common: dict[str, st.SearchStrategy[Any]] = {
    "op_id": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,9}", fullmatch=True)
    | st.uuids().map(str),
    "tenant_id": st.sampled_from(["t_a", "t_b-2"]),
    "env": st.sampled_from(["dev", "prod"]),
    "mode": st.sampled_from(Mode),
    "deadline": st.none() | timestamps,
}
of_object = common | {"key": keys}
of_row = common | {"table_name": names, "key": names}
page = {"cursor": maybe_text, "limit": st.integers(1, 1000)}
content_types = st.sampled_from(["text/plain", "a/b; c=d", "application/octet-stream"])
spans = st.timedeltas(timedelta(microseconds=1), timedelta(days=7))
points = st.builds(
    Point,
    series=names,
    timestamp=timestamps,
    value=st.floats(allow_nan=False, allow_infinity=False),
    labels=labels,
)

OF_OP: list[st.SearchStrategy[Command]] = [
    st.builds(
        PutObject,
        payload=st.binary(max_size=40).map(lambda content: InlinePayload(data=content)),
        content_type=content_types,
        metadata=metadata,
        condition=st.one_of(
            st.just(Condition()),
            st.just(Condition(if_absent=True)),
            maybe_text.map(lambda etag: Condition(if_match=etag)),
        ),
        **of_object,
    ),
    st.builds(GetObject, first=st.integers(0, 9) | st.none(), last=st.integers(9), **of_object),
    st.builds(HeadObject, **of_object),
    st.builds(DeleteObject, if_match=maybe_text, **of_object),
    st.builds(
        ListObjects,
        prefix=keys | st.just(""),
        delimiter=st.sampled_from(["", "/"]),
        **common,
        **page,
    ),
    st.builds(
        PresignPost,
        content_type=content_types,
        max_bytes=st.integers(9, 5 * 1024**3),
        min_bytes=st.integers(0, 9),
        expires=spans,
        **of_object,
    ),
    st.builds(PresignPut, content_type=content_types, expires=spans, **of_object),
    st.builds(PresignGet, expires=spans, **of_object),
    st.builds(ObjectUri, **of_object),
    st.builds(
        RegisterObject,
        size_bytes=st.none() | st.integers(0),
        sha256=st.none() | st.just("0f" * 32),
        metadata=metadata,
        **of_object,
    ),
    st.builds(
        UpsertRow,
        data=data,
        condition=st.sampled_from(
            [RowCondition(), RowCondition(if_absent=True), RowCondition(if_revision=2**70)]
        ),
        **of_row,
    ),
    st.builds(GetRow, **of_row),
    st.builds(DeleteRow, if_revision=st.none() | st.integers(1), **of_row),
    st.builds(
        QueryRows,
        table_name=names,
        filters=st.lists(
            st.builds(Filter, column=names, op=st.sampled_from(["eq", "lt", "ge"]), value=values),
            max_size=3,
        ),
        order_by=st.none() | names,
        descending=st.booleans(),
        **common,
        **page,
    ),
    st.builds(
        IngestPoints,
        points=st.lists(points, min_size=1, max_size=4, unique_by=lambda point: point.identity),
        **common,
    ),
    st.builds(
        QueryPoints,
        series=names,
        start=st.datetimes(max_value=datetime(1999, 1, 1), timezones=st.just(UTC)),
        end=st.just(datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)),
        labels=labels,
        aggregation=st.sampled_from(Aggregation),
        window=st.none() | st.timedeltas(timedelta(milliseconds=1)),
        group_by=st.lists(names, max_size=2),
        **common,
        **page,
    ),
    st.builds(
        AppendEvent,
        stream=names,
        event=st.builds(
            Event, id=st.none() | names, type=names, time=st.none() | timestamps, data=data
        ),
        expected_version=st.none() | st.integers(0),
        **common,
    ),
    *(
        st.builds(model, prefix=st.just("") | names, allow_scan=st.booleans(), **common, **page)
        for model in (ListTables, ListSeries, ListStreams)
    ),
    st.builds(ReadEvents, stream=names, after=st.integers(0), limit=st.integers(1, 1000), **common),
]
commands = st.one_of(OF_OP)

"""A column's position in the order of rows as bytes, the same in Python and in PostgreSQL.

The bytes sort as `adapters/row_query.py` orders values: by class, then by value. PostgreSQL
computes them with a function that Signalbox creates, and filters, orders and indexes rows by them.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import sql

from signalbox.adapters.row_query import OrderKey, ValueClass, rank_of
from signalbox.commands.tabular_store import Filter

UNRANKED: Final = bytes([ValueClass.NESTED])
"""Rank of a row without the column, or with a list or an object there."""
RANK: Final = "column_rank(data, %s::text)"

# Text of PostgreSQL holds no NUL, so NUL and U+0001 are told apart by a second character, which
# keeps their order, and put back as bytes. A backslash of the data itself stands doubled in JSON.
_FUNCTION: Final = r"""
CREATE OR REPLACE FUNCTION {schema}.column_rank(data text, name text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $function$
DECLARE
    held json;
    spelled text;
    content bytea;
    number double precision;
    bits bigint;
    rest bigint := 0;
    escaped boolean := strpos(data, E'\\u0000') > 0;
BEGIN
    IF escaped THEN
        data := replace(data, E'\\\\', E'\x01');
        data := replace(data, E'\\u0001', E'\\u0001\\u0002');
        data := replace(data, E'\\u0000', E'\\u0001\\u0001');
        data := replace(data, E'\x01', E'\\\\');
    END IF;
    held := data::json -> name;
    CASE json_typeof(held)
    WHEN 'null' THEN
        RETURN decode('00', 'hex');
    WHEN 'boolean' THEN
        RETURN decode(CASE held::text WHEN 'true' THEN '0101' ELSE '0100' END, 'hex');
    WHEN 'number' THEN
        -- The nearest double, and what an integer has over it.
        spelled := held::text;
        number := spelled::double precision;
        IF number = 0 THEN
            number := 0;
        END IF;
        IF spelled !~ '[.eE]' THEN
            IF number >= 9223372036854775807 THEN
                rest := spelled::bigint - 9223372036854775807 - 1;
            ELSE
                rest := spelled::bigint - number::bigint;
            END IF;
        END IF;
        bits := ('x' || encode(float8send(number), 'hex'))::bit(64)::bigint;
        IF bits < 0 THEN
            bits := bits # 9223372036854775807;
        END IF;
        RETURN decode('02', 'hex') || int8send(bits # (~9223372036854775807))
            || int2send((rest + 1024)::smallint);
    WHEN 'string' THEN
        content := convert_to(held #>> '{{}}', 'UTF8');
        IF escaped THEN
            spelled := regexp_replace(encode(content, 'hex'), '(..)', E'\\1 ', 'g');
            spelled := replace(replace(spelled, '01 01 ', '00 '), '01 02 ', '01 ');
            content := decode(replace(spelled, ' ', ''), 'hex');
        END IF;
        RETURN decode('04', 'hex') || substring(content FROM 1 FOR 1024);
    WHEN 'object' THEN
        -- No name of the data itself begins with $.
        spelled := held ->> '$timestamp';
        IF spelled IS NOT NULL THEN
            RETURN decode('03', 'hex') || convert_to(rtrim(spelled, 'Z'), 'UTF8');
        END IF;
        spelled := held ->> '$bytes';
        IF spelled IS NOT NULL THEN
            RETURN decode('05', 'hex') || substring(decode(spelled, 'base64') FROM 1 FOR 1024);
        END IF;
    ELSE
        NULL;
    END CASE;
    RETURN decode('06', 'hex');
END
$function$
"""
_INDEXES: Final = """
SELECT pg_get_indexdef(indexrelid, 4, false) FROM pg_index
WHERE indrelid = 'rows'::regclass AND indisvalid AND indnkeyatts >= 4
AND pg_get_indexdef(indexrelid, 1, false) = 'tenant'
AND pg_get_indexdef(indexrelid, 2, false) = 'env'
AND pg_get_indexdef(indexrelid, 3, false) = 'tab'
AND coalesce(pg_get_expr(indpred, indrelid), '(gone IS NULL)') = '(gone IS NULL)'
"""
_NUMBER = struct.Struct(">QH")
_DOUBLE = struct.Struct(">d")
_BITS = struct.Struct(">Q")
_SIGN = 1 << 63


def function(schema: str) -> sql.Composed:
    """Return the statement that creates the function."""
    return sql.SQL(_FUNCTION).format(schema=sql.Identifier(schema))


def index_statement(schema: str, column: str) -> str:
    """Return the statement that creates an index of a column, in the tables of all tenants."""
    name = "'" + column.replace("'", "''") + "'"
    if "\\" in name:
        # Read alike whatever standard_conforming_strings is where an operator runs it: a backslash
        # must not take the quote behind it for part of the text, and the rest for statements.
        name = "E" + name.replace("\\", "\\\\")
    return (
        f"CREATE INDEX CONCURRENTLY ON {schema}.rows (tenant, env, tab, "
        f"{schema}.column_rank(data, {name}), key) WHERE gone IS NULL"
    )


def has_index(connection: psycopg.Connection[Any], column: str) -> bool:
    """Return whether such an index exists and is complete."""
    name = column.replace("'", "''")
    found = connection.execute(_INDEXES).fetchall()
    return (f"column_rank(data, '{name}'::text)",) in found


def bytes_of(position: OrderKey) -> bytes:
    """Return what `column_rank` returns for a row at this position in the order by the column."""
    kind, value, _ = position
    if kind in (-1, ValueClass.NESTED):
        return UNRANKED
    return bytes([kind]) + _spelled(ValueClass(kind), value)


def bounds_of(test: Filter) -> tuple[bytes, bytes]:
    """Return the lowest and highest bytes of rows that pass; other rows may be between them too."""
    kind, value = rank_of(test.value)
    at = bytes([kind]) if kind is ValueClass.NESTED else bytes([kind]) + _spelled(kind, value)
    if test.op == "eq":
        return at, at
    return (bytes([kind]), at) if test.op in ("lt", "le") else (at, bytes([kind + 1]))


def _spelled(kind: ValueClass, value: Any) -> bytes:
    if kind is ValueClass.NULL:
        return b""
    if kind is ValueClass.BOOL:
        return bytes([value])
    if kind is ValueClass.NUMBER:
        # Zero has no sign here.
        number = float(value) or 0.0
        (bits,) = _BITS.unpack(_DOUBLE.pack(number))
        rest = 0 if isinstance(value, float) else int(value) - int(number)
        return _NUMBER.pack(bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN, rest + 1024)
    if kind is ValueClass.TIMESTAMP:
        stamp: datetime = value
        return stamp.isoformat().removesuffix("+00:00").encode()
    return bytes(value)

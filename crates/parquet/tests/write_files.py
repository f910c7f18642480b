"""Writes Parquet files with several writers, and beside each the rows that a reader must make of it.

The rows come from the values that were given to the writer, never from reading the file back. Each line of
`{name}.jsonl` is `[row]`, or `[row, column]` if the row has a fault in that column. Columns whose names begin with
`decimal` are compared digit by digit, other numbers by their value.
"""

import base64
import datetime as dt
import decimal
import json
import math
import random
import sys
import uuid
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

OUTPUT = Path(sys.argv[1])
UTC = dt.timezone.utc
RANDOM = random.Random(7)


class Number(str):
    """Digits to be written as they are."""


def text_of(value):
    """A value as JSON."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{text_of(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(text_of, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def expect(name, rows, faults=None):
    """Writes the rows that must come out of a file; `faults` are columns by the number of the row."""
    with open(OUTPUT / f"{name}.jsonl", "w") as out:
        for index, row in enumerate(rows):
            fault = (faults or {}).get(index)
            out.write(text_of([row] if fault is None else [row, fault]) + "\n")


def fraction(nanoseconds):
    return ("." + f"{nanoseconds:09}".rstrip("0")) if nanoseconds else ""


def moment(value, nanoseconds=None, zone=""):
    """A datetime; Python's has microseconds, so nanoseconds of the second can be given."""
    nanoseconds = value.microsecond * 1000 if nanoseconds is None else nanoseconds
    day = f"{value.year:04}-{value.month:02}-{value.day:02}"
    return f"{day}T{value.hour:02}:{value.minute:02}:{value.second:02}{fraction(nanoseconds)}{zone}"


def clock(value):
    return f"{value.hour:02}:{value.minute:02}:{value.second:02}{fraction(value.microsecond * 1000)}"


def digits(value):
    return Number(format(value, "f"))


def b64(value):
    return base64.b64encode(value).decode()


def real(value):
    """A float as Parquet's reader must show it."""
    value = float(value)
    return Number(repr(value)) if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")


def single(value):
    return Number(str(np.float32(value)))


def same(value):
    return value


def word():
    return "".join(RANDOM.choice("abcäöü漢🚀\"\\\n\t\x01 ") for _ in range(RANDOM.randrange(12)))


def whole(bits, signed=True):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return lambda: RANDOM.choice([low, high, 0, 1, RANDOM.randint(low, high)])


def number(precision, scale):
    def make():
        unscaled = RANDOM.choice([0, 1, -1, 10**precision - 1, 1 - 10**precision, RANDOM.randrange(10**precision)])
        with decimal.localcontext(prec=80):
            return decimal.Decimal(unscaled).scaleb(-scale)
    return make


def day():
    return RANDOM.choice([dt.date.min, dt.date.max, dt.date(1970, 1, 1), dt.date(2026, 1, 31),
                          dt.date.fromordinal(RANDOM.randrange(1, 3_000_000))])


def instant(microseconds):
    """A datetime with a resolution of so many microseconds."""
    def make():
        early, late = dt.datetime(1700, 1, 1), dt.datetime(2262, 1, 1)
        value = RANDOM.choice([dt.datetime(1970, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999_000),
                               early + (late - early) * RANDOM.random()])
        return value.replace(microsecond=value.microsecond // microseconds * microseconds)
    return make


def time(microseconds):
    return lambda: instant(microseconds)().time()


def zoned(value):
    return moment(value, zone="Z")


def uuid_bytes():
    return uuid.UUID(int=RANDOM.getrandbits(128)).bytes


def embedded(text):
    """Embedded JSON, its line breaks replaced."""
    return Number(text.replace("\n", " "))


# Name, Arrow type, maker of a value, its JSON.
TYPES = [
    ("bool", pa.bool_(), lambda: RANDOM.random() < 0.5, same),
    ("int8", pa.int8(), whole(8), same),
    ("int16", pa.int16(), whole(16), same),
    ("int32", pa.int32(), whole(32), same),
    ("int64", pa.int64(), whole(64), same),
    ("uint8", pa.uint8(), whole(8, False), same),
    ("uint16", pa.uint16(), whole(16, False), same),
    ("uint32", pa.uint32(), whole(32, False), same),
    ("uint64", pa.uint64(), whole(64, False), same),
    ("half", pa.float16(), lambda: np.float16(RANDOM.uniform(-1000, 1000)), single),
    ("float", pa.float32(), lambda: np.float32(RANDOM.uniform(-1, 1) * 10.0**RANDOM.randrange(-40, 38)), single),
    ("double", pa.float64(), lambda: RANDOM.uniform(-1, 1) * 10.0**RANDOM.randrange(-320, 308), real),
    ("text", pa.string(), word, same),
    ("few", pa.string(), lambda: RANDOM.choice(["red", "green", "blue"]), same),
    ("bytes", pa.binary(), lambda: RANDOM.randbytes(RANDOM.randrange(8)), b64),
    ("fixed", pa.binary(5), lambda: RANDOM.randbytes(5), b64),
    ("uuid", pa.uuid(), uuid_bytes, lambda value: str(uuid.UUID(bytes=value))),
    ("json", pa.json_(), lambda: RANDOM.choice(['{"a": [1,\n 2.50]}', "null", '"x"', "7"]), embedded),
    ("decimal4", pa.decimal128(4, 2), number(4, 2), digits),
    ("decimal18", pa.decimal128(18, 6), number(18, 6), digits),
    ("decimal38", pa.decimal128(38, 38), number(38, 38), digits),
    ("decimal76", pa.decimal256(76, 10), number(76, 10), digits),
    ("date", pa.date32(), day, str),
    ("time_ms", pa.time32("ms"), time(1000), clock),
    ("time_us", pa.time64("us"), time(1), clock),
    ("stamp_ms", pa.timestamp("ms"), instant(1000), moment),
    ("stamp_us", pa.timestamp("us"), instant(1), moment),
    ("stamp_ns", pa.timestamp("ns"), instant(1), moment),
    ("zone_ms", pa.timestamp("ms", "Europe/Berlin"), instant(1000), zoned),
    ("zone_ns", pa.timestamp("ns", "UTC"), instant(1), zoned),
]


def columns_of(types, count, nulls):
    """Values for each column, and the rows that they make."""
    values = {name: [None if RANDOM.random() < nulls else make() for _ in range(count)] for name, _, make, _ in types}
    rows = [{name: None if values[name][i] is None else show(values[name][i]) for name, _, _, show in types}
            for i in range(count)]
    return values, rows


def array_of(kind, values):
    """An Arrow array; a datetime for a zone is meant in UTC."""
    if pa.types.is_timestamp(kind) and kind.tz:
        values = [None if value is None else value.replace(tzinfo=UTC) for value in values]
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    return pa.array(values, kind)


def table_of(types, values, nullable=True):
    fields = [pa.field(name, kind, nullable) for name, kind, _, _ in types]
    return pa.table([array_of(kind, values[name]) for name, kind, _, _ in types], schema=pa.schema(fields))


def write_types():
    """All types, in several encodings, page versions and compressions."""
    values, rows = columns_of(TYPES, 300, 0.2)
    table = table_of(TYPES, values)
    encodings = {}
    for name, kind, _, _ in TYPES:
        if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
            encodings[name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_floating(kind):
            encodings[name] = "BYTE_STREAM_SPLIT"
        elif name in ("text", "json"):
            encodings[name] = "DELTA_BYTE_ARRAY"
        elif name in ("few", "bytes"):
            encodings[name] = "DELTA_LENGTH_BYTE_ARRAY"
    plain, delta = {"use_dictionary": False}, {"use_dictionary": False, "column_encoding": encodings}
    for name, options in {
        "types_none_v1_dictionary": {"compression": "none", "data_page_version": "1.0"},
        "types_snappy_v1_plain": {"compression": "snappy", "data_page_version": "1.0", **plain},
        "types_gzip_v2_dictionary": {"compression": "gzip", "data_page_version": "2.0"},
        "types_zstd_v2_delta": {"compression": "zstd", "data_page_version": "2.0", **delta},
        "types_lz4_v1_delta": {"compression": "lz4", "data_page_version": "1.0", **delta},
        "types_checked": {"write_page_checksum": True, "store_decimal_as_integer": True},
        "types_version_1": {"version": "1.0"},
    }.items():
        written, expected = table, rows
        if name == "types_version_1":
            # The first version of the format has no 32 unsigned bits and no nanoseconds.
            absent = ["uint32", "half", "stamp_ns", "zone_ns"]
            written = table.drop_columns(absent)
            expected = [{key: value for key, value in row.items() if key not in absent} for row in rows]
        pq.write_table(written, OUTPUT / f"{name}.parquet", **options)
        expect(name, expected)
    pq.write_table(table.slice(0, 0), OUTPUT / "no_rows.parquet")
    expect("no_rows", [])
    some = ["int64", "text", "decimal4"]
    pq.write_table(table.select(some).slice(0, 50), OUTPUT / "row_groups_of_one.parquet", row_group_size=1)
    expect("row_groups_of_one", [{name: row[name] for name in some} for row in rows[:50]])
    values, rows = columns_of(TYPES, 100, 0)
    pq.write_table(table_of(TYPES, values, nullable=False), OUTPUT / "types_required.parquet")
    expect("types_required", rows)


def write_faults():
    floats = [1.0, math.nan, math.inf, -math.inf, None, 2.5]
    texts = [b"fine", b"also", b"fine", b"a\xffb", b"\xed\xa0\x80", b"end"]
    offsets = np.cumsum([0] + [len(text) for text in texts]).astype(np.int32)
    broken = pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts)))
    table = pa.table({"n": pa.array(range(6)), "f": pa.array(floats, pa.float64()), "s": broken})
    pq.write_table(table, OUTPUT / "faults.parquet")
    rows = [{"n": i, "f": None if floats[i] is None else real(floats[i]), "s": texts[i].decode(errors="replace")}
            for i in range(6)]
    expect("faults", rows, {1: "f", 2: "f", 3: "f", 4: "s"})


def nested(count):
    """Rows of every nesting that Arrow can write."""
    def maybe(make, chance=0.2):
        return None if RANDOM.random() < chance else make()

    def some(make):
        return [make() for _ in range(RANDOM.randrange(4))]

    def integer():
        return maybe(whole(32))

    return [{
        "list": maybe(lambda: some(integer)),
        "lists": maybe(lambda: some(lambda: maybe(lambda: some(lambda: maybe(word))))),
        "struct": maybe(lambda: {"a": integer(), "inner": maybe(lambda: {"b": maybe(word), "c": maybe(lambda: some(integer))})}),
        "structs": maybe(lambda: some(lambda: maybe(lambda: {"x": integer(), "ys": maybe(lambda: some(lambda: maybe(word)))}))),
        "map": maybe(lambda: {word() + str(i): integer() for i in range(RANDOM.randrange(4))}),
        "by_number": maybe(lambda: some(lambda: {"key": whole(32)(), "value": maybe(lambda: some(integer))})),
        "fixed": maybe(lambda: [integer(), integer()]),
    } for _ in range(count)]


NESTED = pa.schema([
    ("list", pa.list_(pa.int32())),
    ("lists", pa.list_(pa.list_(pa.string()))),
    ("struct", pa.struct([("a", pa.int32()), ("inner", pa.struct([("b", pa.string()), ("c", pa.list_(pa.int32()))]))])),
    ("structs", pa.list_(pa.struct([("x", pa.int32()), ("ys", pa.list_(pa.string()))]))),
    ("map", pa.map_(pa.string(), pa.int32())),
    ("by_number", pa.map_(pa.int32(), pa.list_(pa.int32()))),
    ("fixed", pa.list_(pa.int32(), 2)),
])


def write_nested():
    def arrow(row):
        """The row as Arrow takes it, with maps as pairs."""
        pairs = row["map"] and list(row["map"].items())
        by_number = row["by_number"] and [(pair["key"], pair["value"]) for pair in row["by_number"]]
        return {**row, "map": [] if row["map"] == {} else pairs, "by_number": by_number}

    rows = nested(400)
    table = pa.Table.from_pylist([arrow(row) for row in rows], schema=NESTED)
    for name, options in {
        "nested_v1": {"data_page_version": "1.0", "data_page_size": 300},
        "nested_v2": {"data_page_version": "2.0", "data_page_size": 300},
        "nested_old_names": {"use_compliant_nested_type": False},
        "nested_index": {"write_page_index": True, "data_page_size": 200, "write_batch_size": 16, "row_group_size": 150},
        "nested_index_v2": {"write_page_index": True, "data_page_size": 200, "write_batch_size": 16,
                            "data_page_version": "2.0", "compression": "zstd"},
    }.items():
        pq.write_table(table, OUTPUT / f"{name}.parquet", **options)
        expect(name, rows)


def write_pages():
    """Many pages, with and without an index of them, for reading from the middle."""
    types = [entry for entry in TYPES if entry[0] in ("bool", "int64", "double", "text", "few", "decimal38", "stamp_us")]
    values, rows = columns_of(types, 5000, 0.1)
    table = table_of(types, values)
    small = {"data_page_size": 1000, "write_batch_size": 64, "row_group_size": 2000}
    delta = {"use_dictionary": False, "column_encoding": {"int64": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY",
                                                          "few": "DELTA_LENGTH_BYTE_ARRAY"}}
    for name, options in {
        "pages": {},
        "pages_index": {"write_page_index": True},
        "pages_index_v2": {"write_page_index": True, "data_page_version": "2.0", "compression": "gzip"},
        "pages_index_delta": {"write_page_index": True, **delta},
        "pages_delta_v2": {"data_page_version": "2.0", **delta},
    }.items():
        pq.write_table(table, OUTPUT / f"{name}.parquet", **small, **options)
        expect(name, rows)


def write_int96():
    values = [dt.datetime(1970, 1, 1), dt.datetime(2026, 1, 31, 12, 34, 56, 789_000), None, dt.datetime(1677, 10, 1)]
    table = pa.table({"t": pa.array(values, pa.timestamp("ns"))})
    pq.write_table(table, OUTPUT / "int96.parquet", use_deprecated_int96_timestamps=True)
    expect("int96", [{"t": value and moment(value)} for value in values])


def write_pandas():
    frame = pd.DataFrame({
        "name": ["Ada", None, "Cy"],
        "age": pd.array([36, None, 7], "Int64"),
        "size": pd.Categorical(["S", "M", "S"]),
        "price": [1.5, math.nan, 0.1],
        "at": pd.to_datetime(["2026-01-31T12:00:00.123456789Z", None, "1969-12-31T23:59:59Z"], format="ISO8601"),
        "tags": [["a"], [], None],
        "info": [{"k": 1}, {"k": None}, None],
    }, index=pd.Index([10, 20, 30], name="id"))
    frame.to_parquet(OUTPUT / "pandas.parquet")
    # pandas writes NaN as NULL, the index as the last column.
    expect("pandas", [
        {"name": "Ada", "age": 36, "size": "S", "price": 1.5, "at": "2026-01-31T12:00:00.123456789Z", "tags": ["a"],
         "info": {"k": 1}, "id": 10},
        {"name": None, "age": None, "size": "M", "price": None, "at": None, "tags": [], "info": {"k": None}, "id": 20},
        {"name": "Cy", "age": 7, "size": "S", "price": 0.1, "at": "1969-12-31T23:59:59Z", "tags": None, "info": None,
         "id": 30},
    ])


def write_polars():
    rows = [
        {"u": 2**64 - 1, "d": dt.date(2026, 1, 31), "t": dt.time(12, 34, 56, 789), "z": dt.datetime(2026, 1, 31, 1, 2, 3, 4, UTC),
         "n": dt.datetime(1969, 1, 1, 0, 0, 0, 1), "decimal": decimal.Decimal("-12.30"), "b": b"\x00\xff", "c": "x",
         "l": [[1, None], [], None], "s": {"a": None, "b": ["y"]}, "o": True},
        dict.fromkeys("u d t z n decimal b c l s o".split()),
    ]
    schema = {"u": pl.UInt64, "d": pl.Date, "t": pl.Time, "z": pl.Datetime("us", "UTC"), "n": pl.Datetime("ns"),
              "decimal": pl.Decimal(20, 2), "b": pl.Binary, "c": pl.Categorical, "l": pl.List(pl.List(pl.Int16)),
              "s": pl.Struct({"a": pl.Int8, "b": pl.List(pl.String)}), "o": pl.Boolean}
    expected = [{"u": 2**64 - 1, "d": "2026-01-31", "t": "12:34:56.000789", "z": "2026-01-31T01:02:03.000004Z",
                 "n": "1969-01-01T00:00:00.000001", "decimal": Number("-12.30"), "b": b64(b"\x00\xff"), "c": "x",
                 "l": [[1, None], [], None], "s": {"a": None, "b": ["y"]}, "o": True}, rows[1]]
    for compression in ["zstd", "snappy", "gzip", "lz4", "uncompressed"]:
        pl.DataFrame(rows * 700, schema=schema).write_parquet(
            OUTPUT / f"polars_{compression}.parquet", compression=compression, data_page_size=2000, row_group_size=500)
        expect(f"polars_{compression}", expected * 700)


DUCKDB = """
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE t (a UTINYINT, b UBIGINT, h DECIMAL(38, 9), decimal4 DECIMAL(4, 1), decimal9 DECIMAL(9, 3), u UUID,
        iv INTERVAL, tm TIME, ts TIMESTAMP, tz TIMESTAMPTZ, tns TIMESTAMP_NS, m mood, bl BLOB, j JSON, l INTEGER[],
        s STRUCT(x INTEGER, y VARCHAR[]), mp MAP(VARCHAR, INTEGER), mi MAP(INTEGER, VARCHAR), d DATE, f FLOAT);
    INSERT INTO t VALUES
        (255, 18446744073709551615, -1.000000001, 999.9, -0.001, 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
         INTERVAL '14 months 3 days 250 milliseconds', '24:00:00', '2026-01-31 12:34:56.789', '2026-01-31 12:34:56+02',
         '2026-01-31 12:34:56.123456789', 'ok', '\\x00\\xFF', '{"a": 1}', [1, NULL], {'x': 1, 'y': ['q', NULL]},
         MAP {'k': 1, 'n': NULL}, MAP {7: 'seven'}, '12345-01-02', 0.1),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, 'nan');
"""


def write_duckdb():
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(DUCKDB)
    first = {
        "a": 255, "b": 2**64 - 1, "h": Number("-1.000000001"), "decimal4": Number("999.9"), "decimal9": Number("-0.001"),
        "u": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "iv": "P14M3DT0.250S", "tm": "24:00:00",
        "ts": "2026-01-31T12:34:56.789", "tz": "2026-01-31T10:34:56Z", "tns": "2026-01-31T12:34:56.123456789", "m": "ok",
        "bl": b64(b"\x00\xff"), "j": {"a": 1}, "l": [1, None], "s": {"x": 1, "y": ["q", None]}, "mp": {"k": 1, "n": None},
        "mi": [{"key": 7, "value": "seven"}], "d": "+012345-01-02", "f": Number("0.1"),
    }
    second = {**dict.fromkeys(first), "f": "NaN"}
    for name, options in {"duckdb_snappy": "", "duckdb_v2": ", PARQUET_VERSION v2, CODEC zstd"}.items():
        connection.execute(f"COPY t TO '{OUTPUT / name}.parquet' (FORMAT parquet{options})")
        expect(name, [first, second], {1: "f"})
    connection.execute(f"COPY (SELECT 1 AS x) TO '{OUTPUT / 'brotli'}.parquet' (FORMAT parquet, CODEC brotli)")


def write_million():
    """A million rows, whose values follow from their index."""
    index = np.arange(1_000_000, dtype=np.int64)
    table = pa.table({
        "id": index,
        "price": index.astype(np.float64) / 4,
        "code": pa.array((index * 2_654_435_761 % 2**32).astype(np.uint32)),
        "name": pa.array([f"name of {i}" for i in range(1_000_000)]),
        "city": pa.array(np.array(["Berlin", "Paris", "Roma"])[index % 3]).dictionary_encode(),
        "at": pa.array(index * 1_000_000, pa.timestamp("us", "UTC")),
        "even": index % 2 == 0,
        "maybe": pa.array(index, mask=index % 7 == 0),
    })
    pq.write_table(table, OUTPUT / "million.parquet", row_group_size=250_000, compression="snappy",
                   write_page_index=True)


for write in [write_types, write_faults, write_nested, write_pages, write_int96, write_pandas, write_polars, write_duckdb,
              write_million]:
    write()

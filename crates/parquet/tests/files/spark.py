"""Wrote the files beside it, with Spark 4.3.0 on Java 17; see write_files.py for what the lines mean.

    python3 -m venv spark && spark/bin/pip install pyspark==4.3.0 && TZ=UTC spark/bin/python spark.py

They are kept because Spark takes half a minute to install, and a gigabyte.
"""

import base64
import datetime as dt
import decimal
import json
import shutil
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import types as t

HERE = Path(__file__).resolve().parent
WHOLE = "123456789012345678901234567890123456.78"

SCHEMA = t.StructType([
    t.StructField("byte", t.ByteType()),
    t.StructField("long", t.LongType()),
    t.StructField("at", t.TimestampType()),
    t.StructField("local", t.TimestampNTZType()),
    t.StructField("day", t.DateType()),
    t.StructField("decimal9", t.DecimalType(9, 2)),
    t.StructField("decimal18", t.DecimalType(18, 2)),
    t.StructField("decimal38", t.DecimalType(38, 2)),
    t.StructField("raw", t.BinaryType()),
    t.StructField("text", t.StringType(), False),
    t.StructField("list", t.ArrayType(t.IntegerType(), True)),
    t.StructField("full", t.ArrayType(t.IntegerType(), False)),
    t.StructField("lists", t.ArrayType(t.ArrayType(t.StringType(), False), False)),
    t.StructField("structs", t.ArrayType(t.StructType([t.StructField("x", t.IntegerType(), False)]), False)),
    t.StructField("map", t.MapType(t.StringType(), t.ArrayType(t.IntegerType()))),
])

ROWS = [
    (-128, -2**63, dt.datetime(2026, 1, 31, 12, 34, 56, 789_000), dt.datetime(1582, 10, 15), dt.date(1, 1, 1),
     decimal.Decimal("-0.01"), decimal.Decimal("1234567890123456.78"), decimal.Decimal(WHOLE), b"\x00\xff", "ü",
     [1, None], [1, 2], [["a"], [], ["b", "c"]], [(7,), (8,)], {"k": [1, None]}),
    (None,) * 9 + ("",) + (None,) * 5,
    (1, 2, dt.datetime(1969, 12, 31, 23, 59, 59, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.date(9999, 12, 31),
     decimal.Decimal("7.00"), decimal.Decimal("0.00"), decimal.Decimal("-1.00"), b"", "x", [], [], [], [], {}),
]


def expected(zone):
    names = SCHEMA.names
    first = [-128, -2**63, "2026-01-31T12:34:56.789" + zone, "1582-10-15T00:00:00", "0001-01-01", "#-0.01",
             "#1234567890123456.78", "#" + WHOLE, base64.b64encode(b"\x00\xff").decode(), "ü", [1, None], [1, 2],
             [["a"], [], ["b", "c"]], [{"x": 7}, {"x": 8}], {"k": [1, None]}]
    third = [1, 2, "1969-12-31T23:59:59.000001" + zone, "9999-12-31T23:59:59.999999", "9999-12-31", "#7.00", "#0.00",
             "#-1.00", "", "x", [], [], [], [], {}]
    for row in (first, [None] * 9 + [""] + [None] * 5, third):
        line = json.dumps([dict(zip(names, row))], ensure_ascii=False, separators=(",", ":"))
        # Decimals are marked, because Python would round them.
        for value in row:
            if isinstance(value, str) and value.startswith("#"):
                line = line.replace(f'"{value}"', value[1:])
        yield line


spark = SparkSession.builder.master("local[1]").config("spark.sql.session.timeZone", "UTC").getOrCreate()
frame = spark.createDataFrame(ROWS, SCHEMA).coalesce(1)
for name, codec, zone, settings in [
    ("spark", "snappy", "", {}),
    ("spark_legacy", "gzip", "", {"spark.sql.parquet.writeLegacyFormat": "true"}),
    ("spark_lz4_hadoop", "lz4", "Z", {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}),
    ("spark_zstd_v2", "zstd", "Z", {"spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
                                    "parquet.writer.version": "PARQUET_2_0"}),
]:
    defaults = {"spark.sql.parquet.writeLegacyFormat": "false", "spark.sql.parquet.outputTimestampType": "INT96"}
    for key, value in {**defaults, **settings}.items():
        spark.conf.set(key, value)
    frame.write.mode("overwrite").option("compression", codec).options(**settings).parquet(f"/tmp/{name}")
    [written] = Path(f"/tmp/{name}").glob("*.parquet")
    shutil.copyfile(written, HERE / f"{name}.parquet")
    (HERE / f"{name}.jsonl").write_text("".join(line + "\n" for line in expected(zone)))

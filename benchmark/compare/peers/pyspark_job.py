"""Spark on this machine: partitions of the file, each with a batch writer of its own.

PySpark from PyPI comes without Hadoop's client of S3, so that the driver fetches the file. mapPartitions is foreachPartition with something
to return, here the results.
"""

import tempfile

import boto3
import record
from pyspark.sql import SparkSession


def store(rows, items, counters):
    dynamodb = boto3.resource("dynamodb")
    return record.store((row.asDict() for row in rows), dynamodb.Table(items), dynamodb.Table(counters))


def run(bucket, key, output, items, counters):
    spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
             .config("spark.sql.files.maxPartitionBytes", "128k").config("spark.sql.files.openCostInBytes", "0").getOrCreate())
    s3 = boto3.client("s3")
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        s3.download_fileobj(bucket, key, file)
        file.flush()
        rows = spark.read.csv(file.name, header=True, escape='"', nullValue="\0", emptyValue="")
        told = rows.rdd.mapPartitions(lambda part: store(part, items, counters)).collect()
    s3.put_object(Bucket=output, Key=f"{key}/results.csv", Body=record.results(told))

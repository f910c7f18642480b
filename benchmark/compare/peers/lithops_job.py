"""Lithops on this machine: its partitioner of objects of S3, a process for each part, and a reduce that writes the results."""

import csv
import io
import os
import sys

import boto3
import lithops
import record

PART_BYTES = 128 * 1024


def store(obj, items, counters):
    lines = io.StringIO(obj.data_stream.read().decode(), newline="")
    rows = csv.DictReader(lines, fieldnames=record.COLUMNS)
    # Only the first part has the header.
    rows = (row for row in rows if row["itemNo"] != "itemNo")
    dynamodb = boto3.resource("dynamodb")
    return record.store(rows, dynamodb.Table(items), dynamodb.Table(counters))


def write(results, output, key):
    told = [row for part in results for row in part]
    boto3.client("s3").put_object(Bucket=output, Key=f"{key}/results.csv", Body=record.results(told))


def run(bucket, key, output, items, counters):
    config = {
        "lithops": {"backend": "localhost", "storage": "aws_s3", "log_level": "WARNING"},
        "localhost": {"runtime": sys.executable},
        "aws_s3": {"storage_bucket": output, "endpoint": os.environ["AWS_ENDPOINT_URL"], "region": os.environ["AWS_REGION"],
                   "access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"]},
    }
    with lithops.FunctionExecutor(config=config) as executor:
        parts = {"obj": f"s3://{bucket}/{key}"}
        executor.map_reduce(store, parts, write, extra_args={"items": items, "counters": counters},
                            extra_args_reduce=(output, key), obj_chunk_size=PART_BYTES)
        executor.get_result()

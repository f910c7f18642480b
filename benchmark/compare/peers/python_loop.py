"""A plain loop in one process: boto3's batch writer."""

import csv
import io

import boto3
import record


def run(bucket, key, output, items, counters):
    s3, dynamodb = boto3.client("s3"), boto3.resource("dynamodb")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    rows = csv.DictReader(io.TextIOWrapper(body, encoding="utf-8", newline=""))
    told = record.store(rows, dynamodb.Table(items), dynamodb.Table(counters))
    s3.put_object(Bucket=output, Key=f"{key}/results.csv", Body=record.results(told))

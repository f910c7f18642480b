"""The function that a Distributed Map calls for a batch of rows."""

import os

import boto3
import record

DYNAMODB = boto3.resource("dynamodb")
ITEMS, COUNTERS = DYNAMODB.Table(os.environ["ITEMS"]), DYNAMODB.Table(os.environ["COUNTERS"])


def handle(event, context):
    told = record.store(event["Items"], ITEMS, COUNTERS)
    return {"failed": [row[0] for row in told if row[-2] == "false"], "records": len(told)}

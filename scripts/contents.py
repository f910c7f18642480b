#!/usr/bin/env python3
"""Counts what tables and buckets hold: reads a JSON list of {"kind", "name"} and prints one of {"count", "more"} or {"problem"}.

Runs with the emulator's Python, which has botocore. Endpoint and credentials come from the environment.
"""

import argparse
import json
import sys

import botocore.config
import botocore.exceptions
import botocore.session

from toolbox import run

# A table is read page by page to be counted: enough to tell that it is no small matter.
ENOUGH = 100_000


def items(client, table):
    """The number of items in a table, and whether there are more."""
    count = 0
    for page in client.get_paginator("scan").paginate(TableName=table, Select="COUNT"):
        count += page["Count"]
        if count > ENOUGH:
            return ENOUGH, True
    return count, False


def objects(client, bucket):
    """The number of versions on the first page of a bucket's list, and whether there are more."""
    page = client.list_object_versions(Bucket=bucket)
    return len(page.get("Versions", []) + page.get("DeleteMarkers", [])), page["IsTruncated"]


def contents(clients, kind, name):
    count, gone = {"table": (items, "ResourceNotFoundException"), "bucket": (objects, "NoSuchBucket")}[kind]
    try:
        found, more = count(clients[kind], name)
    except botocore.exceptions.ClientError as problem:
        if problem.response["Error"]["Code"] == gone:
            return {"count": 0, "more": False}
        return {"problem": str(problem)}
    except botocore.exceptions.BotoCoreError as problem:
        return {"problem": str(problem)}
    return {"count": found, "more": more}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--region", help="where they are; by default that of the environment")
    parser.add_argument("--emulator", action="store_true", help="AWS_ENDPOINT_URL names an emulator")
    options = parser.parse_args()
    session = botocore.session.get_session()
    config = botocore.config.Config(s3={"addressing_style": "path" if options.emulator else "auto"})
    clients = {kind: session.create_client(service, region_name=options.region, config=config)
               for kind, service in (("table", "dynamodb"), ("bucket", "s3"))}
    print(json.dumps([contents(clients, store["kind"], store["name"]) for store in json.load(sys.stdin)]))


if __name__ == "__main__":
    run(main)

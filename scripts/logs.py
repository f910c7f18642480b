#!/usr/bin/env python3
"""Prints what the functions of a deployment logged, oldest first.

Runs with the emulator's Python, which has botocore. Endpoint and credentials come from the environment.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import json
import time
from datetime import datetime, timezone
from pathlib import Path

import botocore.exceptions
import botocore.session

from toolbox import Failure, run


def functions(deployment, pipeline):
    for name, parts in deployment["pipelines"].items():
        if pipeline in ("", name):
            yield from parts["functions"].values()
            if billing := parts.get("billing"):
                yield billing["function"]
    # It prints for all pipelines.
    if deployment.get("press") and not pipeline:
        yield deployment["press"]


def events(client, function, since):
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}", startTime=since)
    try:
        for page in pages:
            for event in page.get("events", []):
                yield event["timestamp"], function, event["message"].rstrip()
    except client.exceptions.ResourceNotFoundException:
        return  # nothing was ever logged


def line(timestamp, function, message):
    when = datetime.fromtimestamp(timestamp / 1000, timezone.utc)
    return f"{when:%H:%M:%S}.{when.microsecond // 1000:03} {function} {message}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("deployment", type=Path)
    parser.add_argument("--pipeline", default="", help="only this one")
    parser.add_argument("--minutes", type=float, default=60, help="how far back")
    options = parser.parse_args()
    deployment = json.loads(options.deployment.read_text())
    client = botocore.session.get_session().create_client("logs", region_name=deployment["region"])
    since = int((time.time() - 60 * options.minutes) * 1000)
    try:
        found = [event for name in functions(deployment, options.pipeline) for event in events(client, name, since)]
    except botocore.exceptions.BotoCoreError as problem:
        raise Failure(f"cannot read the logs: {problem}") from None
    for event in sorted(found, key=lambda event: event[0]):
        print(line(*event))
    if not found:
        print(f"nothing was logged in the last {options.minutes:g} minutes")


if __name__ == "__main__":
    run(main)

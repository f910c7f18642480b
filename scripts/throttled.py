#!/usr/bin/env python3
"""Submits files to pipelines on a local AWS that throttles their functions, and checks that it costs time and nothing else.

Runs with the emulator's Python, which has botocore, on a local AWS that was started with --throttle.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import botocore.session

from throttle import CONTROL
from toolbox import Failure, run

# A busy table, and now and then a busy bucket or queue.
SHARES = {"refused": 0.2, "unprocessed": 0.3, "delayed": 0.1, "seconds": 3, "s3": 0.05, "sqs": 0.05}
# What a queue holds, visible or not.
HELD = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
COUNTED = ["requests", "refused", "unprocessed", "items", "delayed"]
COLUMNS = ["pipeline", "records", "seconds", "unthrottled", "ratio", *COUNTED, "waited"]


class Site:
    """A deployment on a local AWS."""

    def __init__(self, options):
        self.deployment = json.loads(options.deployment.read_text())
        self.file, self.command = options.deployment.resolve(), options.command.resolve()
        self.scratch = options.scratch

    def client(self, service):
        # The emulator's own, which may do everything.
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        endpoint, region = self.deployment["endpoint"], self.deployment["region"]
        return botocore.session.get_session().create_client(service, region, endpoint_url=endpoint, **keys)

    def throttle(self, shares=None):
        """Sets what becomes of requests from now on, if it is given, and returns what was counted."""
        body = None if shares is None else json.dumps(shares).encode()
        request = urllib.request.Request(self.deployment["endpoint"] + CONTROL, body, method="PUT" if body else "GET")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise Failure(f"{request.full_url}: {refused.read().decode().strip()}") from None
        except (OSError, ValueError) as problem:
            raise Failure(f"no local AWS that was started with --throttle answers at {request.full_url}: {problem}") from None

    def submit(self, pipeline, records, name):
        """Submits a file with keys of its own. Returns the seconds until its summary was there, and the summary."""
        path = self.scratch / f"{name}.csv"
        with open(path, "w") as file:
            file.write("itemNo,price,note\n")
            file.writelines(f'{name}-{n:07},{n % 1000}.25,"shelf {n % 100}, für später"\n' for n in range(records))
        began = time.monotonic()
        done = subprocess.run(
            [self.command, "submit", path, "--pipeline", pipeline, "--wait", "--json"],
            env={"FANFOLD_DEPLOYMENT": str(self.file)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        seconds = time.monotonic() - began
        path.unlink()
        if not done.stdout:
            raise Failure(f"{name}: fanfold submit ended with status {done.returncode}:\n{done.stderr.strip()}")
        return seconds, json.loads(done.stdout)

    def messages(self, pipeline):
        """How many messages each dead-letter queue and the queue of parked messages hold, if any."""
        parts, client = self.deployment["pipelines"][pipeline], self.client("sqs")
        queues = {**parts["dead_letter_queues"], "parked": parts.get("parked_queue")}
        held = {}
        for stage, url in queues.items():
            if url:
                attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=HELD)["Attributes"]
                held[stage] = sum(int(attributes.get(name, 0)) for name in HELD)
        return {stage: many for stage, many in held.items() if many}

    def items(self, pipeline):
        # MiniStack counts at once; AWS, every six hours.
        table = self.deployment["pipelines"][pipeline]["items_table"]
        return self.client("dynamodb").describe_table(TableName=table)["Table"]["ItemCount"]


def lost(records, summary, stored, messages):
    """What is wrong with a batch of which nothing may have failed."""
    told = {"state": summary["state"], **summary["records"], "failed chunks": summary["chunks"]["failed"]}
    told.pop("replaced", None)
    wanted = {"state": "SUCCEEDED", "total": records, "succeeded": records, "failed": 0, "failed chunks": 0}
    faults = [] if told == wanted else [f"the summary says {told}, error {summary.get('error')}"]
    if stored != records:
        faults.append(f"{stored} items were stored")
    if messages:
        faults.append(f"messages were given up: {messages}")
    return faults


def checked(site, pipeline, records, name):
    before, held = site.items(pipeline), site.messages(pipeline)
    seconds, summary = site.submit(pipeline, records, name)
    # Those that were there before are not this batch's.
    messages = {stage: many for stage, many in site.messages(pipeline).items() if many > held.get(stage, 0)}
    faults = lost(records, summary, site.items(pipeline) - before, messages)
    if faults:
        raise Failure(f"{name}, {records} records: {'; '.join(faults)}")
    return seconds


def measured(site, pipeline, options):
    name = f"{options.name}-{pipeline}"
    plain = checked(site, pipeline, options.records, f"{name}-plain") if options.compare else None
    site.throttle(options.shares)
    seconds = checked(site, pipeline, options.records, f"{name}-busy")
    counted = site.throttle()
    site.throttle({})
    sums = {what: sum(counted[what].values()) for what in COUNTED}
    if not sums["refused"]:
        raise Failure(f"{name}: no request was refused, so nothing was shown")
    ratio = f"{seconds / plain:.1f}" if plain else "-"
    row = {"pipeline": pipeline, "records": options.records, "seconds": f"{seconds:.1f}",
           "unthrottled": f"{plain:.1f}" if plain else "-", "ratio": ratio, "waited": f"{counted['seconds']:.0f} s", **sums}
    return row, counted


def line(cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("deployment", type=Path)
    parser.add_argument("--command", type=Path, required=True, help="the executable fanfold")
    parser.add_argument("--pipelines", required=True, help="names, with commas between them")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--shares", type=json.loads, default=SHARES, help="a JSON object, see throttle.py")
    parser.add_argument("--compare", action="store_true", help="submit a file without throttling before each")
    parser.add_argument("--details", action="store_true", help="also print the counts of each operation")
    options = parser.parse_args()
    options.name = f"throttled{int(time.time())}"
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        site = Site(options)
        site.throttle({})
        print(line(COLUMNS), line("---" for _ in COLUMNS), sep="\n", flush=True)
        for pipeline in options.pipelines.split(","):
            row, counted = measured(site, pipeline, options)
            print(line(row[name] for name in COLUMNS), flush=True)
            if options.details:
                print(json.dumps(counted, indent=2), flush=True)


if __name__ == "__main__":
    run(main)

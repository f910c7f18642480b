"""Bills very many events, in any order and a tenth of them twice, while workers are killed, and compares packages and days with a plain fold.

Runs with the emulator's Python, which has botocore, on a deployment of examples/billing on this machine.
"""
import argparse
import collections
import csv
import datetime
import json
import os
import random
import signal
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import botocore.session
import toolbox
from demo_billing import COLUMNS, last_month
from demo_reports import call
from toolbox import Failure

ZONES = ["UTC", "Pacific/Kiritimati", "Asia/Kathmandu", "America/New_York"]
METERS = ["kwh", "visits"]
PRICE = "0.335"
# The share of events that come twice, and that of those that come after the half months were closed.
TWICE, LATE = 0.1, 0.02


def name(number):
    return f"client-{number:05}"


def half(day):
    return f"{day:%Y-%m}-H{1 if day.day < 16 else 2}"


def sums():
    """Sums by meter, of whatever they are asked for."""
    return collections.defaultdict(lambda: collections.defaultdict(Decimal))


class Usage:
    """Events of the last whole month of each client, and what a plain fold makes of them."""

    def __init__(self, options, month, run):
        self.run, self.chance, self.clients = run, random.Random(options.seed), options.clients
        self.zones = [ZoneInfo(ZONES[number % len(ZONES)]) for number in range(options.clients)]
        self.start, self.seconds = month[0].replace(tzinfo=None), (month[1] - month[0]).total_seconds()
        self.fold, self.days = sums(), sums()
        self.events, self.events_of_days = collections.Counter(), collections.Counter()

    def event(self, number):
        client = self.chance.randrange(self.clients)
        local = self.start + datetime.timedelta(seconds=self.chance.uniform(0, self.seconds))
        at = local.replace(tzinfo=self.zones[client]).astimezone(datetime.timezone.utc)
        quantity, meter = f"{self.chance.randrange(0, 100)}.{self.chance.randrange(0, 1000):03}", self.chance.choice(METERS)
        day = at.astimezone(self.zones[client])
        of, on = (name(client), half(day)), (name(client), f"{day:%Y-%m-%d}")
        self.fold[of][meter] += Decimal(quantity)
        self.days[on][meter] += Decimal(quantity)
        self.events[of] += 1
        self.events_of_days[on] += 1
        return [f"/load/{self.run}", str(number), name(client), meter, at.isoformat(timespec="microseconds").replace("+00:00", "Z"), quantity]

    def write(self, in_time, late, many):
        sent, held = [], []
        for number in range(many):
            event = self.event(number)
            rows = held if self.chance.random() < LATE else sent
            rows.append(event)
            if self.chance.random() < TWICE:
                rows.append(event)
        for path, rows in ((in_time, sent), (late, held)):
            self.chance.shuffle(rows)
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *rows])
        return len(sent), len(held)


class Killer(threading.Thread):
    """Kills a process of a function again and again: one at a time, since what it had comes back after six times its time-out."""

    def __init__(self, function, pause, most):
        super().__init__(daemon=True)
        self.wanted, self.pause, self.most = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode(), pause, most
        self.over, self.killed = threading.Event(), 0

    def run(self):
        while self.killed < self.most and not self.over.wait(self.pause):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if self.wanted in (process / "environ").read_bytes().split(b"\0"):
                        os.kill(int(process.name), signal.SIGKILL)
                        self.killed += 1
                        break
                except OSError:
                    continue  # it has ended, or is somebody else's

    def end(self):
        self.over.set()
        self.join()


def clients_of(deployment):
    """Clients of S3 and DynamoDB, and the parts of the pipeline that closes half months."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    session = botocore.session.get_session()
    client = lambda service: session.create_client(service, "us-east-1", endpoint_url=deployment["endpoint"], **keys)
    return client("s3"), client("dynamodb"), deployment["pipelines"]["billing"]


def counted(deployment):
    """What the rows of days say: sums and counts by client and day."""
    (_, dynamodb, parts), found, events = clients_of(deployment), sums(), collections.Counter()
    for page in dynamodb.get_paginator("scan").paginate(TableName=parts["billing"]["aggregates_table"]):
        for row in page["Items"]:
            of = (row["client"]["S"], row["period"]["S"])
            events[of] = int(row["events"]["N"])
            for meter, quantity in row["quantities"]["M"].items():
                found[of][meter] = Decimal(quantity["S"])
    return found, events


def billed(deployment):
    """What all packages bill: sums and counts by client and half month."""
    (s3, dynamodb, parts), found, events = clients_of(deployment), sums(), collections.Counter()
    for page in dynamodb.get_paginator("scan").paginate(TableName=parts["billing"]["packages_table"]):
        for row in page["Items"]:
            package = json.load(s3.get_object(Bucket=parts["output_bucket"], Key=row["object"]["S"])["Body"])
            of = (package["client"], package["half"])
            events[of] += package["events"]
            for line in package["lines"]:
                found[of][line["meter"]] += Decimal(line["quantity"])
    return found, events


def differing(what, used, events, found):
    """Names what was used otherwise than it is told, and returns how often that is so."""
    told, counts = found
    wrong = [of for of in used.keys() | told.keys() if dict(used[of]) != dict(told[of]) or events[of] != counts[of]]
    for of in wrong[:10]:
        print(f"{of}: used {events[of]} {dict(used[of])}, {what} {counts[of]} {dict(told[of])}", file=sys.stderr)
    return len(wrong)


def costs(command, pipeline):
    """What the batches of a pipeline took: dollars, and requests by what they are."""
    listed = [json.loads(line) for line in call(command, "list", f"--pipeline={pipeline}", "--json", "--most=1000").splitlines()]
    for line in listed:
        seen = json.loads(call(command, "status", line["batchId"], f"--pipeline={pipeline}", "--json"))
        requests = collections.Counter()
        for stage in seen.get("stages") or []:
            requests.update({name: many for name, many in stage["requests"].items() if not name.startswith("lambda.")})
        dollars = sum(service["dollars"] for service in seen["costs"]["services"] if service["name"] != "Lambda")
        told = ", ".join(f"{many:,} {operation}" for operation, many in requests.most_common(8))
        print(f"{line['key']}: {seen['records']['total']:,} records, ${dollars:.4f} without Lambda: {told}")


def close(command, halves):
    """Closes half months, and adds up what their statements say."""
    found = collections.Counter()
    for half_month in halves:
        stated = json.loads(call(command, "billing", "rerun", half_month, "--json", codes=(0, 3)))
        found.update(stated["events"] | {"difference": stated["difference"], "notClosed": stated["notClosed"]})
    return found


def told(what, began):
    print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", type=Path, required=True, help="the command fanfold")
    parser.add_argument("--deployment", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the usage that is made")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--kill", type=float, default=10, help="seconds between two times at which a worker is killed")
    parser.add_argument("--kills", type=int, default=30, help="how many workers of a pipeline are killed at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.environ["FANFOLD_DEPLOYMENT"] = str(options.deployment)
    deployment = json.loads(options.deployment.read_text())
    began, now = time.monotonic(), datetime.datetime.now(datetime.timezone.utc)
    month, run = last_month(now), f"{now:%Y%m%dT%H%M%S}"
    options.work.mkdir(parents=True, exist_ok=True)
    clients, in_time, late = (options.work / f"{kind}-{run}.{form}" for kind, form in (("clients", "jsonl"), ("usage", "csv"), ("late", "csv")))
    with clients.open("w") as file:
        for number in range(options.clients):
            terms = {"client": name(number), "zone": ZONES[number % len(ZONES)], "horizon_days": 75, "currency": "EUR", "prices": {"kwh": PRICE}}
            file.write(json.dumps(terms) + "\n")
    usage = Usage(options, month, run)
    sent, held = usage.write(in_time, late, options.events)
    told(f"{options.events:,} events of {options.clients:,} clients: {sent:,} rows in time, {held:,} late", began)
    call(options.command, "submit", str(clients), "--pipeline", "clients", "--wait")
    told("terms are stored", began)
    killer = Killer(deployment["pipelines"]["usage"]["functions"]["process"], options.kill, options.kills)
    killer.start()
    call(options.command, "submit", str(in_time), "--pipeline", "usage", "--wait")
    told("events are kept", began)
    closer = Killer(deployment["pipelines"]["billing"]["functions"]["process"], options.kill, options.kills)
    closer.start()
    halves = sorted({of for _, of in usage.fold})
    close(options.command, halves)
    told("half months are closed", began)
    call(options.command, "submit", str(late), "--pipeline", "usage", "--wait")
    killer.end()
    told(f"late events are kept; {killer.killed} workers were killed", began)
    stated = close(options.command, halves)
    closer.end()
    told(f"half months are closed again; {closer.killed} workers were killed", began)
    print(json.dumps(stated))
    wrong = differing("billed", usage.fold, usage.events, billed(deployment))
    wrong += differing("counted", usage.days, usage.events_of_days, counted(deployment))
    told("packages and days are read", began)
    for pipeline in ("usage", "billing"):
        costs(options.command, pipeline)
    if not killer.killed:
        raise Failure("no worker was killed: how are processes of functions known?")
    if wrong or stated["difference"] or stated["notClosed"] or stated["unbilled"]:
        raise Failure(f"{wrong} half months and days are billed or counted otherwise than a plain fold says, and statements say {dict(stated)}")
    print(f"the packages of {len(usage.fold):,} half months and the rows of {len(usage.days):,} days say what a plain fold does")
    return 0


if __name__ == "__main__":
    toolbox.run(main)

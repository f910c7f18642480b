"""Bills a month of example usage, and says whether each event is accounted for.

The usage is of the last whole month: of each client of examples/billing, with events that come twice, twice with other contents, too late,
too early, or of nobody. A part of it comes after the half months were closed. Packages are sent to examples/invoice-api, which often fails.
"""
import argparse
import csv
import datetime
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import toolbox
from demo_reports import call, direct
from toolbox import Failure

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CLIENTS = EXAMPLES / "billing" / "clients.jsonl"
API = EXAMPLES / "invoice-api" / "server.py"
PORT = 8744
# Packages are looked up again after pauses that grow to minutes.
PATIENCE = 900
COLUMNS = ["source", "id", "subject", "type", "time", "quantity"]
# Seconds between two looks at the packages: nothing tells of them.
LOOK = 2


def last_month(now):
    """The first moment of the month before this one, and the one after its last."""
    end = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (end - datetime.timedelta(days=1)).replace(day=1)
    return start, end


class Usage:
    """Events by chance, always the same of a month."""

    def __init__(self, month, clients, run):
        self.start, self.end = month
        self.clients, self.run = clients, run
        self.chance = random.Random(f"{self.start}")
        self.number = 0

    def event(self, client, at):
        self.number += 1
        quantity = f"{self.chance.randrange(0, 50)}.{self.chance.randrange(0, 1000):03}"
        return {"source": f"/example/{self.run}", "id": f"e-{self.number}", "subject": client, "type": self.chance.choice(["kwh", "visits"]),
                "time": at.isoformat(timespec="microseconds").replace("+00:00", "Z"), "quantity": quantity}

    def events(self, many):
        """As they are sent: a tenth twice, some twice with another content, in no order."""
        seconds = (self.end - self.start).total_seconds()
        sent = []
        for _ in range(many):
            at = self.start + datetime.timedelta(seconds=self.chance.uniform(0, seconds))
            event = self.event(self.chance.choice(self.clients), at)
            sent.append(event)
            kind = self.chance.random()
            if kind < 0.1:
                sent.append(dict(event))
            elif kind < 0.12:
                sent.append(event | {"quantity": "99"})
        year = datetime.timedelta(days=365)
        sent.append(self.event(self.clients[0], self.start - year))
        sent.append(self.event(self.clients[1], self.end + year))
        sent.append(self.event("nobody", self.start))
        self.chance.shuffle(sent)
        return sent


def write_csv(path, events):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(events)


def write_lines(path, events):
    """As CloudEvents."""
    with path.open("w") as file:
        for event in events:
            cloud = {name: value for name, value in event.items() if name != "quantity"}
            file.write(json.dumps({"specversion": "1.0", **cloud, "data": {"quantity": event["quantity"]}}) + "\n")


def packages(command, month):
    listed = call(command, "billing", "packages", "--month", month, "--json")
    return [json.loads(line) for line in listed.splitlines()]


def wait(command, month):
    """Waits until all packages of a month are invoices that the API has worked on."""
    until, shown = time.monotonic() + PATIENCE, None
    while True:
        all_of_them = packages(command, month)
        states = sorted(package["state"] for package in all_of_them)
        told = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        if told != shown:
            print(f"packages: {told}", file=sys.stderr, flush=True)
            shown = told
        if all(state in ("PROCESSED", "REJECTED") for state in states):
            return all_of_them
        if time.monotonic() > until:
            raise Failure(f"packages are still {told}")
        time.sleep(LOOK)


def log():
    with direct.open(f"http://127.0.0.1:{PORT}/log", timeout=10) as answer:
        return json.load(answer)


def serve():
    """Starts the API for invoices."""
    process = subprocess.Popen([sys.executable, str(API), str(PORT)], stdout=subprocess.PIPE, text=True)
    if not process.stdout.readline():
        raise Failure(f"{API.name} ended with status {process.wait()}: is port {PORT} taken?")
    return process


def bill(options, month, run):
    command = options.command
    name = f"{month[0]:%Y-%m}"
    clients = [json.loads(line)["client"] for line in CLIENTS.read_text().splitlines()]
    usage = Usage(month, clients, run)
    options.work.mkdir(parents=True, exist_ok=True)
    in_time, late = options.work / f"usage-{run}.csv", options.work / f"late-{run}.jsonl"
    write_csv(in_time, usage.events(options.events))
    write_lines(late, usage.events(options.events // 20))
    call(command, "submit", str(CLIENTS), "--pipeline", "clients", "--wait")
    # Some of them are not billed, which is told by status 3.
    call(command, "submit", str(in_time), "--pipeline", "usage", "--wait", codes=(0, 3))
    print(f"--- what would be sent of {clients[0]} now")
    print(call(command, "billing", "preview", clients[0], "--month", name).rstrip())
    print("--- closed for the first time")
    print(call(command, "billing", "reconcile").rstrip())
    call(command, "submit", str(late), "--pipeline", "usage", "--wait", codes=(0, 3))
    print("--- closed again, with events that came late")
    print(call(command, "billing", "reconcile").rstrip(), flush=True)
    sent = wait(command, name)
    print(f"--- the packages of {clients[0]}")
    print(call(command, "billing", "packages", clients[0], "--month", name).rstrip())
    print("--- in the end")
    print(call(command, "billing", "reconcile").rstrip())
    return sent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", type=Path, required=True, help="the command fanfold")
    parser.add_argument("--work", type=Path, required=True, help="folder for the usage that is made")
    parser.add_argument("--events", type=int, default=4000, help="how many")
    options = parser.parse_args()
    now = datetime.datetime.now(datetime.timezone.utc)
    month = last_month(now)
    api = serve()
    try:
        sent = bill(options, month, f"{now:%Y%m%dT%H%M%S}")
        told = log()
    finally:
        api.terminate()
        api.wait()
    requests = ", ".join(f"{many} {what}" for what, many in sorted(told["requests"].items()))
    print(f"the API made {told['invoices']} invoices of {told['packages']} packages, and was asked: {requests}")
    if told["doubled"] or told["otherBodies"] or any(package["state"] != "PROCESSED" for package in sent):
        raise Failure(f"packages are not invoiced once: {json.dumps(told)}")
    return 0


if __name__ == "__main__":
    toolbox.run(main)

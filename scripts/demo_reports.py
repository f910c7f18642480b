"""Asks a deployment for a report of examples/reports, waits for it as a client would, and saves its documents."""
import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import toolbox
from follow import lines
from toolbox import Failure

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "reports"
USAGE = EXAMPLE / "usage.csv"
PATIENCE = 900
# Where what connections need is installed.
WEBSOCKETS = "target/websockets"

# No proxy stands between this machine and itself, and links are for this program to follow.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Stays(urllib.request.HTTPRedirectHandler):
    """Leaves a redirection to whoever asked."""

    def redirect_request(self, *_):
        return None


staying = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stays)


class Missing(Failure):
    """There is nothing where it was asked for."""


class Api:
    """The API of `fanfold serve`."""

    def __init__(self, address):
        self.address = address.rstrip("/")

    def ask(self, path, body=None, key=None):
        """The status, the headers and the JSON that is answered."""
        headers = {"content-type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        request = urllib.request.Request(self.address + path, headers=headers, data=body)
        try:
            with staying.open(request, timeout=60) as answer:
                return answer.status, answer.headers, json.load(answer)
        except urllib.error.HTTPError as answer:
            problem = answer.read().decode(errors="replace")
            if answer.status == 303:
                return answer.status, answer.headers, json.loads(problem)
            failed = Missing if answer.status == 404 else Failure
            raise failed(f"{path} was answered with {answer.status}: {problem}") from None


def call(command, *arguments, codes=(0,)):
    """What the command printed, which has to end with one of these codes."""
    done = subprocess.run([str(command), *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in codes:
        raise Failure(f"fanfold {' '.join(arguments[:2])} ended with status {done.returncode}: {done.stdout[-500:]}")
    return done.stdout


def load(command, pipeline):
    """Uploads the example usage, unless that was done before: it would be counted twice. What began goes on by itself."""
    listed = call(command, "list", f"--pipeline={pipeline}", "--json", "--most=10000")
    if any(json.loads(line)["key"] == USAGE.name for line in listed.splitlines()):
        print(f"{USAGE.name} was counted before", file=sys.stderr)
        return
    call(command, "submit", str(USAGE), f"--pipeline={pipeline}", "--wait")


def serve(command):
    """Starts the API, and returns it with its process."""
    # Nobody but this program is told the port.
    environment = {name: value for name, value in os.environ.items() if name != "FANFOLD_TOKEN"}
    process = subprocess.Popen([str(command), "serve", "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment)
    address = process.stdout.readline().strip()
    if not address:
        raise Failure(f"fanfold serve ended with status {process.wait()}")
    return Api(address), process


def documents(api, report):
    """The documents of a report as they come: by a connection, or by long polling where the deployment has none."""
    try:
        _, _, socket = api.ask("/sockets", b"", str(uuid.uuid4()))
    except Missing:
        print("without API=true there are no connections: each answer is waited for", file=sys.stderr)
        while True:
            yield api.ask(f"/reports/{report}?wait=20")[2]
    yield from map(json.loads, lines(toolbox.python_with("websockets", WEBSOCKETS), socket["url"], report))


def wait(api, report):
    """The end of a report."""
    state, until = None, time.monotonic() + PATIENCE
    for document in documents(api, report):
        if "problem" in document:
            raise Failure(f"report {report}: {document['problem']['detail']}")
        if document["state"] != state:
            state = document["state"]
            print(f"report {report}: {state}", file=sys.stderr)
        if document["end"] is not None:
            return document["end"]
        if state == "DELETED":
            raise Failure(f"report {report} was deleted; ask for it again")
        if time.monotonic() > until:
            break
    raise Failure(f"report {report} is still {state}; `fanfold watch` shows what its batch does")


def save(api, report, end, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for document in end["outputs"]:
        _, _, link = api.ask(f"/reports/{report}/result?format={document['name']}")
        file = folder / f"report.{document['name']}"
        with direct.open(link["url"], timeout=60) as answer:
            file.write_bytes(answer.read())
        print(f"{file}: {document['bytes']:,} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", type=Path, required=True, help="the command fanfold")
    parser.add_argument("--metering", default="metering", help="the pipeline that counts usage")
    parser.add_argument("--output", type=Path, required=True, help="folder for the documents")
    options = parser.parse_args()
    load(options.command, options.metering)
    api, process = serve(options.command)
    try:
        _, _, accepted = api.ask("/reports", (EXAMPLE / "order.json").read_bytes(), str(uuid.uuid4()))
        end = wait(api, accepted["id"])
        save(api, accepted["id"], end, options.output)
        parts = end["parts"]
        print(f"{end['state']}: {end['rows']} rows of {parts['succeeded']} of {parts['total']} assets, as of {end['asOf']}")
        return 0 if end["state"] == "SUCCEEDED" else 1
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    toolbox.run(main)

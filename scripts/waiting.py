"""Measures the ways to wait for a report: how long after its end each learns of it, and by how many requests; and how long asking for
a report takes while many wait."""
import argparse
import json
import os
import statistics
import threading
import time
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import toolbox
from demo_reports import WEBSOCKETS, call, direct, serve
from follow import lines
from toolbox import Failure

ORDER = {"type": "usage", "from": "2026-01-01", "to": "2026-01-02", "assets": []}


class Counted:
    """The requests of one way, and the bytes of their answers."""

    def __init__(self):
        self.requests, self.bytes, self.at = 0, 0, None

    def get(self, url, headers=None):
        """The status, headers and body of an answer."""
        self.requests += 1
        try:
            with direct.open(urllib.request.Request(url, headers=headers or {}), timeout=60) as answer:
                body = answer.read()
                self.bytes += len(body)
                return answer.status, answer.headers, body
        except urllib.error.HTTPError as answer:
            self.bytes += len(answer.read())
            return answer.status, answer.headers, b""


def ended(body):
    return json.loads(body)["end"] is not None


def polling(way, api, report, _link):
    while True:
        _, headers, body = way.get(f"{api.address}/reports/{report}")
        if ended(body):
            return
        time.sleep(float(headers["Retry-After"]))


def long_polling(way, api, report, _link):
    headers = {}
    while True:
        status, told, body = way.get(f"{api.address}/reports/{report}?wait=20", headers)
        if status == 200 and ended(body):
            return
        if told.get("ETag"):
            headers = {"If-None-Match": told["ETag"]}


def events(way, api, report, _link):
    way.requests += 1
    with direct.open(f"{api.address}/reports/{report}/events", timeout=60) as stream:
        for line in stream:
            way.bytes += len(line)
            if line.startswith(b"data: ") and ended(line[6:]):
                return


def socket(way, api, report, _link):
    way.requests += 1
    for line in lines(toolbox.python_with("websockets", WEBSOCKETS), api.ask("/sockets", b"", str(uuid.uuid4()))[2]["url"], report):
        way.requests += way.bytes == 0
        way.bytes += len(line.encode())
        if ended(line):
            return


def link_every(pause):
    def poll(way, _api, _report, link):
        while way.get(link)[0] != 200:
            time.sleep(pause)

    return poll


class Receiver:
    """A receiver of webhooks at the address that the deployment may call, which has to be of this machine."""

    def __init__(self, address):
        self.address, self.came, self.told = address, threading.Condition(), {}
        place, receiver = urlsplit(address), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204)
                self.end_headers()
                with receiver.came:
                    receiver.told[json.loads(body)["data"]["id"]] = len(body)
                    receiver.came.notify_all()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((place.hostname, place.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, way, _api, report, _link):
        with self.came:
            if not self.came.wait_for(lambda: report in self.told, timeout=120):
                raise Failure(f"the receiver at {self.address} was not told of report {report}")
            way.bytes += self.told[report]


# What the others are compared with looks at the end itself as often as it can.
REFERENCE, WEBHOOK = "reference", "webhook"
WAYS = {
    REFERENCE: link_every(0.02),
    "polling": polling,
    "long polling": long_polling,
    "events": events,
    "WebSocket": socket,
    "link, every 2 s": link_every(2.0),
}


def measure(api, receiver, assets):
    """Asks for a report, waits for it in every way at once, and returns what each took."""
    body = json.dumps(ORDER | {"assets": assets, "webhook": receiver.address}).encode()
    _, _, accepted = api.ask("/reports", body, str(uuid.uuid4()))
    ways = {name: Counted() for name in [*WAYS, WEBHOOK]}

    def wait(name):
        {**WAYS, WEBHOOK: receiver.wait}[name](ways[name], api, accepted["id"], accepted["end"]["url"])
        ways[name].at = time.monotonic()

    threads = [threading.Thread(target=wait, args=(name,)) for name in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ways


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def delays(api, receiver, times):
    found = {name: [] for name in [*WAYS, WEBHOOK]}
    for _ in range(times):
        for name, way in measure(api, receiver, [f"never counted {number}" for number in range(20)]).items():
            found[name].append(way)
    print("| Way | Delay at p50 | at p99 | Requests | Bytes |")
    print("|---|---|---|---|---|")
    for name in [name for name in found if name != REFERENCE]:
        late = [1000 * max(0.0, way.at - reference.at) for way, reference in zip(found[name], found[REFERENCE])]
        requests, size = (statistics.median(getattr(way, of) for way in found[name]) for of in ("requests", "bytes"))
        print(f"| {name} | {statistics.median(late):.0f} ms | {quantile(late, .99):.0f} ms | {requests:g} | {size:,.0f} |")


def asked(api, times):
    """How long it takes to ask for a report, in milliseconds, each of another one."""
    took = []
    for _ in range(times):
        begun = time.monotonic()
        api.ask("/reports", json.dumps(ORDER).encode(), str(uuid.uuid4()))
        took.append(1000 * (time.monotonic() - begun))
    return took


def crowd(api, command, pipeline, clients, times):
    """How long asking takes while clients wait for a report that does not end, since the pipeline is paused."""
    call(command, "pause", pipeline)
    try:
        # One without parts would end.
        body = json.dumps(ORDER | {"assets": ["never counted"]}).encode()
        _, _, accepted = api.ask("/reports", body, str(uuid.uuid4()))
        alone, over, waits = asked(api, times), threading.Event(), []

        def client():
            while not over.is_set():
                begun = time.monotonic()
                status, _, _ = Counted().get(f"{api.address}/reports/{accepted['id']}?wait=20")
                waits.append((status, time.monotonic() - begun))

        with ThreadPoolExecutor(clients) as pool:
            waiting = [pool.submit(client) for _ in range(clients)]
            time.sleep(5)
            beside = asked(api, times)
            over.set()
        for client in waiting:
            client.result()
        wrong = [status for status, _ in waits if status != 200]
        if wrong:
            raise Failure(f"{len(wrong)} of {len(waits)} answers to clients that wait were no 200: {set(wrong)}")
        longest = max(length for _, length in waits)
        print(f"{clients} clients wait: {len(waits)} answers, the longest after {longest:.1f} s")
        for name, took in (("alone", alone), ("beside them", beside)):
            print(f"asking {name}: {statistics.median(took):.0f} ms at p50, {quantile(took, .99):.0f} ms at p99, of {len(took)}")
    finally:
        call(command, "resume", pipeline)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", type=Path, required=True, help="the command fanfold")
    parser.add_argument("--pipeline", default="reports", help="the pipeline that makes reports")
    parser.add_argument("--times", type=int, default=50, help="reports that are waited for")
    parser.add_argument("--clients", type=int, default=500, help="clients that wait at the same time")
    options = parser.parse_args()
    deployment = json.loads(Path(os.environ["FANFOLD_DEPLOYMENT"]).read_text())
    hooks = deployment["pipelines"][options.pipeline]["webhooks"]
    if not hooks:
        raise Failure(f"{options.pipeline} may call nobody; deploy it with WEBHOOKS, for an address of this machine")
    api, process = serve(options.command)
    try:
        delays(api, Receiver(hooks[0]), options.times)
        crowd(api, options.command, options.pipeline, options.clients, options.times)
    finally:
        process.terminate()
        process.wait()
    return 0


if __name__ == "__main__":
    toolbox.run(main)

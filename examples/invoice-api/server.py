"""An API for invoices that is slow and often fails, to try billing with.

    python3 examples/invoice-api/server.py 8744

It takes packages at `POST /invoices`, under a key for each, and tells of an invoice at `GET /invoices?package=…`. Of three requests that
would make an invoice, it answers two. Otherwise, it hangs before it makes one, or after that, or makes it when its client has given up; it
answers 500 although it made one, and says the same to whoever asks again under the key; or it asks for fewer requests, with a time to come
back or without one. A look-up finds an invoice five seconds after it was made, and a key is forgotten after thirty. `GET /log` tells what
was made, and how often.
"""

import argparse
import collections
import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# All in seconds: how long a key is known, how late a look-up finds an invoice, how long it hangs, how late an invoice is made whose client
# has given up, and how long it works on one.
KEY_WINDOW = 30
LAG = 5
HANGS = 20
LATE = 4
WORKS = 6

FAULTS = ["hangs before", "hangs after", "late", "500 after", "429", "429 with a time"]


class Books:
    """What was made, and what is known of keys."""

    def __init__(self, faulty, seed):
        self.lock = threading.Lock()
        self.faulty = faulty
        self.chance = random.Random(seed)
        self.invoices = []
        self.keys = {}
        self.requests = collections.Counter()
        self.bodies = collections.defaultdict(set)

    def count(self, what, key=None, body=None):
        with self.lock:
            self.requests[what] += 1
            if key:
                self.bodies[key].add(body)

    def mood(self):
        return self.chance.choice(FAULTS) if self.chance.random() < self.faulty else "answers"

    def make(self, package, body):
        with self.lock:
            invoice = {"id": f"inv-{len(self.invoices) + 1}", "package": package, "at": time.time(), "body": body}
            self.invoices.append(invoice)
            return {"id": invoice["id"], "state": "pending"}

    def known(self, key):
        """What was answered under a key, and whether it is the first request with it."""
        with self.lock:
            at, answer = self.keys.get(key, (0, None))
            if time.time() - at < KEY_WINDOW:
                return answer, False
            self.keys[key] = (time.time(), None)
            return None, True

    def remember(self, key, answer):
        with self.lock:
            self.keys[key] = (self.keys[key][0], answer)

    def forget(self, key):
        with self.lock:
            self.keys.pop(key, None)

    def find(self, package):
        with self.lock:
            age = {invoice["id"]: time.time() - invoice["at"] for invoice in self.invoices if invoice["package"] == package}
        for name, seconds in age.items():
            if seconds >= LAG:
                return {"id": name, "state": "processed" if seconds >= WORKS else "pending"}
        return None

    def log(self):
        with self.lock:
            made = collections.Counter(invoice["package"] for invoice in self.invoices)
            return {
                "invoices": len(self.invoices),
                "packages": len(made),
                "doubled": sorted(package for package, many in made.items() if many > 1),
                "otherBodies": sorted(key for key, bodies in self.bodies.items() if len(bodies) > 1),
                "requests": dict(self.requests),
            }


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    books: Books

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        key = (self.headers["Idempotency-Key"] or "").strip('"')
        try:
            package = json.loads(body)["id"]
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "a package is an object with an id"})
        if not key:
            return self.answer(400, {"error": "name a key in Idempotency-Key"})
        books = self.books
        stored, first = books.known(key)
        if not first:
            books.count("known key", key, body)
            # What is under way is asked for again.
            return self.answer(*(stored or (409, {"error": "under way"}, {"Retry-After": "1"})))
        mood = books.mood()
        books.count(mood, key, body)
        if mood.startswith("429"):
            books.forget(key)
            return self.answer(429, {"error": "fewer requests"}, {"Retry-After": "2"} if "time" in mood else {})
        if mood == "hangs before":
            books.forget(key)
            return self.hang()
        if mood == "late":
            time.sleep(LATE)
        made = books.make(package, body)
        if mood == "500 after":
            books.remember(key, (500, {"error": "something went wrong"}))
            return self.answer(500, {"error": "something went wrong"})
        books.remember(key, (201, made))
        return self.hang() if mood == "hangs after" else self.answer(201, made)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/log":
            return self.answer(200, self.books.log())
        self.books.count("look-up")
        package = parse_qs(url.query).get("package", [""])[0]
        found = self.books.find(package)
        return self.answer(200, found) if found else self.answer(404, {"error": "there is no invoice of it"})

    def hang(self):
        time.sleep(HANGS)
        self.close_connection = True

    def answer(self, status, document, headers=None):
        body = json.dumps(document).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # its client has given up
            self.close_connection = True

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description="An API for invoices that is slow and often fails.")
    parser.add_argument("port", type=int, nargs="?", default=8744)
    parser.add_argument("--faulty", type=float, default=1 / 3, help="the share of requests that go wrong")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    Api.books = Books(options.faulty, options.seed)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Api)
    server.daemon_threads = True
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print(json.dumps(Api.books.log()))


if __name__ == "__main__":
    main()

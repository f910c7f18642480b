"""An HTTP API to try the processor `http` with: it takes an order once, whatever comes twice, and now and then it is busy.

    python3 examples/http/server.py 8000
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

taken = {}
asked = 0


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global asked
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key, asked = self.headers["Idempotency-Key"], asked + 1
        if key in taken:
            self.answer(200, taken[key])
        elif asked % 100 == 0:
            self.answer(429, {"error": "slow down"}, {"Retry-After": "1"})
        else:
            taken[key] = {"order": self.path.rsplit("/", 1)[-1], "number": len(taken) + 1, "bytes": len(body)}
            self.answer(201, taken[key])

    def answer(self, status, document, headers={}):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Orders)
    try:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        print(f"{len(taken)} orders, {asked} requests")

"""Counts the requests that arrive, by service and operation.

    curl http://127.0.0.1:4566/_requests                  what was counted
    curl --request DELETE http://127.0.0.1:4566/_requests sets it to zero

Requests of a client that says `app/uncounted` in its User-Agent are those of an observer
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-appid.html). What MiniStack's services ask of each other are no requests here.
"""

import json
import re
from collections import Counter

from throttle import Answer, answer, header

CONTROL = "/_requests"
UNCOUNTED = "app/uncounted"
# The service that a request is signed for: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
SIGNED_FOR = re.compile(r"/[^/]+/([^/]+)/aws4_request")


def name_of(scope):
    """The service and the operation, as far as one can tell them from a head: of S3 and others the method, and
    of S3 what lists and what deletes many objects."""
    signed = SIGNED_FOR.search(header(scope, b"authorization"))
    service = signed[1] if signed else "unsigned"
    _, _, operation = header(scope, b"x-amz-target").partition(".")
    asked = scope.get("query_string", b"").decode("latin-1")
    if service == "s3" and scope["method"] == "GET" and "list-type=" in asked:
        operation = "LIST"
    elif service == "s3" and scope["method"] == "POST" and re.match(r"delete(=|&|$)", asked):
        operation = "DELETE"
    return f"{service}.{operation or scope['method']}"


class Counted:
    """An ASGI application before another."""

    def __init__(self, app):
        self.app, self.counts = app, Counter()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == CONTROL:
            if scope["method"] == "DELETE":
                self.counts.clear()
            return await answer(send, Answer(200, "application/json", json.dumps(dict(sorted(self.counts.items()))).encode()))
        if scope["type"] == "http" and UNCOUNTED not in header(scope, b"user-agent"):
            self.counts[name_of(scope)] += 1
        return await self.app(scope, receive, send)

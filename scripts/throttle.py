"""A busy AWS: between the functions and MiniStack, it refuses requests, leaves items unprocessed, and takes its time.

`local_aws.py` opens a second port for it, through which all requests of the functions go, and no others: neither
Terraform's, nor those of the tests and of the command, nor the polling of MiniStack's own event sources. It lets everything
pass until shares are set, as in

    curl --request PUT --data '{"refused": 0.2, "delayed": 0.1, "seconds": 3}' http://127.0.0.1:4566/_throttle

which also sets what it counted to zero; a GET returns that. The seed decides on the requests in the order in which they arrive.
"""
import asyncio
import contextlib
import contextvars
import dataclasses
import json
import os
import random
import socket
import zlib
from collections import Counter

CONTROL = "/_throttle"
# The body of a request as its client signed it, if another is passed on.
SIGNED = contextvars.ContextVar("signed", default=None)
JSON_1_0 = "application/x-amz-json-1.0"
DYNAMODB = "DynamoDB_20120810"
SQS = "AmazonSQS"

# The operations on items; those on tables are not throttled with them.
OF_ITEMS = {
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "TransactGetItems",
    "TransactWriteItems", "UpdateItem",
}

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
REFUSALS = {
    "ProvisionedThroughputExceededException": "You exceeded your maximum allowed provisioned throughput for a table or for one or"
                                              " more global secondary indexes.",
    "ThrottlingException": "Rate of requests exceeds the allowed throughput.",
}
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
CANCELLATIONS = {
    "ThrottlingError": "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your"
                       " table or index so please try again shortly.",
    "ProvisionedThroughputExceeded": "The level of configured provisioned throughput for the table was exceeded. Consider"
                                     " increasing your provisioning level with the UpdateTable API.",
}


@dataclasses.dataclass(frozen=True)
class Shares:
    """What becomes of requests: shares from 0 to 1."""

    seed: int = 1
    refused: float = 0  # of DynamoDB's requests
    unprocessed: float = 0  # of batch requests of more than one item or key: some of these are left
    delayed: float = 0  # of DynamoDB's requests
    seconds: float = 0  # the longest delay
    s3: float = 0  # of GETs and PUTs of S3, refused
    sqs: float = 0  # of SQS's requests, refused

    @classmethod
    def of(cls, given):
        """The shares of a JSON object; ValueError says what is wrong with it."""
        shares = cls(**{name: value for name, value in given.items() if name in cls.__dataclass_fields__})
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        highest = {"seed": float("inf"), "seconds": float("inf")}
        fits = {name: isinstance(value, (int, float)) and 0 <= value <= highest.get(name, 1)
                for name, value in dataclasses.asdict(shares).items()}
        if wrong := unknown + [name for name, fit in fits.items() if not fit]:
            raise ValueError(f"no shares: {', '.join(wrong)}")
        return shares


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: tuple = ()


class Throttle:
    """Decides what becomes of requests, and counts it."""

    def __init__(self, shares=Shares()):
        self.shares = shares
        self.chance = random.Random(shares.seed)
        self.counts = {name: Counter() for name in ("requests", "refused", "unprocessed", "items", "delayed")}
        self.waited = 0.0

    def drawn(self, share):
        return self.chance.random() < share

    def count(self, what, operation, many=1):
        self.counts[what][operation] += many

    def report(self):
        """What was counted, by operation, and the seconds of all delays."""
        counted = {name: dict(sorted(counts.items())) for name, counts in self.counts.items()}
        return {"shares": dataclasses.asdict(self.shares), "seconds": round(self.waited, 1), **counted}

    def delay(self, service, operation):
        """The seconds that a request waits before anything else happens to it."""
        if service != DYNAMODB or not self.drawn(self.shares.delayed):
            return 0
        seconds = self.chance.uniform(0, self.shares.seconds)
        self.waited += seconds
        self.count("delayed", operation)
        return seconds

    def refusal(self, service, operation, request):
        """The answer to a request that is refused, or None; `request` is its body, an object, if it is one of DynamoDB's."""
        self.count("requests", operation)
        share = {DYNAMODB: self.shares.refused, SQS: self.shares.sqs, "S3": self.shares.s3}[service]
        if not self.drawn(share):
            return None
        self.count("refused", operation)
        if service == "S3":
            return slow_down()
        if service == SQS:
            return request_throttled()
        if operation == "TransactWriteItems":
            return self.cancelled(len(request["TransactItems"]))
        code = self.chance.choice(sorted(REFUSALS))
        return refused(code, {"message": REFUSALS[code]})

    def cancelled(self, items):
        """A cancelled transaction: a reason for each of its items, `None` for those that were not at fault."""
        reasons = [{"Code": "None"}] * items
        for position in self.chance.sample(range(items), self.chance.randint(1, items)):
            code = self.chance.choice(sorted(CANCELLATIONS))
            reasons[position] = {"Code": code, "Message": CANCELLATIONS[code]}
        codes = ", ".join(reason["Code"] for reason in reasons)
        said = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
        return refused("TransactionCanceledException", {"Message": said, "CancellationReasons": reasons})

    def divided(self, operation, request):
        """A batch request that is carried out in part: what is passed on, and what is returned as unprocessed.

        At least one item is processed, since DynamoDB refuses a request of which it can process none:
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        if operation not in ("BatchGetItem", "BatchWriteItem"):
            return None
        entries = [(table, entry) for table, asked in request["RequestItems"].items() for entry in entries_of(asked)]
        if len(entries) < 2 or not self.drawn(self.shares.unprocessed):
            return None
        left = set(self.chance.sample(range(len(entries)), self.chance.randint(1, len(entries) - 1)))
        self.count("unprocessed", operation)
        self.count("items", operation, len(left))
        parts = []
        for chosen in (set(range(len(entries))) - left, left):
            of_table = {}
            for position in sorted(chosen):
                table, entry = entries[position]
                of_table.setdefault(table, []).append(entry)
            parts.append({table: like(request["RequestItems"][table], found) for table, found in of_table.items()})
        return {**request, "RequestItems": parts[0]}, parts[1]


def entries_of(asked):
    """The writes, or the keys to read, of one table of a batch request."""
    return asked if isinstance(asked, list) else asked["Keys"]


def like(asked, entries):
    return entries if isinstance(asked, list) else {**asked, "Keys": entries}


def refused(code, fields):
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", **fields}
    return Answer(400, JSON_1_0, json.dumps(body).encode())


def slow_down():
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""
    body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    return Answer(503, "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode())


def request_throttled():
    """The code in a header as well, for clients that know it from the query protocol.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
    """
    body = {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "The request was denied due to request throttling."}
    return Answer(400, JSON_1_0, json.dumps(body).encode(), (("x-amzn-query-error", "RequestThrottled;Sender"),))


def asked_of(method, target):
    """The service and the operation of a request, or None for one that always passes."""
    service, _, operation = target.partition(".")
    if service == DYNAMODB:
        return (service, operation) if operation in OF_ITEMS else None
    if service == SQS:
        return service, operation
    return ("S3", method) if not target and method in ("GET", "PUT") else None


class Door:
    """An ASGI application before another: the requests that arrive at one port are throttled."""

    def __init__(self, app, port):
        self.app = app
        self.port = port
        self.throttle = Throttle()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] == CONTROL:
            return await self.control(scope, receive, send)
        asked = None
        if scope["type"] == "http" and scope["server"][1] == self.port:
            asked = asked_of(scope["method"], header(scope, b"x-amz-target"))
        if asked is None:
            return await self.app(scope, receive, send)
        with contextlib.suppress(Gone):
            await self.pass_on(asked, scope, receive, send)

    async def control(self, scope, receive, send):
        if scope["method"] == "PUT":
            try:
                shares = Shares.of(json.loads(await whole(receive)))
            except (AttributeError, ValueError) as problem:
                return await answer(send, Answer(400, "text/plain", f"{problem}\n".encode()))
            self.throttle = Throttle(shares)
        await answer(send, Answer(200, "application/json", json.dumps(self.throttle.report()).encode()))

    async def pass_on(self, asked, scope, receive, send):
        service, operation = asked
        throttle = self.throttle
        request = None
        if service == DYNAMODB:
            body = await whole(receive)
            SIGNED.set(body)
            request, receive = json.loads(body), again(body, receive)
        if delay := throttle.delay(service, operation):
            await asyncio.sleep(delay)
        if refusal := throttle.refusal(service, operation, request):
            await whole(receive)
            return await answer(send, refusal)
        if request is None or not (parts := throttle.divided(operation, request)):
            return await self.app(scope, receive, send)
        passed, left = parts
        name = "UnprocessedItems" if operation == "BatchWriteItem" else "UnprocessedKeys"
        await self.in_part(passed, {name: left}, scope, receive, send)

    async def in_part(self, passed, left, scope, receive, send):
        body = json.dumps(passed).encode()
        kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
        scope = {**scope, "headers": [*kept, (b"content-length", b"%d" % len(body))]}
        sent = []

        async def collect(message):
            sent.append(message)

        await self.app(scope, again(body, receive), collect)
        if not sent:
            raise Gone
        start, text = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
        if start["status"] == 200:
            text = json.dumps({**json.loads(text), **left}).encode()
        of_body = {b"content-length": b"%d" % len(text), b"x-amz-crc32": b"%d" % zlib.crc32(text)}
        headers = [(name, of_body.get(name.lower(), value)) for name, value in start["headers"]]
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": text})


def header(scope, wanted):
    return next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == wanted), "")


class Gone(Exception):
    """The client went away."""


async def whole(receive):
    """The body of a request."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def again(body, receive):
    """Receives a body that was already read."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replayed():
        return next(messages, None) or await receive()

    return replayed


async def answer(send, said):
    headers = [("content-type", said.content_type), ("content-length", str(len(said.body))), *said.headers]
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": said.status, "headers": encoded})
    await send({"type": "http.response.body", "body": said.body})


def before(app, config):
    """Opens the port for the functions, which MiniStack starts with this process's environment."""
    host = config.bind[0].rsplit(":", 1)[0]
    listener = socket.create_server((host, 0))
    port = listener.getsockname()[1]
    config.bind.append(f"fd://{listener.detach()}")
    os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    return Door(app, port)

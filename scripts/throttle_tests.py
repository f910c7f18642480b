"""Tests what throttle.py does to requests, with an application behind it that says what arrived."""

import asyncio
import json
import os
import socket
import sys
import unittest
import zlib
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from throttle import CANCELLATIONS, CONTROL, DYNAMODB, Door, Shares, Throttle, before

PORT = 4567
ALWAYS = 1.0


def writes(many, table="items"):
    return {table: [{"PutRequest": {"Item": {"itemNo": {"S": str(n)}}}} for n in range(many)]}


def reads(many, table="ledger"):
    return {table: {"Keys": [{"pk": {"S": str(n)}} for n in range(many)], "ConsistentRead": True}}


class Behind:
    """An application that carries out whatever it gets."""

    def __init__(self):
        self.bodies = []

    async def __call__(self, scope, receive, send):
        body = (await receive())["body"]
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        assert lengths == [b"%d" % len(body)], lengths
        self.bodies.append(body)
        said = b'{"UnprocessedItems": {}, "Responses": {"ledger": []}}'
        headers = [(b"content-length", b"%d" % len(said)), (b"x-amz-crc32", b"%d" % zlib.crc32(said)), (b"x-id", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


class Answered:
    def __init__(self, messages):
        start, *rest = messages
        self.status, self.headers = start["status"], {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(message["body"] for message in rest)

    def json(self):
        return json.loads(self.body)


class DoorTest(unittest.TestCase):
    def setUp(self):
        self.behind = Behind()
        self.door = Door(self.behind, PORT)

    def set(self, **shares):
        self.door.throttle = Throttle(Shares(**shares))

    def request(self, target="", body=b"{}", method="POST", port=PORT, path="/"):
        """The answer to a request."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [(b"content-length", b"%d" % len(body))] + ([(b"X-Amz-Target", target.encode())] if target else [])
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "server": ("127.0.0.1", port)}
        messages, sent = [{"type": "http.request", "body": body, "more_body": False}], []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        asyncio.run(self.door(scope, receive, send))
        return Answered(sent)

    def dynamodb(self, operation, body=None, **how):
        return self.request(f"{DYNAMODB}.{operation}", body or {}, **how)

    def test_everything_passes_until_shares_are_set(self):
        for _ in range(100):
            self.assertEqual(self.dynamodb("BatchWriteItem", {"RequestItems": writes(25)}).status, 200)
        report = self.door.throttle.report()
        self.assertEqual(report["requests"], {"BatchWriteItem": 100})
        self.assertEqual([report[what] for what in ("refused", "unprocessed", "items", "delayed")], [{}] * 4)

    def test_only_requests_of_functions_for_items_objects_and_messages_are_throttled(self):
        self.set(refused=ALWAYS, s3=ALWAYS, sqs=ALWAYS)
        for operation in ("CreateTable", "DescribeTable", "UpdateContinuousBackups", "TagResource"):
            self.assertEqual(self.dynamodb(operation).status, 200, operation)
        self.assertEqual(self.dynamodb("PutItem", port=PORT + 1).status, 200)
        self.assertEqual(self.request("Logs_20140328.PutLogEvents").status, 200)
        self.assertEqual(self.request(method="HEAD", path="/bucket/key").status, 200)
        self.assertEqual(self.door.throttle.report()["requests"], {})
        for status, answered in ((400, self.dynamodb("PutItem")), (400, self.request("AmazonSQS.SendMessageBatch")),
                                 (503, self.request(method="PUT", path="/bucket/key", body=b"records"))):
            self.assertEqual(answered.status, status)
        self.assertEqual(self.door.throttle.report()["refused"], {"PUT": 1, "PutItem": 1, "SendMessageBatch": 1})

    def test_a_refused_request_has_no_effect_and_says_why_in_the_words_of_its_service(self):
        self.set(refused=ALWAYS, s3=ALWAYS, sqs=ALWAYS)
        codes = {self.dynamodb("PutItem").json()["__type"].rpartition("#")[2] for _ in range(50)}
        self.assertEqual(codes, {"ProvisionedThroughputExceededException", "ThrottlingException"})
        self.assertIn(b"<Code>SlowDown</Code>", self.request(method="GET", path="/bucket/key").body)
        of_queue = self.request("AmazonSQS.SendMessageBatch")
        self.assertEqual(of_queue.headers["x-amzn-query-error"], "RequestThrottled;Sender")
        self.assertEqual(of_queue.json()["__type"].rpartition("#")[2], "RequestThrottled")
        self.assertEqual(self.behind.bodies, [])

    def test_a_refused_transaction_has_a_reason_for_each_of_its_items(self):
        self.set(refused=ALWAYS)
        for items in range(1, 20):
            said = self.dynamodb("TransactWriteItems", {"TransactItems": [{"Put": {}}] * items}).json()
            self.assertTrue(said["__type"].endswith("#TransactionCanceledException"))
            codes = [reason["Code"] for reason in said["CancellationReasons"]]
            self.assertEqual(len(codes), items)
            self.assertTrue(set(codes) - {"None"} and set(codes) <= {"None", *CANCELLATIONS}, codes)

    def test_a_batch_is_carried_out_in_part_and_the_rest_is_returned(self):
        self.set(unprocessed=ALWAYS)
        batches = {"BatchWriteItem": (writes, "UnprocessedItems"), "BatchGetItem": (reads, "UnprocessedKeys")}
        for operation, (entries, left_as) in batches.items():
            for many in (2, 3, 25):
                asked = entries(many)
                answered = self.dynamodb(operation, {"RequestItems": asked, "ReturnConsumedCapacity": "TOTAL"})
                passed, left = json.loads(self.behind.bodies[-1]), answered.json()[left_as]
                self.assertEqual(passed.pop("ReturnConsumedCapacity"), "TOTAL")
                done = passed["RequestItems"]
                (table, whole), = asked.items()
                if isinstance(whole, list):
                    parts = done[table] + left[table]
                else:
                    self.assertTrue(done[table]["ConsistentRead"] and left[table]["ConsistentRead"])
                    whole, parts = whole["Keys"], done[table]["Keys"] + left[table]["Keys"]
                self.assertTrue(done[table] and left[table])
                self.assertEqual(sorted(map(json.dumps, parts)), sorted(map(json.dumps, whole)))
                self.assertEqual(answered.headers["content-length"], str(len(answered.body)))
                self.assertEqual(answered.headers["x-amz-crc32"], str(zlib.crc32(answered.body)))
        # DynamoDB refuses a request of which it can process nothing.
        self.dynamodb("BatchWriteItem", {"RequestItems": writes(1)})
        self.assertEqual(json.loads(self.behind.bodies[-1])["RequestItems"], writes(1))

    def test_a_batch_of_several_tables_is_divided_too(self):
        self.set(unprocessed=ALWAYS, seed=3)
        asked = {**writes(3, "a"), **writes(3, "b")}
        left = self.dynamodb("BatchWriteItem", {"RequestItems": asked}).json()["UnprocessedItems"]
        done = json.loads(self.behind.bodies[-1])["RequestItems"]
        self.assertTrue(all(left.values()) and all(done.values()))
        self.assertEqual(6, sum(len(of_table) for part in (left, done) for of_table in part.values()))

    def test_shares_hold_over_many_requests_and_a_seed_repeats_them(self):
        def fates(seed):
            self.set(refused=0.2, delayed=0.1, seconds=3, seed=seed)
            throttle = self.door.throttle
            return [(throttle.delay(DYNAMODB, "PutItem"), bool(throttle.refusal(DYNAMODB, "PutItem", {}))) for _ in range(10_000)]

        first = fates(1)
        self.assertEqual(first, fates(1))
        self.assertNotEqual(first, fates(2))
        self.assertAlmostEqual(sum(refused for _, refused in first) / 10_000, 0.2, delta=0.02)
        delays = [seconds for seconds, _ in first if seconds]
        self.assertAlmostEqual(len(delays) / 10_000, 0.1, delta=0.02)
        self.assertLessEqual(max(delays), 3)

    def test_shares_are_set_and_counts_read_at_any_port(self):
        said = self.request(method="PUT", port=PORT + 1, path=CONTROL, body={"refused": ALWAYS, "seed": 7}).json()
        self.assertEqual((said["shares"]["refused"], said["shares"]["seed"]), (1, 7))
        self.dynamodb("PutItem")
        self.assertEqual(self.request(method="GET", path=CONTROL).json()["refused"], {"PutItem": 1})
        self.assertEqual(self.request(method="PUT", path=CONTROL, body={}).json()["refused"], {})
        for wrong in ({"refussed": 1}, {"refused": 2}, {"seconds": -1}, {"s3": "all"}, [], b"{"):
            self.assertEqual(self.request(method="PUT", path=CONTROL, body=wrong).status, 400, wrong)
        self.assertEqual(self.behind.bodies, [])

    def test_a_client_that_went_away_is_none_of_the_applications_business(self):
        async def receive():
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"x-amz-target", b"DynamoDB_20120810.PutItem")],
                 "server": ("127.0.0.1", PORT)}
        asyncio.run(self.door(scope, receive, None))
        self.assertEqual(self.behind.bodies, [])

    def test_the_functions_are_told_of_a_port_of_their_own(self):
        config = SimpleNamespace(bind=["127.0.0.1:4566"])
        with mock.patch.dict(os.environ, AWS_ENDPOINT_URL="http://127.0.0.1:4566"):
            door = before(self.behind, config)
            self.assertEqual(os.environ["AWS_ENDPOINT_URL"], f"http://127.0.0.1:{door.port}")
        own, opened = config.bind
        with socket.socket(fileno=int(opened.removeprefix("fd://"))) as listener:
            self.assertEqual((own, listener.getsockname()), ("127.0.0.1:4566", ("127.0.0.1", door.port)))


if __name__ == "__main__":
    unittest.main()

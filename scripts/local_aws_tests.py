"""Tests of how the local AWS keeps connections, of its topics, its maps, and of its count of requests."""

import asyncio
import json
import logging
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import hypercorn.asyncio
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from ministack.services import sns, sqs, stepfunctions

import local_aws
from counted import Counted
from maps import MAX_INPUT_BYTES, Maps, size_of


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class ConnectionsTest(unittest.TestCase):
    def setUp(self):
        self.kept, local_aws.NOTICED = local_aws.NOTICED, 0.1
        self.open = 0
        self.closed = asyncio.Event()
        self.run = TCPServer.run

        async def counted(connection):
            self.open += 1
            await self.run(connection)
            self.open -= 1
            self.closed.set()

        TCPServer.run = counted

    def tearDown(self):
        local_aws.NOTICED = self.kept
        TCPServer.run = self.run

    async def ask(self, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        return writer

    async def serve(self, act):
        config, ended = Config(), asyncio.Event()
        config.bind, config.accesslog, config.errorlog = ["127.0.0.1:0"], None, None
        sockets = config.create_sockets()
        listener = sockets.insecure_sockets[0]
        # Connections wait there until the server takes them.
        listener.listen()
        port = listener.getsockname()[1]
        config.create_sockets = lambda: sockets
        serving = asyncio.create_task(local_aws.patient(app, config, shutdown_trigger=ended.wait))
        try:
            await act(port)
        finally:
            ended.set()
            await asyncio.wait_for(serving, 20)

    def test_one_that_its_client_closed_is_given_up(self):
        async def act(port):
            writer = await self.ask(port)
            self.assertEqual(self.open, 1)
            writer.close()
            await asyncio.wait_for(self.closed.wait(), 20)
            self.assertEqual(self.open, 0)

        asyncio.run(self.serve(act))

    def test_one_that_is_idle_is_kept(self):
        async def act(port):
            idle, other = await self.ask(port), await self.ask(port)
            other.close()
            await asyncio.wait_for(self.closed.wait(), 20)
            self.assertEqual(self.open, 1)
            idle.close()

        asyncio.run(self.serve(act))


class TopicsTest(unittest.TestCase):
    """Tests of topics.py, with the services as local_aws.py has them."""

    TOPIC, QUEUE, OTHER = (f"arn:aws:{where}" for where in ("sns:us-east-1:000000000000:t", "sqs:us-east-1:000000000000:q", "sqs:us-east-1:000000000000:d"))

    def setUp(self):
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        for service in (sns, sqs):
            service.reset()
            self.addCleanup(service.reset)
        self.refusing = set()
        allows = lambda queue, service, topic, account: (service, topic) == ("sns.amazonaws.com", self.TOPIC) and queue not in self.refusing
        self.enterContext(mock.patch.object(sqs, "queue_policy_allows", allows))
        sns._create_topic({"Name": "t"})
        self.queues = {}
        for name in ("q", "d"):
            sqs._act_create_queue({"QueueName": name}, "")
            self.queues[name] = sqs._queue_by_arn(f"arn:aws:sqs:us-east-1:000000000000:{name}")

    def subscribe(self, **attributes):
        entries = {f"Attributes.entry.{n}.{what}": value for n, entry in enumerate(attributes.items(), 1)
                   for what, value in zip(("key", "value"), entry)}
        sns._subscribe({"TopicArn": self.TOPIC, "Protocol": "sqs", "Endpoint": self.QUEUE, **entries})

    def publish(self, *messages, **of_each):
        """Publishes these in one request, and returns its answer."""
        named = {f"PublishBatchRequestEntries.member.{n}.{name}": value for n, message in enumerate(messages, 1)
                 for name, value in {"Id": str(n), "Message": message, **of_each}.items()}
        status, _, body = sns._publish_batch({"TopicArn": self.TOPIC, **named})
        return status, body.decode()

    def received(self, name):
        return [(message["body"], message.get("group_id")) for message in self.queues[name]["messages"]]

    def test_a_group_is_forwarded_from_a_batch(self):
        self.subscribe(RawMessageDelivery="true")
        self.publish("a", "b", MessageGroupId="acme")
        self.publish("c")
        self.assertEqual(self.received("q"), [("a", "acme"), ("b", "acme"), ("c", None)])

    def test_all_messages_of_a_request_are_limited_together(self):
        self.subscribe(RawMessageDelivery="true")
        half = "x" * (256 * 1024 // 2)
        status, said = self.publish(half, half + "x")
        self.assertEqual(status, 400)
        self.assertIn("<Code>BatchRequestTooLong</Code>", said)
        self.assertEqual(self.received("q"), [])
        self.assertEqual(self.publish(half, half)[0], 200)
        self.assertEqual(len(self.received("q")), 2)

    def test_what_a_queue_refuses_goes_where_its_subscription_says(self):
        self.subscribe(RawMessageDelivery="true", RedrivePolicy=json.dumps({"deadLetterTargetArn": self.OTHER}))
        self.publish("taken")
        self.refusing = {self.QUEUE}
        self.publish("refused", MessageGroupId="acme")
        self.assertEqual((self.received("q"), self.received("d")), ([("taken", None)], [("refused", "acme")]))
        self.refusing = {self.QUEUE, self.OTHER}
        self.publish("lost")
        self.assertEqual((len(self.received("q")), len(self.received("d"))), (1, 1))

    def test_what_is_for_a_queue_that_is_gone_goes_there_too(self):
        self.subscribe(RedrivePolicy=json.dumps({"deadLetterTargetArn": self.OTHER}))
        sqs.reset()
        sqs._act_create_queue({"QueueName": "d"}, "")
        self.queues["d"] = sqs._queue_by_arn(self.OTHER)
        self.publish("late")
        self.assertEqual([json.loads(body)["Message"] for body, _ in self.received("d")], ["late"])

    def test_without_a_redrive_policy_it_is_lost(self):
        self.subscribe(RawMessageDelivery="true")
        self.refusing = {self.QUEUE}
        self.assertEqual(self.publish("lost")[0], 200)
        self.assertEqual((self.received("q"), self.received("d")), ([], []))


class MapsTest(unittest.TestCase):
    """Batches of a Distributed Map, as its executions see them."""

    def given(self, batcher, items, **state):
        """What a map's executions are given."""
        taken = []

        def run(state, raw, effective, iterator, execution, ctx):
            taken.extend(effective)
            return effective, None

        maps = Maps(stepfunctions)
        maps.run = run
        maps.batched({"ItemBatcher": batcher, **state}, {}, items, {}, {}, {"Execution": {"Id": "one"}})
        return taken

    def test_a_batch_has_as_many_items_as_it_may(self):
        batches = self.given({"MaxItemsPerBatch": 3}, [{"n": n} for n in range(8)])
        self.assertEqual([len(batch["Items"]) for batch in batches], [3, 3, 2])
        self.assertEqual([item["n"] for batch in batches for item in batch["Items"]], list(range(8)))
        self.assertEqual(self.given({"MaxItemsPerBatch": 3}, []), [])

    def test_a_batch_has_as_many_bytes_as_it_may(self):
        items = [{"text": "ü" * 1000} for _ in range(400)]
        for batcher, limit in (({"MaxInputBytesPerBatch": 10_000}, 10_000), ({"MaxItemsPerBatch": 1000}, MAX_INPUT_BYTES)):
            batches = self.given(batcher, items)
            self.assertEqual(sum(len(batch["Items"]) for batch in batches), 400)
            self.assertLessEqual(max(map(size_of, batches)), limit)
            # One more would have been too much.
            self.assertGreater(size_of(batches[0]) + size_of(items[0]) + 1, limit)

    def test_what_all_batches_are_given_and_what_is_selected_of_an_item(self):
        batches = self.given({"MaxItemsPerBatch": 2, "BatchInput": {"by.$": "$$.Execution.Id"}}, [1, 2, 3], ItemSelector={"it.$": "$$.Map.Item.Value"})
        self.assertEqual(batches, [{"BatchInput": {"by": "one"}, "Items": [{"it": 1}, {"it": 2}]}, {"BatchInput": {"by": "one"}, "Items": [{"it": 3}]}])

    def test_a_map_without_batches_is_as_it_was(self):
        maps = Maps(stepfunctions)
        maps.run = mock.Mock(return_value="as it was")
        self.assertEqual(maps.batched({}, 1, 2, 3, 4, 5), "as it was")


class CountedTest(unittest.TestCase):
    def ask(self, counted, path="/", method="POST", query=b"", **headers):
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b""}

        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        asyncio.run(counted({"type": "http", "path": path, "method": method, "query_string": query, "headers": headers}, receive, send))
        return b"".join(message.get("body", b"") for message in sent)

    def test_requests_are_counted_by_service_and_operation_unless_an_observer_sends_them(self):
        counted = Counted(app)
        signed = lambda service: f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        for _ in range(2):
            self.ask(counted, x_amz_target="DynamoDB_20120810.PutItem", authorization=signed("dynamodb"))
        self.ask(counted, method="PUT", authorization=signed("s3"), user_agent="Boto3/1 app/mine")
        self.ask(counted, method="PUT", authorization=signed("s3"), user_agent="Boto3/1 app/uncounted")
        self.ask(counted, method="GET", query=b"list-type=2&prefix=a", authorization=signed("s3"))
        self.ask(counted, method="POST", query=b"delete", authorization=signed("s3"))
        told = {"dynamodb.PutItem": 2, "s3.DELETE": 1, "s3.LIST": 1, "s3.PUT": 1}
        self.assertEqual(json.loads(self.ask(counted, "/_requests", "GET")), told)
        self.assertEqual(json.loads(self.ask(counted, "/_requests", "DELETE")), {})


if __name__ == "__main__":
    unittest.main()

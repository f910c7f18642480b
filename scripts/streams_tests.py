"""Tests of how the local AWS delivers streams of tables to functions, and of the paths that HTTP APIs tell them.

Run them with the Python that `emulator.py python` prints.
"""

import asyncio
import json
import logging
import sys
import threading
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from ministack.services import apigateway, dynamodb, lambda_svc

import http_apis
import local_aws  # noqa: F401: installs what is tested
import streams
from streams import again

INSERTS = json.dumps({"eventName": ["INSERT"]})
REPORTS = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}


def change(number):
    return {"dynamodb": {"SequenceNumber": str(number), "Keys": {"id": {"S": f"r{number}"}}}}


class AnswersTest(unittest.TestCase):
    BATCH = [change(number) for number in range(5)]

    def again(self, body, **mapping):
        return [record["dynamodb"]["SequenceNumber"] for record in again({**REPORTS, **mapping}, self.BATCH, {"body": body})]

    def failures(self, *ids):
        return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in ids]}

    def test_all_from_the_first_that_failed_on_come_again(self):
        self.assertEqual(self.again(self.failures("3")), ["3", "4"])
        self.assertEqual(self.again(self.failures("4", "1")), ["1", "2", "3", "4"])
        self.assertEqual(self.again(json.dumps(self.failures("0"))), ["0", "1", "2", "3", "4"])

    def test_none_comes_again_after_a_success(self):
        for body in (None, "", "null", {}, "{}", {"batchItemFailures": []}, {"batchItemFailures": None}):
            self.assertEqual(self.again(body), [], body)

    def test_all_come_again_if_it_is_not_known_which_failed(self):
        for body in (self.failures(""), self.failures(None), self.failures("9", "3"), {"batchItemFailures": [{"id": "3"}]}, "no JSON"):
            self.assertEqual(len(self.again(body)), 5, body)
        self.assertEqual(again(REPORTS, self.BATCH, {"error": True, "body": self.failures("3")}), self.BATCH)

    def test_a_mapping_without_reports_takes_any_answer_for_a_success(self):
        self.assertEqual(self.again(self.failures("3"), FunctionResponseTypes=[]), [])


class Function:
    """A function that is called by the poller, and answers when it is told to."""

    def __init__(self):
        self.changed = threading.Condition()
        self.called = []  # the ids of each call's records, in the order of calls
        self.answers = []  # of the next calls: what to answer
        self.held = set()  # ids of which a call does not end

    def __call__(self, record, event):
        ids = [change["dynamodb"]["Keys"]["id"]["S"] for change in event["Records"]]
        with self.changed:
            self.called.append(ids)
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self.held & set(ids), 30)
            return self.answers.pop(0)(event["Records"]) if self.answers else {"body": None}

    def await_ids(self, *ids):
        with self.changed:
            found = self.changed.wait_for(lambda: set(ids) <= {id_ for call in self.called for id_ in call}, 20)
        assert found, (ids, self.called)

    def release(self):
        with self.changed:
            self.held.clear()
            self.changed.notify_all()


class PollerTest(unittest.TestCase):
    """Tests of the poller of MiniStack, with a table and a mapping as they are made, and a function in place of a process."""

    def setUp(self):
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        self.function = Function()
        self.enterContext(mock.patch.object(streams, "PAUSE", 0.05))
        self.enterContext(mock.patch.object(lambda_svc, "_execute_function", self.function))
        known = ({"config": {}}, {"FunctionName": "f"})
        self.enterContext(mock.patch.object(lambda_svc, "_get_func_record_for_qualifier", lambda *_: known))
        for service in (dynamodb, lambda_svc):
            service.reset()
            self.addCleanup(service.reset)
        self.ask("CreateTable", TableName="requests", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                 AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                 StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
        self.stream = self.ask("DescribeTable", TableName="requests")["Table"]["LatestStreamArn"]
        self.addCleanup(self.function.release)

    def ask(self, action, **request):
        headers = {"x-amz-target": f"DynamoDB_20120810.{action}"}
        status, _, said = asyncio.run(dynamodb.handle_request("POST", "/", headers, json.dumps(request).encode(), {}))
        assert status == 200, said
        return json.loads(said)

    def put(self, *ids, value="1"):
        for id_ in ids:
            self.ask("PutItem", TableName="requests", Item={"id": {"S": id_}, "value": {"S": value}})

    def mapped(self, **settings):
        mapping = {"UUID": f"m-{id(self)}", "EventSourceArn": self.stream, "FunctionName": "f", "Enabled": True, "StartingPosition": "TRIM_HORIZON",
                   "BatchSize": 100, **REPORTS, "FilterCriteria": {"Filters": [{"Pattern": INSERTS}]}, **settings}
        lambda_svc._esms[mapping["UUID"]] = mapping
        lambda_svc._init_stream_position(mapping["UUID"], self.stream, "TRIM_HORIZON")
        lambda_svc._ensure_poller()
        lambda_svc._esm_wake.set()

    def test_what_was_written_before_the_mapping_and_after_it_comes_once(self):
        self.put("a", "b")
        self.mapped()
        self.function.await_ids("a", "b")
        self.put("c")
        self.put("a", value="2")
        self.put("d")
        self.function.await_ids("c", "d")
        self.assertEqual(sorted(id_ for call in self.function.called for id_ in call), ["a", "b", "c", "d"])

    def test_what_failed_comes_again_with_all_after_it_and_nothing_before(self):
        failed = lambda batch: {"body": {"batchItemFailures": [{"itemIdentifier": batch[1]["dynamodb"]["SequenceNumber"]}]}}
        self.function.answers = [failed, lambda batch: {"error": True, "body": {}}]
        self.put("a", "b", "c")
        self.mapped()
        self.function.await_ids("a")
        self.put("d")
        self.function.await_ids("d")
        with self.function.changed:
            self.assertTrue(self.function.changed.wait_for(lambda: len(self.function.called) >= 3, 20), self.function.called)
        self.assertEqual(self.function.called[0], ["a", "b", "c"])
        self.assertTrue(all(call[:2] == ["b", "c"] for call in self.function.called[1:3]), self.function.called)

    def test_others_are_worked_on_while_a_batch_is(self):
        self.function.held = {"r0"}
        self.mapped(ParallelizationFactor=10, BatchSize=1)
        self.put("r0")
        self.function.await_ids("r0")
        others = [f"r{number}" for number in range(1, 40)]
        self.put(*others)
        lane = lambda id_: streams.zlib.crc32(json.dumps({"id": {"S": id_}}, sort_keys=True).encode()) % 10
        self.function.await_ids(*[id_ for id_ in others if lane(id_) != lane("r0")])
        beside = {id_ for id_ in others if lane(id_) == lane("r0")}
        self.assertTrue(beside)
        self.assertFalse(beside & {id_ for call in self.function.called for id_ in call})
        self.function.release()
        self.function.await_ids(*others)

    def test_a_batch_has_at_most_six_megabytes(self):
        self.put(*[f"r{number}" for number in range(20)], value="x" * 390_000)
        self.mapped()
        self.function.await_ids(*[f"r{number}" for number in range(20)])
        self.assertEqual([len(call) for call in self.function.called], [16, 4])

    def test_a_role_that_may_not_read_gets_nothing_and_misses_nothing(self):
        with mock.patch.object(streams, "may_read", lambda *_: asked.set()):
            asked = threading.Event()
            self.put("a")
            self.mapped()
            self.assertTrue(asked.wait(20))
            self.assertEqual(self.function.called, [])
        lambda_svc._esm_wake.set()
        self.function.await_ids("a")

    def test_a_write_that_changes_nothing_is_not_told(self):
        self.mapped(FilterCriteria={})
        self.put("a")
        self.put("a")
        self.put("b")
        self.function.await_ids("a", "b")
        self.assertEqual(sorted(id_ for call in self.function.called for id_ in call), ["a", "b"])


class PathsTest(unittest.TestCase):
    def test_a_named_stage_is_part_of_the_path(self):
        told = []

        async def invoked(integration, api, stage, path, *_, **__):
            told.append((stage, path))

        for stage in ("v1", "$default"):
            asyncio.run(http_apis.staged(invoked)({}, "api", stage, "/records", "POST"))
        self.assertEqual(told, [("v1", "/v1/records"), ("$default", "/records")])
        self.assertEqual(apigateway._invoke_lambda_proxy.__qualname__, "staged.<locals>.invoked")

    def test_an_event_of_a_connection_names_a_host(self):
        context = apigateway._ws_request_context("a1", "$default", "live", "c1", "MESSAGE", "r1", "127.0.0.1", {})
        self.assertEqual((context["domainName"], context["connectionId"]), ("a1.execute-api.us-east-1.amazonaws.com", "c1"))


if __name__ == "__main__":
    unittest.main()

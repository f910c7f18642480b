"""Tests where authorised.py makes MiniStack authorise as AWS does, with an evaluator that knows a list of what is allowed."""

import asyncio
import contextlib
import contextvars
import dataclasses
import json
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent))

from authorised import PATH, TO_CONSUME, TO_LOG, TO_READ, Authority, Calls, Counted, leading_keys, matches
from throttle import SIGNED

ROLE = "test-chunked-process"
ARN = f"arn:aws:sts::000000000000:assumed-role/{ROLE}/{ROLE}"
BUCKET = "arn:aws:s3:::work"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:process"
TOPIC = "arn:aws:sns:us-east-1:000000000000:chunks"
CONFIG = {"FunctionName": ROLE}


@dataclasses.dataclass
class Statement:
    resources: list
    conditions: dict


@dataclasses.dataclass
class Principal:
    policies: list
    keys: dict


@dataclasses.dataclass
class Kept:
    body: bytes
    headers: dict


class Patterns(unittest.TestCase):
    def test_a_pattern_is_about_what_its_wildcards_stand_for(self):
        for pattern, text, about in [
            ("arn:aws:s3:::work/*/done/*", "arn:aws:s3:::work/a/b/done/c", True),
            ("arn:aws:s3:::work/*/done/*", "arn:aws:s3:::work/a/pending/c", False),
            ("arn:aws:s3:::work", "arn:aws:s3:::work/a", False),
            ("a.c", "abc", False),
            ("a?c", "abc", True),
            ("a*", "a\nb", True),
        ]:
            self.assertEqual(matches(pattern, text), about, (pattern, text))


class Keys(unittest.TestCase):
    def test_a_request_is_about_the_hash_keys_that_it_names(self):
        hash_key = {("t", None): "client", ("t", "i"): "half", ("u", None): "id"}
        text, ann = lambda value: {"S": value}, {"client": {"S": "ann"}, "half": {"S": "h"}}
        for asked, keys in [
            ({"TableName": "t", "Key": ann}, ["ann"]),
            ({"TableName": "t", "Item": ann}, ["ann"]),
            ({"TableName": "t", "KeyConditionExpression": "client = :c AND half BETWEEN :a AND :b", "ExpressionAttributeValues": {":c": text("ann")}}, ["ann"]),
            ({"TableName": "t", "KeyConditionExpression": "half = :h and #k = :c", "ExpressionAttributeNames": {"#k": "client"},
              "ExpressionAttributeValues": {":c": text("ann"), ":h": text("h")}}, ["ann"]),
            ({"TableName": "t", "IndexName": "i", "KeyConditionExpression": "half=:h", "ExpressionAttributeValues": {":h": text("h")}}, ["h"]),
            ({"RequestItems": {"t": {"Keys": [ann, {"client": text("bob")}]}, "u": [{"PutRequest": {"Item": {"id": {"N": "7"}}}}]}}, ["ann", "bob", "7"]),
            ({"TransactItems": [{"Put": {"TableName": "t", "Item": ann}}, {"Update": {"TableName": "u", "Key": {"id": text("x")}}}]}, ["ann", "x"]),
            ({"TableName": "t"}, None),
        ]:
            self.assertEqual(leading_keys(asked, lambda table, index: hash_key.get((table, index))), keys, asked)


class AuthorityTest(unittest.TestCase):
    def setUp(self):
        self.allowed = set()
        self.pinned = []
        evaluator = SimpleNamespace(enforce=self.evaluate, pin_request_origin=lambda *origin: self.pinned.append(origin))
        of = SimpleNamespace(
            app=SimpleNamespace(), iam_evaluator=evaluator,
            lambda_runtime=SimpleNamespace(execution_credentials=lambda _: {"AWS_ACCESS_KEY_ID": "ASIA1"},
                                           _account_region_from_function_config=lambda _: ("000000000000", "us-east-1")),
            lambda_svc=SimpleNamespace(_get_func_record_for_qualifier=lambda *_: ({}, CONFIG)),
            responses=SimpleNamespace(request_scope=lambda *_: contextlib.nullcontext(), get_region=lambda: "us-east-1"),
            router=SimpleNamespace(extract_access_key_id=lambda headers, _: headers.get("key")),
            s3=SimpleNamespace(_error=lambda code, _message, status, _resource: (status, {}, code.encode())),
            sqs=SimpleNamespace(_queues={"url": {"messages": ["one"]}}), sts=SimpleNamespace(_sessions={"ASIA1": {"Arn": ARN}}),
        )
        self.authority = Authority(of)

    def evaluate(self, key, action, service, region, resource_arn="*", service_context=None):
        return None if key == "test" or (action, resource_arn) in self.allowed else "refused"

    def allow(self, resource, *actions):
        self.allowed |= {(action, resource) for action in actions}

    def counted(self):
        return self.authority.calls.report()

    def test_a_batch_of_messages_needs_the_right_to_send_one(self):
        self.allow(QUEUE, "sqs:SendMessage")
        for action in ("sqs:SendMessage", "sqs:SendMessageBatch"):
            self.assertIsNone(self.authority.enforce("ASIA1", action, "sqs", "us-east-1", QUEUE))
        self.assertEqual(self.authority.enforce("ASIA1", "sqs:DeleteMessageBatch", "sqs", "us-east-1", QUEUE), "refused")
        counted = [[ROLE, "sqs:DeleteMessage", QUEUE, False, 1], [ROLE, "sqs:SendMessage", QUEUE, True, 2]]
        self.assertEqual(self.counted(), counted)

    def test_a_parameter_that_is_named_by_its_arn_is_that_parameter(self):
        parameter = "arn:aws:ssm:us-east-1:000000000000:parameter/hooks"
        self.allow(parameter, "ssm:GetParameter")
        for named in (parameter, f"arn:aws:ssm:us-east-1:000000000000:parameter/{parameter}"):
            self.assertIsNone(self.authority.enforce("ASIA1", "ssm:GetParameter", "ssm", "us-east-1", named))
        self.assertEqual(self.counted(), [[ROLE, "ssm:GetParameter", parameter, True, 2]])

    def test_messages_are_published_together_by_the_right_to_publish_one(self):
        self.allow(TOPIC, "sns:Publish")
        for action in ("sns:Publish", "sns:PublishBatch"):
            self.assertIsNone(self.authority.enforce("ASIA1", action, "sns", "us-east-1", TOPIC))
            self.assertEqual(self.authority.enforce("ASIA1", action, "sns", "us-east-1", f"{TOPIC}-other"), "refused")
        self.assertEqual(self.counted(), [[ROLE, "sns:Publish", TOPIC, True, 2], [ROLE, "sns:Publish", f"{TOPIC}-other", False, 2]])

    def test_a_mapping_is_read_changed_and_deleted_by_rights_of_their_own(self):
        named = self.authority.on_mapping(lambda method, path: f"{method} {path}")
        one = "/2015-03-31/event-source-mappings/01234567-89ab"
        for method, action in [("GET", "GetEventSourceMapping"), ("PUT", "UpdateEventSourceMapping"), ("DELETE", "DeleteEventSourceMapping")]:
            self.assertEqual(named(method, one), action)
        for other in ("/2015-03-31/event-source-mappings/", "/2015-03-31/event-source-mappings", "/2015-03-31/functions/event-source-mappings/a"):
            self.assertEqual(named("GET", other), f"GET {other}")

    def test_only_calls_of_roles_are_counted(self):
        self.assertIsNone(self.authority.enforce("test", "s3:PutObject", "s3", "us-east-1", f"{BUCKET}/a"))
        self.assertEqual(self.counted(), [])

    def test_a_missing_object_is_missing_only_for_who_may_list_its_bucket(self):
        read = self.authority.found(lambda *_: (404, {}, b"NoSuchKey"))
        role, version = {"key": "ASIA1"}, {"versionId": "1"}
        self.assertEqual(read("work", "a", {"key": "test"}), (404, {}, b"NoSuchKey"))
        self.assertEqual(read("work", "a", role), (403, {}, b"AccessDenied"))
        self.allow(BUCKET, "s3:ListBucket")
        self.assertEqual(read("work", "a", role)[0], 404)
        self.assertEqual(read("work", "a", role, version)[0], 403)
        self.allow(BUCKET, "s3:ListBucketVersions")
        self.assertEqual(read("work", "a", role, version)[0], 404)
        self.assertEqual(self.authority.found(lambda *_: (200, {}, b""))("work", "a", {})[0], 200)

    def test_a_mapping_receives_only_for_a_role_that_may_consume(self):
        mapping = ("000000000000", "us-east-1", {"FunctionName": ROLE, "EventSourceArn": QUEUE})
        receive = self.authority.received(lambda url, many: [url] * many)
        for missing in TO_CONSUME:
            self.allowed = {(action, QUEUE) for action in TO_CONSUME if action != missing}
            for _ in self.authority.mappings(lambda: iter([mapping]))():
                self.assertEqual(receive("url", 2), [], missing)
        self.allow(QUEUE, *TO_CONSUME)
        for _ in self.authority.mappings(lambda: iter([mapping]))():
            self.assertEqual(receive("url", 2), ["url"] * 2)
        self.assertEqual(set(self.pinned), {("127.0.0.1", True)})

    def test_an_empty_queue_asks_for_no_right(self):
        self.authority.of.sqs._queues["url"]["messages"] = []
        self.assertEqual(self.authority.received(lambda *_: ["never"])("url", 2), [])
        self.assertEqual(self.counted(), [])

    def test_a_mapping_reads_a_stream_only_for_a_role_that_may(self):
        stream = "arn:aws:dynamodb:us-east-1:000000000000:table/requests/stream/2026-01-01T00:00:00.000"
        for missing in TO_READ:
            self.allowed = {(action, stream) for action in TO_READ if action != missing}
            self.assertFalse(self.authority.reads(CONFIG, stream), missing)
        self.allow(stream, *TO_READ)
        self.assertTrue(self.authority.reads(CONFIG, stream))

    def test_what_a_function_prints_is_logged_only_if_its_role_may(self):
        logged = []
        emit = self.authority.logged(lambda function, *printed, **how: logged.append(printed))
        stream = f"arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/{ROLE}:log-stream:any"
        for missing in TO_LOG:
            self.allowed = {(action, stream) for action in TO_LOG if action != missing}
            emit({"config": CONFIG}, "id", "text")
        self.assertEqual(logged, [])
        self.allow(stream, *TO_LOG)
        emit({"config": CONFIG}, "id", "text")
        self.assertEqual(logged, [("id", "text")])

    def test_a_rule_invokes_only_a_function_whose_policy_lets_it(self):
        invoked, asked = [], []

        def decide(policy, context, service):
            asked.append((policy, context["service_context"]["aws:sourcearn"], service))
            return SimpleNamespace(decision=policy)

        of = self.authority.of
        of.iam_evaluator.EvalContext, of.iam_evaluator.evaluate_resource_policy = dict, decide
        dispatch = self.authority.invoked(lambda arn, _: invoked.append(arn))
        for decision in ("ImplicitDeny", "Allow"):
            of.lambda_svc.function_policy_for_arn = lambda _, said=decision: (said, "000000000000")
            dispatch(f"{decision} sweep", json.dumps({"resources": ["rule"]}))
        self.assertEqual(invoked, ["Allow sweep"])
        self.assertEqual(asked, [(policy, "rule", "events.amazonaws.com") for policy in ("ImplicitDeny", "Allow")])

    def test_a_policy_names_the_caller(self):
        own = Statement(["arn:a/${aws:PrincipalTag/client}", "arn:b/${aws:username}", "arn:c/${*}"],
                        {"StringLike": {"k": ["${aws:PrincipalTag/client}#?", "x"]}, "Null": {"k": "false"}})
        resolve = self.authority.principal(lambda keys: Principal([[own]], keys))
        found = resolve({"aws:principaltag/client": "ann"}).policies
        self.assertEqual(found, [[Statement(["arn:a/ann", "arn:c/${*}"], {"StringLike": {"k": ["ann#?", "x"]}, "Null": {"k": ["false"]}})]])
        self.assertEqual(resolve({}).policies, [[Statement(["arn:c/${*}"], {"StringLike": {"k": ["x"]}, "Null": {"k": ["false"]}})]])
        own.resources = own.resources[:2]
        self.assertEqual(resolve({}).policies[0][0].resources, ["", ""])
        root = Principal(None, {})
        self.assertIs(self.authority.principal(lambda: root)(), root)

    def test_a_body_that_was_divided_is_verified_as_it_was_signed(self):
        kept = self.authority.of.iam_evaluator._signed_request = contextvars.ContextVar("kept")
        pin = self.authority.signed(lambda body: kept.set(Kept(body, {"content-length": "4", "host": "local"})))
        pin(b"sent")
        self.assertEqual(kept.get(), Kept(b"sent", {"content-length": "4", "host": "local"}))
        token = SIGNED.set(b"signed")
        self.addCleanup(SIGNED.reset, token)
        pin(b"sent")
        self.assertEqual(kept.get(), Kept(b"signed", {"content-length": "6", "host": "local"}))

    def test_every_request_counts_as_sent_over_tls(self):
        self.assertEqual(self.authority.secure(lambda *origin: origin)("127.0.0.1", False), ("127.0.0.1", True))


class CountedTest(unittest.TestCase):
    def asked(self, query, calls):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "path": PATH, "query_string": query.encode()}
        asyncio.run(Counted(None, calls)(scope, None, send))
        return json.loads(sent[1]["body"])

    def test_a_call_is_awaited_and_those_before_it_do_not_count(self):
        calls = Calls()
        for allowed in (True, False):
            calls.add(ROLE, "s3:GetObject", f"{BUCKET}/a", allowed)
        counted = [[ROLE, "s3:GetObject", f"{BUCKET}/a", allowed, 1] for allowed in (False, True)]
        self.assertEqual(self.asked("", calls), {"calls": counted})
        query = f"role={ROLE}&action=s3:GetObject&resource={BUCKET}/*&allowed=0"
        self.assertEqual(self.asked(f"{query}&since=0&seconds=60", calls), {"made": True})
        self.assertEqual(self.asked(f"{query}&since=1&seconds=0.01", calls), {"made": False})

        async def later():
            waiting = asyncio.create_task(calls.made(ROLE, "s3:GetObject", f"{BUCKET}/*", False, 1, 60))
            await asyncio.sleep(0)
            calls.add("another", "s3:GetObject", f"{BUCKET}/a", False)
            calls.add(ROLE, "s3:GetObject", f"{BUCKET}/a", True)
            self.assertFalse(waiting.done())
            await asyncio.to_thread(calls.add, ROLE, "s3:GetObject", f"{BUCKET}/b", False)
            return await waiting
        self.assertTrue(asyncio.run(later()))
        self.assertEqual(calls.waiting, [])


if __name__ == "__main__":
    unittest.main()

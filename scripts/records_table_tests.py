"""Tests of the API of records that are sent one at a time with the table in place of the queue, of the stream of that table, and of the
HTTP API before a function: infra/modules/records and infra/modules/submit are applied to an emulator and asked."""

import io
import json
import sys
import tempfile
import unittest
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent))

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from records_api_tests import KEY, Records, record
from rest_apis_tests import ACCOUNT, JSON, REGION

# What stores records, as far as this is about the stream; and what answers with the event that it is given.
WORKER = """
import json, os, boto3
def handler(event, context):
    if "Records" not in event:
        return {"statusCode": 202, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
    table, failed = boto3.client("dynamodb"), []
    for change in event["Records"]:
        row = change["dynamodb"]["NewImage"]
        if '"again"' in row["record"]["S"] and not os.path.exists(os.environ["MARK"]):
            open(os.environ["MARK"], "w").close()
            failed.append({"itemIdentifier": change["dynamodb"]["SequenceNumber"]})
            break
        table.update_item(TableName=os.environ["TABLE"], Key={"id": row["id"]}, UpdateExpression="SET #s = :s",
                          ExpressionAttributeNames={"#s": "state"}, ExpressionAttributeValues={":s": {"S": "STORED"}})
    return {"batchItemFailures": failed}
"""


class RecordsTableTest(Records):
    by = "table"

    @classmethod
    def behind(cls):
        super().behind()
        cls.requests = f"{cls.name}-requests"
        cls.table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{cls.requests}"
        cls.dynamodb.update_table(TableName=cls.requests, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
        cls.stream = cls.dynamodb.describe_table(TableName=cls.requests)["Table"]["LatestStreamArn"]
        policy = lambda *statements: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]})
        trust = policy({"Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}})
        cls.role = f"{cls.name}-worker"
        role = cls.iam.create_role(RoleName=cls.role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        cls.iam.put_role_policy(RoleName=cls.role, PolicyName="records", PolicyDocument=policy(
            {"Action": "dynamodb:UpdateItem", "Resource": cls.table},
            {"Action": [f"dynamodb:{action}" for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")], "Resource": f"{cls.table}/stream/*"}))
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as package:
            package.writestr("worker.py", WORKER)
        cls.awslambda = cls.session.client("lambda")
        made = cls.awslambda.create_function(
            FunctionName=cls.role, Role=role, Runtime="python3.11", Handler="worker.handler", Code={"ZipFile": held.getvalue()}, Timeout=20,
            Environment={"Variables": {"TABLE": cls.requests, "MARK": f"{cls.enterClassContext(tempfile.TemporaryDirectory())}/failed", "AWS_DEFAULT_REGION": REGION}})
        cls.function = {"name": cls.role, "arn": made["FunctionArn"]}

    @classmethod
    def variables(cls):
        return {**super().variables(), "TF_VAR_function": json.dumps(cls.function)}

    @classmethod
    def applied(cls):
        super().applied()
        cls.allow(cls.api["function"]["url"])

    def row(self, id_):
        return self.dynamodb.get_item(TableName=self.requests, Key={"id": {"S": id_}}, ConsistentRead=True)["Item"]

    def taken(self, body, answer):
        """The row that a record became, of which the answer tells; and the answer's headers."""
        status, headers, said = answer
        self.assertEqual(status, 202, said)
        id_ = json.loads(said)["id"]
        self.assertEqual((headers["location"], headers["retry-after"]), (f"/v1/status/{id_}", "1"))
        row = self.row(id_)
        self.assertEqual(row["record"]["S"].encode(), body)
        self.assertEqual(row.keys(), {"id", "record", "state", "keyed", "at"})
        return row, headers

    def test_a_second_plan_changes_nothing(self):
        self.assertIn("No changes.", self.terraform.said("plan", "-input=false", "-no-color", self.state))

    def test_a_record_arrives_byte_by_byte(self):
        ascii_text = "".join(map(chr, range(32, 128)))
        start = record(text="")
        for body in [
            record(text=ascii_text + "\t\n\r"), json.dumps({KEY: "ä😀 O'Neil & Söhne"}, ensure_ascii=False).encode(),
            b'{ "no \\"$id\\" #set":"a",\t"count" : 1.0e0,"count":2,\r\n "x":[ ] }\n', record(text="&+%20a+b%#end$context.stage ${x} \\' \\\\' '"),
            record(text='\u0001\u007f\u2028"}'), record(number=1) + b"  ", record(text="x" * (261_000 - len(start))),
            json.dumps({KEY: "a", "text": "😀" * 65_000}, ensure_ascii=False).encode(),
        ]:
            row, headers = self.taken(body, self.sent(body))
            self.assertEqual((row["id"]["S"], row["keyed"], row["state"]), (headers["x-amzn-requestid"], {"BOOL": False}, {"S": "ACCEPTED"}))
            self.assertEqual(len(row["at"]["N"]), 13)

    def test_the_status_is_there_at_once(self):
        _, headers = self.taken(record(), self.sent(record()))
        status, answered, said = self.asked("GET", headers["location"].removeprefix("/v1"))
        self.assertEqual((status, json.loads(said)["state"], answered["retry-after"]), (200, "ACCEPTED", "1"))
        self.problem(self.asked("GET", "/status/absent"), 404, title="Not Found", detail="unknown or not yet accepted")

    def test_a_key_of_the_callers_choice_makes_the_id(self):
        for name, key in (("Idempotency-Key", "a"), ("idempotency-key", "Order-17_x.y~z"), ("IDEMPOTENCY-KEY", "k" * 128)):
            row, _ = self.taken(record(), self.sent(record(), {name: key}))
            self.assertEqual((row["id"]["S"], row["keyed"]), (f"{self.api['key']['key']['id']}:{key}", {"BOOL": True}))
        row, _ = self.taken(record(), self.ask("POST", "/records", record(), {**JSON, "Idempotency-Key": "a"}, self.caller, self.api["iam"]["url"]))
        self.assertEqual(row["id"]["S"], f"{self.user}:a")

    def test_the_same_record_under_one_key_is_taken_once_whatever_became_of_it(self):
        key = {"Idempotency-Key": "same"}
        first, _ = self.taken(record(n=1), self.sent(record(n=1), key))
        self.assertEqual(self.taken(record(n=1), self.sent(record(n=1), key))[0], first)
        ended = {**first, "state": {"S": "STORED"}, "key": {"S": "a"}}
        self.dynamodb.put_item(TableName=self.requests, Item=ended)
        self.assertEqual(self.sent(record(n=1), key)[0], 202)
        self.assertEqual(self.row(first["id"]["S"]), ended)

    def test_another_record_under_one_key_is_refused_at_once(self):
        key = {"Idempotency-Key": "other"}
        first, _ = self.taken(record(n=1), self.sent(record(n=1), key))
        for body in (record(n=2), record(n=1) + b" "):
            self.problem(self.sent(body, key), 422, title="Unprocessable Content", detail="another record was sent under this Idempotency-Key")
        self.assertEqual(self.row(first["id"]["S"]), first)

    def test_a_hundred_at_once_with_one_key_are_one_row(self):
        bodies = [record(n=number % 2) for number in range(100)]
        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(lambda body: self.sent(body, {"Idempotency-Key": "crowd"})[0], bodies))
        row = self.row(f"{self.api['key']['key']['id']}:crowd")
        self.assertEqual(statuses, [202 if body.decode() == row["record"]["S"] else 422 for body in bodies])

    def test_a_key_of_another_form_is_refused(self):
        many = lambda: self.dynamodb.scan(TableName=self.requests, Select="COUNT")["Count"]
        before = many()
        for key in ("a b", 'a"},"x":{"S":"b', "a/b", "a:b", "k" * 129, "$context.stage", "O'Neil", "ä".encode().decode("latin-1")):
            self.problem(self.sent(record(), {"Idempotency-Key": key}), 400, title="Bad Request",
                         detail="Idempotency-Key has 1 to 128 letters, digits and signs of -._~")
        self.assertEqual(many(), before)

    def test_a_record_that_is_too_long_is_refused(self):
        over = 261_001 - len(record(text=""))
        for body in (record(text="x" * over), json.dumps({KEY: "a", "text": "😀" * 100_000}, ensure_ascii=False).encode(), record(text="x" * 3_000_000)):
            self.problem(self.sent(body), 413, title="Content Too Large", detail="a record has at most 261,000 bytes")
        self.problem(self.sent(record() + b" " * (10 * 1024 * 1024)), 413, title="Request Too Long", code="REQUEST_TOO_LARGE")

    def test_characters_that_the_queue_does_not_take_are_refused(self):
        self.problem(self.sent(json.dumps({KEY: "a\uffff"}, ensure_ascii=False).encode()), 400, title="Bad Request",
                     detail="a record cannot have the characters U+FFFE and U+FFFF, which JSON can escape")
        escaped = json.dumps({KEY: "a\uffff"}).encode()
        self.taken(escaped, self.sent(escaped))

    def test_what_is_no_record_is_refused(self):
        for body in (b"", b"{", b"[]", b"{}", record(count="one"), record() + b"x", record() + b',"id":"other"'):
            self.problem(self.sent(body), 400, title="Invalid request body", code="BAD_REQUEST_BODY")
        # Or the body would be a request of its own to the table.
        stolen = json.dumps({"TableName": f"{self.name}-items", "Key": {KEY: {"S": "b"}}}).encode()
        self.problem(self.asked("POST", "/records", stolen, {"content-type": "text/plain"}), 415, title="Unsupported Media Type")

    def test_what_is_behind_the_api_may_be_lost(self):
        self.problem(self.sent(record(), api="lost"), 502, detail="the table cannot be reached")

    def test_the_gateway_uses_the_rights_that_it_has(self):
        self.taken(record(), self.sent(record()))
        self.asked("GET", "/status/a")
        self.asked("GET", "/records/a")
        made = {(action, resource.split("/")[-1]) for role, action, resource, *_ in self.calls() if role == f"{self.name}-key-gateway"}
        self.assertEqual(made, {("dynamodb:UpdateItem", self.requests), ("dynamodb:GetItem", self.requests), ("dynamodb:GetItem", f"{self.name}-items")})

    # --- the stream

    def await_stored(self, since):
        """Waits until the worker has stored more records than these."""
        asked = urlencode({"role": self.role, "action": "dynamodb:UpdateItem", "resource": "*", "allowed": 1, "since": since, "seconds": 60})
        said = URLLib3Session(timeout=70).send(AWSRequest("GET", f"{self.endpoint}/_calls?{asked}").prepare()).text
        self.assertEqual(json.loads(said), {"made": True})

    def stored(self):
        return sum(many for role, action, _, allowed, many in self.calls() if (role, action, allowed) == (self.role, "dynamodb:UpdateItem", True))

    def test_a_record_reaches_the_function_by_the_stream(self):
        mapping = self.awslambda.create_event_source_mapping(
            FunctionName=self.role, EventSourceArn=self.stream, StartingPosition="LATEST", BatchSize=100, ParallelizationFactor=10,
            MaximumRetryAttempts=-1, FunctionResponseTypes=["ReportBatchItemFailures"],
            FilterCriteria={"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"]})}]})["UUID"]
        self.addCleanup(self.awslambda.delete_event_source_mapping, UUID=mapping)
        for number, body in enumerate([record(), record(text="again"), record(n=1), record(n=2), record(n=3)]):
            before = self.stored()
            answered, headers, said = self.sent(body, {"Idempotency-Key": f"stream-{number}"})
            self.assertEqual(answered, 202, said)
            self.await_stored(before)
            status, _, said = self.asked("GET", headers["location"].removeprefix("/v1"))
            self.assertEqual((status, json.loads(said)["state"]), (200, "STORED"))
        # What is sent again is not stored again, and what was stored is not either.
        before = self.stored()
        self.assertEqual(self.sent(record(), {"Idempotency-Key": "stream-0"})[0], 202)
        self.sent(record(), {"Idempotency-Key": "stream-last"})
        self.await_stored(before)
        self.assertEqual(self.stored(), before + 1)
        read = {action for role, action, resource, allowed, _ in self.calls() if (role, resource, allowed) == (self.role, self.stream, True)}
        self.assertEqual(read, {f"dynamodb:{action}" for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")})

    # --- the HTTP API before a function

    def submitted(self, method, path, body=b"", headers=(), key=None):
        return self.ask(method, path, body, headers, key, self.api["function"]["url"])

    def test_the_function_is_told_the_request(self):
        body = json.dumps({KEY: "ä😀&+%"}, ensure_ascii=False).encode()
        status, _, said = self.submitted("POST", "/records", body, {**JSON, "Idempotency-Key": "a"}, self.caller)
        event = json.loads(said)
        self.assertEqual((status, event["routeKey"], event["rawPath"], event["requestContext"]["stage"]), (202, "POST /records", "/v1/records", "v1"))
        self.assertEqual((event["body"].encode(), event["headers"]["idempotency-key"], event["isBase64Encoded"]), (body, "a", False))
        self.assertEqual(event["requestContext"]["authorizer"]["iam"]["userId"], self.user)
        for path, key, route, parameters in (("/status/AIDA:a", "/v1/status/AIDA:a", "GET /status/{id}", {"id": "AIDA:a"}), ("/records/b1", "/v1/records/b1", "GET /records/{key}", {"key": "b1"})):
            event = json.loads(self.submitted("GET", path, key=self.caller)[2])
            self.assertEqual((event["routeKey"], event["rawPath"], event["pathParameters"]), (route, key, parameters))

    def test_who_does_not_sign_or_asks_for_something_else_reaches_no_function(self):
        self.assertEqual(self.submitted("POST", "/records", record(), JSON)[0], 403)
        self.assertEqual(self.submitted("POST", "/records", record(), JSON, (self.caller[0], "x"))[0], 403)
        self.assertEqual(self.submitted("GET", "/other", key=self.caller)[0], 404)
        self.assertEqual(self.submitted("DELETE", "/records/a", key=self.caller)[0], 404)


if __name__ == "__main__":
    unittest.main()

"""Tests of the API of records that are sent one at a time: infra/modules/records is applied to an emulator and asked.

With FANFOLD_TEST_REST_ENDPOINT, the emulator that runs there is asked: docs/EMULATORS.md says what LocalStack answers otherwise.
"""

import json
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import yaml
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from records_document_tests import templated
from rest_apis_tests import ACCOUNT, JSON, REGION, Emulated
from rest_schema import reasons
from scratch import ROOT

# The field's name means something in JSON, in templates of Terraform and in Velocity.
KEY = 'no "$id" #set'
DOCUMENT = yaml.safe_load(templated("openapi.yaml", post="{}"))
SCHEMA = {"type": "object", "required": [KEY], "properties": {
    KEY: {"type": "string", "minLength": 3}, "count": {"type": "integer"}, "price": {"type": ["number", "null"]}, "any": True}}


def record(**fields):
    return json.dumps({KEY: "a", **fields}).encode()


class Records(Emulated):
    """An emulator with the API, which puts records where `by` says."""

    fixture, modules, by = ROOT / "scripts" / "records_api", ["api", "records", "submit"], "queue"

    @classmethod
    def behind(cls):
        cls.sqs, cls.dynamodb, cls.iam = (cls.session.client(name) for name in ("sqs", "dynamodb", "iam"))
        cls.queue = cls.sqs.create_queue(QueueName=cls.name)["QueueUrl"]
        for table, key in (("requests", "id"), ("items", KEY)):
            cls.dynamodb.create_table(
                TableName=f"{cls.name}-{table}", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}])
        cls.iam.create_user(UserName=cls.name)
        key = cls.iam.create_access_key(UserName=cls.name)["AccessKey"]
        cls.caller = (key["AccessKeyId"], key["SecretAccessKey"])
        cls.user = cls.iam.get_user(UserName=cls.name)["User"]["UserId"]

    @classmethod
    def variables(cls):
        behind = {"region": REGION, "account": ACCOUNT, "endpoint": cls.endpoint, "queue": cls.name, "requests": f"{cls.name}-requests",
                  "items": f"{cls.name}-items", "key_field": KEY}
        return {"TF_VAR_behind": json.dumps(behind), "TF_VAR_record_schema": json.dumps(SCHEMA), "TF_VAR_by": cls.by}

    @classmethod
    def applied(cls):
        super().applied()
        cls.allow(cls.api["iam"]["url"])
        get = lambda key: cls.session.client("apigateway").get_api_key(apiKey=key["id"], includeValue=True)["value"]
        cls.keys = {name: {"x-api-key": get(api["key"])} for name, api in cls.api.items() if api["key"]}

    def asked(self, method, path, body=b"", headers=None, api="key"):
        answer = self.ask(method, path, body, {**self.keys[api], **({} if headers is None else headers)}, at=self.api[api]["url"])
        self.described(method, path, answer)
        return answer

    def described(self, method, path, answer):
        """Checks that the document has such an answer, if it has such a request."""
        status, headers, said = answer
        known = [operations[method.lower()] for template, operations in DOCUMENT["paths"].items()
                 if method.lower() in operations and re.fullmatch(re.sub("{[^}]+}", "[^/]+", template), path)]
        for operation in known:
            self.assertIn(str(status), operation["responses"], f"{method} {path}: {said}")
            (media, content), = operation["responses"][str(status)]["content"].items()
            self.assertEqual(headers["content-type"], media, f"{method} {path}: {said}")
            model = lambda reference: DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
            self.assertEqual(reasons(content["schema"], json.loads(said), model), [], f"{method} {path}: {said}")

    def sent(self, body, headers=None, **how):
        return self.asked("POST", "/records", body, {**JSON, **(headers or {})}, **how)

    def problem(self, answer, status, **members):
        super().problem(answer, status, **members)
        self.assertEqual(json.loads(answer[2]).get("status", status), status)

    @classmethod
    def allow(cls, api):
        """Lets the user invoke an API, by its URL."""
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api.split('/')[-2]}/v1/*"
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}]}
        cls.iam.put_user_policy(UserName=cls.name, PolicyName=api.split("/")[-2], PolicyDocument=json.dumps(policy))

    def calls(self):
        return json.loads(URLLib3Session().send(AWSRequest("GET", f"{self.endpoint}/_calls").prepare()).text)["calls"]

    def status(self, id_, **attributes):
        self.dynamodb.put_item(TableName=f"{self.name}-requests", Item={"id": {"S": id_}, "at": {"N": "1700000000123"}, "digest": {"S": "d1"}, **attributes})


class RecordsApiTest(Records):
    def message(self, body, answer, stage="v1"):
        """The message in the queue that a record became, and its id, of which the answer tells."""
        status, headers, said = answer
        self.assertEqual(status, 202, said)
        text = self.queued()["Body"]
        message = json.loads(text)
        id_ = message["id"]
        self.assertEqual(text, f'{{"v":1,"id":"{id_}","keyed":{json.dumps(message["keyed"])},"at":{message["at"]},"record":{body.decode()}}}')
        self.assertEqual((json.loads(said), headers["location"], headers["retry-after"]), ({"id": id_}, f"/{stage}/status/{id_}", "1"))
        return message, headers

    def test_a_second_plan_changes_nothing(self):
        self.assertIn("No changes.", self.terraform.said("plan", "-input=false", "-no-color", self.state))

    def test_a_record_arrives_byte_by_byte(self):
        ascii_text = "".join(map(chr, range(32, 128)))
        for body in [
            record(text=ascii_text + "\t\n\r"), json.dumps({KEY: "ä😀 O'Neil & Söhne"}, ensure_ascii=False).encode(),
            b'{ "no \\"$id\\" #set":"a",\t"count" : 1.0e0,"count":2,\r\n "x":[ ] }\n', record(text="&Action=DeleteQueue&MessageBody=x=y+z%20#end$context.stage"),
            record(text='\u0001\u007f\u2028"}'), record(number=1) + b"  ", record(text="x" * 900_000),
        ]:
            message, headers = self.message(body, self.sent(body))
            self.assertEqual((message["id"], message["keyed"]), (headers["x-amzn-requestid"], False))
            self.assertEqual(len(str(message["at"])), 13)

    def test_a_key_of_the_callers_choice_makes_the_id(self):
        for name, key in (("Idempotency-Key", "a"), ("idempotency-key", "Order-17_x.y~z"), ("IDEMPOTENCY-KEY", "k" * 128)):
            message, _ = self.message(record(), self.sent(record(), {name: key}))
            self.assertEqual((message["id"], message["keyed"]), (f"{self.api['key']['key']['id']}:{key}", True))
        message, _ = self.message(record(), self.ask("POST", "/records", record(), {**JSON, "Idempotency-Key": "a"}, self.caller, self.api["iam"]["url"]))
        self.assertEqual((message["id"], message["keyed"]), (f"{self.user}:a", True))

    def test_a_session_of_a_role_is_a_caller_of_its_own(self):
        policy = lambda **statement: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
        trust = policy(Action="sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
        role = self.iam.create_role(RoleName=f"{self.name}-caller", AssumeRolePolicyDocument=trust)["Role"]
        self.iam.put_role_policy(RoleName=role["RoleName"], PolicyName="invoke", PolicyDocument=policy(Action="execute-api:Invoke", Resource="*"))
        session = self.session.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="a+b=c,d.e@f-g")["Credentials"]
        caller = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        url = self.api["iam"]["url"]
        message, headers = self.message(record(), self.ask("POST", "/records", record(), {**JSON, "Idempotency-Key": "k~1"}, caller, url))
        self.assertEqual(message["id"], f"{role['RoleId']}:a+b=c,d.e@f-g:k~1")
        self.status(message["id"], state={"S": "ACCEPTED"})
        status, _, said = self.ask("GET", headers["location"].removeprefix("/v1"), key=caller, at=url)
        self.assertEqual((status, json.loads(said)["id"]), (200, message["id"]), said)

    def test_a_key_of_another_form_is_refused(self):
        for key in ("a b", 'a","keyed":false,"id":"b', "a/b", "a:b", "k" * 129, "$context.stage", "O'Neil", "ä".encode().decode("latin-1")):
            self.problem(self.sent(record(), {"Idempotency-Key": key}), 400, title="Bad Request",
                         detail="Idempotency-Key has 1 to 128 letters, digits and signs of -._~")
        self.assertEqual(self.sqs.receive_message(QueueUrl=self.queue).get("Messages", []), [])

    def test_what_is_no_record_is_refused(self):
        for body in (b"", b"{", b"[]", b'"a"', b"{}", b'{"no \\"$id\\" #set":1}', record(count="one"), record() + b"x", record() + b',"id":"other"', b'{"no \\"$id\\" #set":"a","n":NaN}', b"\xff"):
            self.problem(self.sent(body), 400, title="Invalid request body", code="BAD_REQUEST_BODY")
        _, _, said = self.sent(b"{}")
        self.assertEqual(json.loads(said)["detail"], '[object has missing required properties (["no \\"$id\\" #set"])]')

    def test_of_the_schema_only_what_models_know_is_checked_at_once(self):
        for fields in ({"count": 1.0}, {"count": 1.5}, {"price": "free"}, {"any": []}, {KEY: ""}):
            self.message(record(**fields), self.sent(record(**fields)))

    def test_a_record_that_is_too_long_is_refused(self):
        self.problem(self.sent(record(text="x" * 1_100_000)), 413, title="Content Too Large")
        self.problem(self.sent(record() + b" " * (10 * 1024 * 1024)), 413, title="Request Too Long", code="REQUEST_TOO_LARGE")

    def test_characters_that_the_queue_does_not_take_are_refused(self):
        body = json.dumps({KEY: "a\uffff"}, ensure_ascii=False).encode()
        self.problem(self.sent(body), 400, title="Bad Request")
        escaped = json.dumps({KEY: "a\uffff"}).encode()
        self.message(escaped, self.sent(escaped))

    def test_another_type_is_not_supported(self):
        self.problem(self.sent(record(), {"content-type": "text/plain"}), 415, title="Unsupported Media Type")
        # Or the body would be sent to the table in place of the template's.
        for path in ("/status/a", "/records/a"):
            stolen = json.dumps({"TableName": f"{self.name}-items", "Key": {KEY: {"S": "b"}}}).encode()
            self.problem(self.asked("GET", path, stolen, {"content-type": "text/plain"}), 415, title="Unsupported Media Type")

    def test_a_status_is_looked_up(self):
        seen = set()
        for state, more, told in [
            ("ACCEPTED", {}, {"conflict": False}), ("STORED", {"key": {"S": "O'Neil \"1\" ä😀\\"}}, {"key": "O'Neil \"1\" ä😀\\", "conflict": False}),
            ("FAILED", {"reason": {"S": "count: 'one' is no\nnumber"}}, {"reason": "count: 'one' is no\nnumber", "conflict": False}),
            ("STORED", {"key": {"S": "a"}, "conflictAt": {"N": "1700000000124"}}, {"key": "a", "conflict": True}),
        ]:
            self.status("r-1", state={"S": state}, **more)
            status, headers, said = self.asked("GET", "/status/r-1")
            self.assertEqual((status, json.loads(said)), (200, {"id": "r-1", "state": state, "acceptedAt": 1700000000123, **told}))
            self.assertEqual(headers.get("retry-after"), "1" if state == "ACCEPTED" else None)
            self.assertRegex(headers["etag"], '^"[!-~]+"$')
            self.assertEqual(headers["content-type"], "application/json")
            self.assertEqual(self.asked("GET", "/status/r-1")[1]["etag"], headers["etag"])
            seen.add(headers["etag"])
        self.assertEqual(len(seen), 4)

    def test_an_id_may_be_encoded_or_not(self):
        id_ = "AROAX:a+b=c,d.e@f-g_h:k~1"
        self.status(id_, state={"S": "STORED"}, key={"S": "a"})
        for path in (id_, "AROAX%3Aa%2Bb%3Dc%2Cd.e%40f-g_h%3ak%7E1"):
            status, _, said = self.asked("GET", f"/status/{path}")
            self.assertEqual((status, json.loads(said)["id"]), (200, id_))

    def test_a_status_that_is_absent_is_not_found(self):
        answer = self.asked("GET", "/status/absent")
        self.problem(answer, 404, title="Not Found", detail="unknown or not yet accepted")
        self.assertEqual(answer[1]["retry-after"], "1")

    def test_a_record_is_looked_up(self):
        for key, path in (("a", "a"), ("b'1", "b'1"), ('d"3 $x #set', "d%223%20%24x%20%23set"), ("ä😀e\\4", "%C3%A4%F0%9F%98%80e%5C4")):
            item = {KEY: {"S": key}, "n": {"N": "9.5"}, "m": {"M": {"l": {"L": [{"BOOL": True}, {"NULL": True}]}}}}
            self.dynamodb.put_item(TableName=f"{self.name}-items", Item=item)
            status, headers, said = self.asked("GET", f"/records/{path}")
            self.assertEqual((status, json.loads(said), headers["content-type"]), (200, item, "application/json"), said)
        self.problem(self.asked("GET", "/records/absent"), 404, title="Not Found", detail="there is no record with this key")

    def test_what_cannot_be_a_key_is_refused(self):
        self.problem(self.asked("GET", f"/records/{'k' * 2049}"), 400, title="Bad Request")

    def test_who_is_not_let_in_is_refused(self):
        for method, path in (("POST", "/records"), ("GET", "/status/a"), ("GET", "/records/a")):
            ask = lambda headers, api, **how: self.ask(method, path, record() if method == "POST" else b"", {**JSON, **headers}, at=self.api[api]["url"], **how)
            self.problem(ask({}, "key"), 403, title="Forbidden")
            self.problem(ask({"x-api-key": "wrong"}, "key"), 403, title="Forbidden")
            self.problem(ask(self.keys["lost"], "key"), 403, title="Forbidden")
            self.problem(ask(self.keys["key"], "iam"), 403, title="Missing Authentication Token")
            self.problem(ask({}, "iam", key=(self.caller[0], "x")), 403, code="INVALID_SIGNATURE")
            self.assertNotEqual(ask({}, "iam", key=self.caller)[0], 403)
            if method == "POST":
                self.queued()
        self.problem(self.asked("GET", "/other"), 403, title="Missing Authentication Token")

    def test_who_asks_too_often_is_told_so(self):
        self.assertEqual(self.asked("GET", "/status/a", api="tight")[0], 404)
        answer = self.asked("GET", "/status/a", api="tight")
        self.problem(answer, 429, title="Too Many Requests")
        self.assertEqual(answer[1]["retry-after"], "1")

    def test_what_is_behind_the_api_may_be_lost(self):
        self.problem(self.sent(record(), api="lost"), 502, detail="the queue cannot be reached")
        self.problem(self.asked("GET", "/status/a", api="lost"), 502, detail="the table cannot be reached")

    def test_the_gateway_uses_the_rights_that_it_has(self):
        self.message(record(), self.sent(record()))
        self.asked("GET", "/status/a")
        self.asked("GET", "/records/a")
        made = {(action, resource.split(":")[-1]) for role, action, resource, *_ in self.calls() if role == f"{self.name}-key-gateway"}
        table = f"table/{self.name}"
        self.assertEqual(made, {("sqs:SendMessage", self.name), ("dynamodb:GetItem", f"{table}-requests"), ("dynamodb:GetItem", f"{table}-items")})


if __name__ == "__main__":
    unittest.main()

"""Tests of a REST API that one OpenAPI document defines: Terraform applies it to an emulator, and requests go through it.

With FANFOLD_TEST_REST_ENDPOINT, to the emulator that runs there: docs/EMULATORS.md says what LocalStack answers otherwise.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import uuid
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

import terraform
from scratch import ROOT

REGION, ACCOUNT = "us-east-1", "000000000000"
WORK = ROOT / "target" / "test" / "rest-apis"
EMULATOR = [sys.executable, str(ROOT / "scripts" / "emulator.py")]
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "apigateway.amazonaws.com"}}
JSON = {"content-type": "application/json"}


class Emulated(unittest.TestCase):
    """An emulator, what stands behind the API, and the API."""

    fixture, modules = ROOT / "scripts" / "rest_api", []

    @classmethod
    def setUpClass(cls):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_"))}
        cls.enterClassContext(mock.patch.dict(os.environ, {
            **clean, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull}, clear=True))
        cls.endpoint = os.environ.get("FANFOLD_TEST_REST_ENDPOINT")
        if not cls.endpoint:
            cls.addClassCleanup(cls.emulator, "stop")
            cls.emulator("stop")
            cls.emulator("start", "--port", "0", "--auth")
            cls.endpoint = json.loads((WORK / "emulator.json").read_text())["endpoint"]
        os.environ["AWS_ENDPOINT_URL"] = cls.endpoint
        cls.session = boto3.Session(region_name=REGION)
        cls.name = f"rest-{uuid.uuid4().hex[:8]}"
        cls.key = uuid.uuid4().hex
        cls.behind()
        cls.applied()

    @classmethod
    def emulator(cls, *command):
        subprocess.run([*EMULATOR, *command, "--state", str(WORK), "--venv", str(ROOT / "target" / "ministack")], check=True, capture_output=True)

    @classmethod
    def behind(cls):
        cls.sqs, cls.dynamodb, iam = (cls.session.client(name) for name in ("sqs", "dynamodb", "iam"))
        cls.queue = cls.sqs.create_queue(QueueName=cls.name)["QueueUrl"]
        string = lambda name: {"AttributeName": name, "AttributeType": "S"}
        hashed = lambda name: [{"AttributeName": name, "KeyType": "HASH"}]
        cls.dynamodb.create_table(
            TableName=cls.name, BillingMode="PAY_PER_REQUEST", KeySchema=hashed("pk"), AttributeDefinitions=[string("pk"), string("owner")],
            GlobalSecondaryIndexes=[{"IndexName": "owner", "KeySchema": hashed("owner"), "Projection": {"ProjectionType": "ALL"}}])
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{cls.name}"
        rights = [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{cls.name}"},
                  {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], "Resource": table},
                  {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": f"{table}/index/*"}]
        iam.create_user(UserName=cls.name)
        key = iam.create_access_key(UserName=cls.name)["AccessKey"]
        cls.caller = (key["AccessKeyId"], key["SecretAccessKey"])
        elsewhere = {**TRUST, "Principal": {"Service": "lambda.amazonaws.com"}}
        cls.document = {"region": REGION, "account": ACCOUNT, "queue": cls.name, "table": cls.name}
        for role, trust, statements in (("gateway", TRUST, rights), ("powerless", TRUST, []), ("distrustful", elsewhere, rights)):
            policy = lambda them: json.dumps({"Version": "2012-10-17", "Statement": them})
            made = iam.create_role(RoleName=f"{cls.name}-{role}", AssumeRolePolicyDocument=policy([trust]))
            cls.document[role] = made["Role"]["Arn"]
            if statements:
                iam.put_role_policy(RoleName=f"{cls.name}-{role}", PolicyName="rights", PolicyDocument=policy(statements))

    @classmethod
    def applied(cls):
        scratch = Path(cls.enterClassContext(tempfile.TemporaryDirectory())).resolve()
        infra = scratch / "infra"
        shutil.copytree(cls.fixture, infra)
        for module in cls.modules:
            shutil.copytree(ROOT / "infra" / "modules" / module, infra / "modules" / module)
        shutil.copy(ROOT / "infra" / "versions.tf", infra)
        for patch in (mock.patch.object(terraform, "INFRA", infra), mock.patch.object(terraform, "LOCK_FILE", infra / ".terraform.lock.hcl")):
            cls.enterClassContext(patch)
        os.environ.update(cls.variables())
        # Not in the scratch folder, so that a provider that is downloaded stays.
        cls.terraform = terraform.Terraform(WORK / "terraform")
        cls.terraform.init()
        cls.state = f"-state={scratch / 'terraform.tfstate'}"
        cls.terraform.said("apply", "-auto-approve", "-input=false", "-no-color", cls.state)
        cls.api = json.loads(cls.terraform.said("output", "-json", cls.state))["api"]["value"]

    @classmethod
    def variables(cls):
        return {"TF_VAR_document": json.dumps(cls.document), "TF_VAR_key": cls.key}

    def ask(self, method, path, body=b"", headers=(), key=None, at=None):
        """The status, headers and body of the answer to a request, signed with this access key and secret if there are any."""
        url = (at or f"{self.endpoint}/_aws/execute-api/{self.api['id']}/{self.api['stage']}") + path
        request = AWSRequest(method, url, dict(headers), body)
        if key:
            SigV4Auth(Credentials(*key), "execute-api", REGION).add_auth(request)
        answer = URLLib3Session().send(request.prepare())
        return answer.status_code, answer.headers, answer.text

    def queued(self):
        """The one message in the queue, which is then empty."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        self.assertEqual(len(found), 1)
        return found[0]

    def problem(self, answer, status, **members):
        """Checks problem details: https://www.rfc-editor.org/rfc/rfc9457."""
        got, headers, text = answer
        said = json.loads(text)
        self.assertEqual((got, headers["content-type"]), (status, "application/problem+json"), text)
        self.assertEqual(said.get("instance"), headers["x-amzn-requestid"], text)
        self.assertEqual({name: said.get(name) for name in members}, members)


class RestApiTest(Emulated):
    def test_a_second_plan_changes_nothing(self):
        plan = self.terraform.said("plan", "-input=false", "-no-color", self.state)
        self.assertIn("No changes.", plan)

    def test_a_body_arrives_in_the_queue_as_it_was_sent(self):
        ascii_text = "\t\n\r" + "".join(map(chr, range(32, 128)))
        for body in [
            json.dumps({"kind": ascii_text}), json.dumps({"kind": "ä😀 O'Neil & Söhne"}, ensure_ascii=False), '{"kind":"a", "kind" : "b"}',
            '{\n\t"kind": "a+b%20c&Action=DeleteQueue&MessageBody=x=y"\r\n}', '{"kind":"$context.stage #if(1) ${x} \\u0041","n":1e400}',
            json.dumps({"kind": "x" * 200_000}),
        ]:
            status, headers, said = self.ask("POST", "/jobs", body.encode(), JSON)
            self.assertEqual(status, 202, said)
            request = json.loads(said)["id"]
            self.assertEqual(headers["x-amzn-requestid"], request)
            self.assertEqual((headers["location"], headers["retry-after"]), (f"/v1/jobs/{request}", "1"))
            message = self.queued()
            self.assertEqual(message["Body"], body)
            self.assertEqual(message["MessageId"], json.loads(said)["message"])
            self.assertEqual(message["MessageAttributes"]["request"]["StringValue"], request)

    def test_what_the_queue_does_not_take_is_answered_by_its_status(self):
        self.assertEqual(self.ask("POST", "/jobs", b'{"kind":"a"}\x01', {"content-type": "application/json"})[0], 400)
        self.assertEqual(self.ask("POST", "/jobs", json.dumps({"kind": "x", "more": "x" * 1_100_000}), JSON)[::2],
                         (400, '{"title":"the queue does not take this"}'))

    def test_an_item_is_looked_up(self):
        for key, path in (("a", "a"), ("b'1", "b'1"), ("c-2_.~", "c-2_.~"), ('d"3', "d%223"), ("ä😀", "%C3%A4%F0%9F%98%80"), ("e\\4", "e%5C4")):
            with self.subTest(key):
                self.dynamodb.put_item(TableName=self.name, Item={"pk": {"S": key}, "version": {"N": "7"}, "owner": {"S": f"{key} o'w\"n"}})
                status, headers, said = self.ask("GET", f"/jobs/{path}")
                self.assertEqual((status, json.loads(said)), (200, {"id": key, "version": 7}))
                self.assertEqual(headers["etag"], "7")
                status, _, said = self.ask("GET", f"/jobs?owner={path}+o%27w%22n")
                self.assertEqual((status, json.loads(said)), (200, {"jobs": [{"id": key}]}))
        self.assertEqual(self.ask("GET", "/jobs?owner=none")[::2], (200, '{"jobs":[]}'))

    def test_an_item_that_is_absent_is_not_found(self):
        self.problem(self.ask("GET", "/jobs/absent"), 404, title="unknown or not yet accepted")

    def test_a_condition_that_fails_is_a_conflict(self):
        self.assertEqual(self.ask("PUT", "/jobs/new", b"{}", JSON)[0], 201)
        self.assertEqual(self.ask("PUT", "/jobs/new", b"{}", JSON)[::2], (409, '{"title":"there already"}'))
        self.assertEqual(self.ask("PATCH", "/jobs/new", b"{}", JSON)[::2], (200, '{"version":2}'))

    def test_a_body_that_the_model_refuses_is_a_bad_request(self):
        for body, detail in [
            ("{}", '[object has missing required properties (["kind"])]'),
            ('{"kind":1}', '[instance type (integer) does not match any allowed primitive type (allowed: ["string"])]'),
            ('{"kind":"","line":{"number":0,"other":1}}', '[string "" is too short (length: 0, required minimum: 1), object instance has properties which are '
             'not allowed by the schema: ["other"], numeric instance is lower than the required minimum (minimum: 1, found: 0)]'),
            ("{", ""), ("", ""),
        ]:
            self.problem(self.ask("POST", "/jobs", body.encode(), JSON), 400, title="Invalid request body", detail=detail)

    def test_a_parameter_that_is_missing_is_a_bad_request(self):
        self.problem(self.ask("GET", "/jobs"), 400, title="Missing required request parameters: [owner]", code="BAD_REQUEST_PARAMETERS")

    def test_a_type_without_a_template_is_not_supported(self):
        self.problem(self.ask("POST", "/jobs", b"a", {"content-type": "text/plain"}), 415, title="Unsupported Media Type", code="UNSUPPORTED_MEDIA_TYPE")
        self.assertEqual(self.ask("POST", "/jobs", b'{"kind":"a"}', {"content-type": "application/json; charset=utf-8"})[0], 202)
        self.queued()

    def test_a_body_of_more_than_ten_megabytes_is_too_large(self):
        self.problem(self.ask("POST", "/jobs", b" " * (10 * 1024 * 1024 + 1), JSON), 413, title="Request Too Long", code="REQUEST_TOO_LARGE")

    def test_what_is_not_there_is_forbidden(self):
        self.problem(self.ask("GET", "/other"), 403, title="Missing Authentication Token", code="MISSING_AUTHENTICATION_TOKEN")

    def test_who_has_no_key_is_refused(self):
        self.problem(self.ask("GET", "/keyed"), 403, title="Forbidden", code="INVALID_API_KEY")
        self.problem(self.ask("GET", "/keyed", headers={"x-api-key": "wrong"}), 403, title="Forbidden")

    def test_who_asks_too_often_is_told_so(self):
        for plan, title in (("throttled", "Too Many Requests"), ("quota", "Limit Exceeded")):
            headers = {"x-api-key": f"{self.key}-{plan}", "X-Asked": "why"}
            self.assertEqual(self.ask("GET", "/keyed", headers=headers)[::2], (200, '{"hello":"hello"}'))
            answer = self.ask("GET", "/keyed", headers=headers)
            self.problem(answer, 429, title=title)
            self.assertEqual((answer[1]["retry-after"], answer[1]["x-path"]), ("1", "why"))

    def test_who_does_not_sign_or_may_not_is_refused(self):
        self.problem(self.ask("GET", "/signed"), 403, title="Missing Authentication Token", code="MISSING_AUTHENTICATION_TOKEN")
        self.problem(self.ask("GET", "/signed", headers={"authorization": "Bearer a"}), 403)
        self.problem(self.ask("GET", "/signed", key=("AKIAUNKNOWN", "x")), 403, title="The security token included in the request is invalid.")
        self.problem(self.ask("GET", "/signed", key=(self.caller[0], "x")), 403, code="INVALID_SIGNATURE")
        self.problem(self.ask("GET", "/signed", key=self.caller), 403, code="ACCESS_DENIED")
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api['id']}/v1/GET/signed"
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}]}
        self.session.client("iam").put_user_policy(UserName=self.name, PolicyName="invoke", PolicyDocument=json.dumps(policy))
        self.assertEqual(self.ask("GET", "/signed", key=self.caller)[::2], (200, '{"hello":"hello"}'))

    def test_a_role_without_the_right_is_refused_by_the_service(self):
        self.assertEqual(self.ask("POST", "/powerless", b"{}", JSON)[::2], (502, '{"title":"the queue cannot be reached"}'))
        self.assertEqual(self.ask("GET", "/powerless")[::2], (502, '{"title":"the table cannot be reached"}'))

    def test_the_calls_of_the_roles_are_counted(self):
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        for path, role, allowed in (("/jobs", "gateway", True), ("/powerless", "powerless", False)):
            self.ask("POST", path, b'{"kind":"a"}', JSON)
            calls = json.loads(URLLib3Session().send(AWSRequest("GET", f"{self.endpoint}/_calls").prepare()).text)["calls"]
            self.assertIn([f"{self.name}-{role}", "sqs:SendMessage", queue, allowed], [call[:4] for call in calls])
        self.queued()

    def test_a_role_that_cannot_be_assumed_and_a_template_that_fails_are_errors_of_the_api(self):
        for method, path in (("POST", "/distrustful"), ("GET", "/broken")):
            self.problem(self.ask(method, path, b"{}" if method == "POST" else b"", JSON), 500, title="Internal server error", code="API_CONFIGURATION_ERROR")


if __name__ == "__main__":
    unittest.main()

"""Tests of the document of records that are sent one at a time, without an emulator: what its templates make of what an emulator
does not answer, and of many records and keys.

Run them with the Python that `emulator.py python` prints.
"""

import json
import random
import re
import sys
import unittest
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qsl, quote

sys.path.insert(0, str(Path(__file__).parent))

import yaml

import rest_document
from rest_apis import Headers
from rest_templates import rendered
from scratch import ROOT

VALUES = {"path": "records", "name": '"a"', "partition": "aws", "region": "eu-central-1", "account": "123456789012", "role": "arn:aws:iam::123456789012:role/a",
          "queue": "a", "requests": "r", "items": "i", "key_field": '"id"', "record": '{"type":"object"}', "caller": "apiKeyId",
          "longest": "so many bytes", "scheme": '{"type":"apiKey","name":"x-api-key","in":"header"}'}
REQUEST = "0b7a5c9e-0000-0000-0000-000000000000"
IDENTITY = {"apiKeyId": "a1b2"}
DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
REFUSED = json.dumps({"Error": {"Code": "MissingParameter", "Message": "The request must contain the parameter MessageBody."}})


def templated(name, **values):
    """What Terraform's templatefile makes of a template whose directives ask for nothing but whether there are items."""
    known, text = {**VALUES, **values}, (ROOT / "infra" / "modules" / "api" / name).read_text()
    chosen = lambda match: match[2] if (known["items"] == "") == (match[1] == "==") else ""
    text = re.sub(r'%\{ if items (==|!=) "" ~\}\n(.*?)%\{ endif ~\}\n', chosen, text, flags=re.S)
    text = re.sub(r'%\{ if items == "" \}(.*?)%\{ endif \}', lambda match: match[1] if known["items"] == "" else "", text)
    return re.sub(r"\$\$\{|\$\{(\w+)\}", lambda match: known[match[1]] if match[1] else "${", text)


def records_and_keys(chosen):
    """Records, as their texts, each with a key or None."""
    # Of all planes, and often of what means something in a form, in JSON or in a template.
    signs = lambda: "".join(chosen.choice(['&=+%;#$"\'\\/{}[]:, \n\t', "aZ09-._~", chr(chosen.choice([chosen.randrange(32, 0xD800), chosen.randrange(0xE000, 0xFFFE), chosen.randrange(0x10000, 0x110000)]))])
                            for _ in range(chosen.randrange(12)))
    for _ in range(2000):
        record = '{ "a":1,"a" : %s,\r\n\t"b":[ ]}' % json.dumps(signs(), ensure_ascii=chosen.random() < 0.5)
        yield record, "".join(chosen.choice("aZ09-._~") for _ in range(chosen.randrange(1, 20))) if chosen.random() < 0.5 else None


class EventsTest(unittest.TestCase):
    def test_events_have_a_path_of_their_own_and_are_not_shown(self):
        post = json.dumps(yaml.safe_load(templated("post_queue.yaml")))
        text = templated("openapi.yaml", post=post, path="events", items="")
        operations = {(one.method, one.path) for one in rest_document.read(text, "api").operations}
        self.assertEqual(operations, {("POST", "/events"), ("GET", "/status/{id}")})
        taken = yaml.safe_load(text)["paths"]["/events"]["post"]["requestBody"]["content"]
        self.assertEqual(list(taken), ["application/json", "application/cloudevents+json"])


class DocumentCase(unittest.TestCase):
    """The document with which records are put where `by` says."""

    by = "queue"

    @classmethod
    def setUpClass(cls):
        post = json.dumps(yaml.safe_load(templated(f"post_{cls.by}.yaml")))
        cls.text = templated("openapi.yaml", post=post)
        cls.operations = {(one.method, one.path): one for one in rest_document.read(cls.text, "api").operations}

    def request(self, key=None, params=()):
        parameters = {"path": dict(params), "querystring": {}, "header": {} if key is None else {"idempotency-key": key}}
        context = {"requestId": REQUEST, "requestTimeEpoch": 1700000000123, "stage": "v1", "identity": IDENTITY,
                   "responseOverride": {"header": {}}}
        return parameters, context

    def sent(self, operation, body="", key=None, params=()):
        template = self.operations[operation].integration["requestTemplates"]["application/json"]
        return rendered(template, body, *self.request(key, params), {})

    def answered(self, operation, status, body, key=None):
        """What an API answers to a status and a body of what is behind it: its status, headers and the members of its body."""
        responses = self.operations[operation].integration_responses
        code, response = next((code, one) for code, one in responses.items() if one["selectionPattern"] and re.fullmatch(one["selectionPattern"], str(status)))
        parameters, context = self.request(key)
        text = rendered(response["responseTemplates"]["application/json"], body, parameters, context, {})
        headers = Headers({name.removeprefix("method.response.header."): value.strip("'") for name, value in response["responseParameters"].items()})
        for name, value in context["responseOverride"]["header"].items():
            headers.set(name, value)
        said = json.loads(text)
        status = context["responseOverride"].get("status") or int(code)
        self.assertIn(str(status), self.operations[operation].responses, "it is described")
        self.assertEqual((said["status"], said["instance"], headers.all["Content-Type"]), (status, REQUEST, "application/problem+json"))
        return status, headers.all, said


class DocumentTest(DocumentCase):
    def test_what_sqs_refuses_is_told_apart(self):
        for status, code, message, expected in [
            (400, "InvalidMessageContents", "Invalid characters found", 400), (400, "InvalidParameterValue", "Reason: something new", 400),
            (400, "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 262144 bytes.", 413),
            (400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", 502), (403, "AccessDenied", "no", 502),
            (400, "OverLimit", "Too many", 502), (400, "KmsAccessDenied", "no", 502), (400, "KmsThrottled", "slow down", 503),
            (403, "RequestThrottled", "slow down", 503), (404, "NotFound", "no", 502), (500, "InternalFailure", "", 503), (503, "ServiceUnavailable", "", 503),
        ]:
            body = json.dumps({"Error": {"Code": code, "Message": message, "Type": "Sender"}, "RequestId": "r"})
            got, headers, _ = self.answered(("POST", "/records"), status, body)
            self.assertEqual((got, headers.get("Retry-After")), (expected, "1" if expected == 503 else None), code)
        self.assertEqual(self.answered(("POST", "/records"), 502, "<html>")[0], 503)

    def test_what_dynamodb_refuses_is_told_apart(self):
        for operation in (("GET", "/status/{id}"), ("GET", "/records/{key}")):
            for status, kind, expected in [
                (400, "ResourceNotFoundException", 502), (400, "AccessDeniedException", 502), (400, "ValidationException", 400),
                (400, "ProvisionedThroughputExceededException", 503), (400, "ThrottlingException", 503), (400, "RequestLimitExceeded", 503),
                (500, "InternalServerError", 503), (503, "ServiceUnavailable", 503),
            ]:
                got, headers, _ = self.answered(operation, status, json.dumps({"__type": f"{DYNAMODB}{kind}", "message": "no"}))
                self.assertEqual((got, headers.get("Retry-After")), (expected, "1" if expected == 503 else None), kind)
            self.assertEqual(self.answered(operation, 400, "{}")[0], 502)

    def test_a_message_is_what_the_worker_reads(self):
        for record, key in records_and_keys(random.Random(1)):
            form = dict(parse_qsl(self.sent(("POST", "/records"), record, key), strict_parsing=True))
            id_, keyed = (f"a1b2:{key}", "true") if key else (REQUEST, "false")
            self.assertEqual(form, {"Action": "SendMessage", "MessageBody": f'{{"v":1,"id":"{id_}","keyed":{keyed},"at":1700000000123,"record":{record}}}'})

    def test_a_key_of_another_form_makes_no_message(self):
        for key in (" ", "a b", 'a"', "a'", "a\\", "a/b", "a:b", "a%20", "a+b", "$x", "ä", "k" * 129):
            self.assertEqual(self.sent(("POST", "/records"), "{}", key), "Action=SendMessage")
            got, _, said = self.answered(("POST", "/records"), 400, REFUSED, key)
            self.assertEqual((got, said["detail"]), (400, "Idempotency-Key has 1 to 128 letters, digits and signs of -._~"))

    def test_a_caller_without_an_id_has_no_keys(self):
        with mock.patch.dict(IDENTITY, clear=True):
            self.assertEqual(self.sent(("POST", "/records"), "{}", "a"), "Action=SendMessage")
            got, _, said = self.answered(("POST", "/records"), 400, REFUSED, "a")
            self.assertEqual((got, said["detail"]), (500, "it is not known whose Idempotency-Key this is"))

    def test_whatever_is_looked_up_is_one_key_of_one_table(self):
        chosen = random.Random(2)
        for _ in range(2000):
            text = "".join(chosen.choice('"\'\\{}:,#$%/+ xä😀') for _ in range(chosen.randrange(1, 12)))
            for operation, table, key, name in ((("GET", "/status/{id}"), "r", "id", "id"), (("GET", "/records/{key}"), "i", "id", "key")):
                # Decoded or not, as it is not known which AWS does.
                for given in (text, quote(text, safe="")):
                    asked = json.loads(self.sent(operation, params={name: given}))
                    self.assertEqual(asked, {"TableName": table, "ConsistentRead": True, "Key": {key: {"S": text}}}, given)


class TableDocumentTest(DocumentCase):
    by = "table"

    def row(self, record, key=None):
        """The row that a record asks for, of what UpdateItem is asked; without an id if none is."""
        asked = json.loads(self.sent(("POST", "/records"), record, key))
        names, values = asked.pop("ExpressionAttributeNames"), asked.pop("ExpressionAttributeValues")
        # A number is no id either.
        id_ = asked.pop("Key")["id"].get("S", "too long")
        update = asked.pop("UpdateExpression")
        assigned = dict(re.findall(r"(#\w+) = if_not_exists\(\1, (:\w+)\)", update))
        self.assertEqual(update, "SET " + ", ".join(f"{name} = if_not_exists({name}, {value})" for name, value in assigned.items()))
        self.assertEqual(asked, {"TableName": "r", "ConditionExpression": "attribute_not_exists(id) OR #record = :record"})
        self.assertEqual((names["#record"], values.keys()), ("record", set(assigned.values())))
        return id_, {names[name]: values[value] for name, value in assigned.items()}

    def test_a_row_is_what_the_worker_reads(self):
        for record, key in records_and_keys(random.Random(3)):
            id_, row = self.row(record, key)
            self.assertEqual(id_, f"a1b2:{key}" if key else REQUEST)
            self.assertEqual(row, {"record": {"S": record}, "state": {"S": "ACCEPTED"}, "keyed": {"BOOL": key is not None}, "at": {"N": "1700000000123"}})

    def test_a_record_that_is_too_long_or_a_key_of_another_form_asks_for_a_row_that_cannot_be(self):
        self.assertEqual(self.row("{}", "a/b")[0], "")
        self.assertEqual(self.row("{}", "k" * 129)[0], "")
        with mock.patch.dict(IDENTITY, clear=True):
            self.assertEqual(self.row("{}", "a")[0], "")
        # Bytes count, not signs: of one, two, three and four each, and of signs that stand for others in an encoding.
        for sign in ("x", "+", " ", "%", "ä", "€", "😀", "%25"):
            most = 261_000 // len(sign.encode())
            self.assertEqual(self.row(sign * most)[0], REQUEST, sign)
            self.assertEqual(self.row(sign * most + "x" * (261_001 - most * len(sign.encode())))[0], "too long", sign)
        for sign in ("\ufffe", "\uffff"):
            self.assertEqual(self.row(f'{{"a":\n"{sign}"}}', "k")[0], "")
            self.assertEqual(self.row(json.dumps(sign), "k")[0], "a1b2:k")

    def test_what_dynamodb_refuses_is_told_apart(self):
        for key, status, kind, expected in [
            (None, 400, "ValidationException", 413), ("a", 400, "ValidationException", 413), ("a", 400, "ValidationException empty string", 400), ("a", 400, "ConditionalCheckFailedException", 422),
            ("a/b", 400, "ValidationException", 400), (None, 400, "ResourceNotFoundException", 502), (None, 400, "AccessDeniedException", 502),
            (None, 400, "SerializationException", 502), (None, 400, "ProvisionedThroughputExceededException", 503),
            (None, 400, "ThrottlingException", 503), (None, 400, "RequestLimitExceeded", 503), (None, 500, "InternalServerError", 503),
            (None, 503, "ServiceUnavailable", 503),
        ]:
            kind, _, message = kind.partition(" ")
            body = json.dumps({"__type": f"{DYNAMODB}{kind}", "message": message})
            got, headers, _ = self.answered(("POST", "/records"), status, body, key)
            self.assertEqual((got, headers.get("Retry-After")), (expected, "1" if expected == 503 else None), kind)
        self.assertEqual(self.answered(("POST", "/records"), 400, "{}")[0], 502)

    def test_a_caller_without_an_id_has_no_keys(self):
        with mock.patch.dict(IDENTITY, clear=True):
            got, _, said = self.answered(("POST", "/records"), 400, json.dumps({"__type": f"{DYNAMODB}ValidationException"}), "a")
            self.assertEqual((got, said["detail"]), (500, "it is not known whose Idempotency-Key this is"))


if __name__ == "__main__":
    unittest.main()

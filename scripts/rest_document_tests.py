"""Tests of how an OpenAPI document is read, and of what is done with requests without an emulator: the services answer as told."""

import asyncio
import copy
import json
import logging
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

from ministack.services import apigateway_v1 as gateway

import local_aws  # noqa: F401: it installs what is tested
import rest_document
from rest_integrations import Backend
from rest_schema import words
from scratch import ROOT

ROLE = "arn:aws:iam::000000000000:role/gateway"
GIVEN = {name: ROLE for name in ("gateway", "powerless", "distrustful")} | {
    "region": "us-east-1", "account": "000000000000", "queue": "jobs", "table": "jobs"}
SUBMIT = ("paths", "/jobs", "post")
INTEGRATION = (*SUBMIT, "x-amazon-apigateway-integration")
LOOK = ("paths", "/jobs/{id}", "get", "x-amazon-apigateway-integration")


def example():
    """The document that Terraform applies in rest_apis_tests.py."""
    text = (ROOT / "scripts" / "rest_api" / "api.yaml").read_text().replace("$${", "\0")
    for name, value in GIVEN.items():
        text = text.replace(f"${{{name}}}", value)
    # Without what YAML shares.
    return json.loads(json.dumps(rest_document.parsed(text.replace("\0", "${"))))


def changed(where, value):
    """The example with another value there, or without what is there."""
    document = holder = example()
    for name in where[:-1]:
        holder = holder.setdefault(name, {}) if isinstance(holder, dict) else holder[name]
    if value is None:
        del holder[where[-1]]
    else:
        holder[where[-1]] = value
    return document


class DocumentTest(unittest.TestCase):
    def test_what_a_document_says_is_read(self):
        definition = rest_document.read(json.dumps(example()), "abc")
        self.assertEqual(definition.api, {"name": "jobs", "version": "1", "description": "Jobs that are queued and looked up without a function."})
        self.assertEqual(definition.models["Job"]["properties"]["line"], {"$ref": "https://apigateway.amazonaws.com/restapis/abc/models/Line"})
        submit = next(one for one in definition.operations if (one.method, one.path) == ("POST", "/jobs"))
        self.assertEqual(submit.data, {"operationName": "submit", "requestParameters": {"method.request.header.X-Tenant": False},
                                       "requestModels": {"application/json": "Job"}})
        self.assertEqual((submit.validator, submit.integration["passthroughBehavior"], submit.integration["type"]), ("all", "NEVER", "AWS"))
        self.assertEqual({status: one["selectionPattern"] for status, one in submit.integration_responses.items()},
                         {"202": "", "400": "400", "502": "(403|404|5\\d\\d)"})

    def test_lengths_of_arrays_are_not_validated(self):
        """As in api-gateway-known-issues: minItems and maxItems are not included in simple request validation."""
        schema = {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}}
        models = rest_document.read(json.dumps(changed(("components", "schemas", "List"), schema)), "abc").models
        self.assertEqual(models["List"], {"type": "array", "items": {"type": "string"}})

    def test_what_is_not_known_is_refused(self):
        schemas, parameters = ("components", "schemas", "Job"), (*SUBMIT, "parameters")
        mapped = "integration.request.header.Content-Type"
        for where, value, reason in [
            (("openapi",), "3.1.0", "openapi: 3.1.0 is not 3.0"),
            (("webhooks",), {}, "document: webhooks is unknown here"),
            (("x-amazon-apigateway-policy",), {}, "document: x-amazon-apigateway-policy is unknown here"),
            (("x-amazon-apigateway-binary-media-types",), ["*/*"], "x-amazon-apigateway-binary-media-types is unknown here"),
            (("x-amazon-apigateway-api-key-source",), "AUTHORIZER", "only HEADER is known"),
            (("info", "version"), None, "info: version is missing"),
            (("components", "responses"), {}, "components: responses is unknown here"),
            (("components", "schemas", "Job-1"), {}, "the name of a model has letters and digits only"),
            ((*schemas, "nullable"), True, "components.schemas.Job: nullable is unknown here"),
            ((*schemas, "properties", "line"), {"oneOf": []}, "components.schemas.Job.properties.line: oneOf is unknown here"),
            ((*schemas, "properties", "line"), {"$ref": "#/components/schemas/None"}, "there is no #/components/schemas/None"),
            ((*schemas, "properties", "line"), {"type": "integer", "format": "int64"}, "the format int64 is not supported"),
            (("components", "securitySchemes", "basic"), {"type": "http", "scheme": "basic"}, "securitySchemes.basic: scheme is unknown here"),
            (("components", "securitySchemes", "other"), {"type": "apiKey", "name": "X-Token", "in": "header"}, "only x-api-key in the header"),
            (("x-amazon-apigateway-gateway-responses", "THROTTLED"), {"template": ""}, "THROTTLED: template is unknown here"),
            (("x-amazon-apigateway-gateway-responses", "THROTTLED"), {"responseTemplates": {"application/json": "$input.body"}}, "knows nothing but $context"),
            (("x-amazon-apigateway-gateway-responses", "THROTTLED"), {"responseParameters": {"gatewayresponse.header.A": "1"}}, "1 is not known"),
            (("paths", "/jobs/{other}"), {}, "/jobs/{other}: {other} stands where {id} stands in another path"),
            (("paths", "/a b"), {}, "'a b' is no part of a path"),
            (("paths", "/jobs", "parameters"), [], "/jobs: parameters is unknown here"),
            (("paths", "/jobs", "trace"), {}, "/jobs: trace is unknown here"),
            ((*SUBMIT, "callbacks"), {}, "POST /jobs: callbacks is unknown here"),
            ((*SUBMIT, "security"), [{"key": []}, {"signature": []}], "of alternatives in security, AWS takes none"),
            ((*SUBMIT, "security"), [{"none": []}], "there is no security scheme none"),
            ((*SUBMIT, "x-amazon-apigateway-request-validator"), "none", "there is no request validator none"),
            (parameters, [{"name": "a", "in": "cookie"}], "in: cookie is not supported"),
            (parameters, [{"name": "a", "in": "path"}], "a is not in the path"),
            (parameters, [{"name": "a", "in": "query", "allowReserved": True}], "allowReserved is unknown here"),
            ((*SUBMIT, "requestBody", "content", "application/json"), {"schema": {"type": "object"}}, "has to be a $ref"),
            ((*SUBMIT, "responses", "default"), {"description": "x"}, "POST /jobs default: is no status"),
            ((*SUBMIT, "responses", "200"), {"$ref": "#/components/responses/x"}, "$ref is unknown here"),
            (INTEGRATION, None, "x-amazon-apigateway-integration is missing"),
            ((*INTEGRATION, "type"), "http", "the type http is not known"),
            ((*INTEGRATION, "uri"), "arn:aws:apigateway:us-east-1:sns:action/Publish", "sns:action/Publish is not known"),
            ((*INTEGRATION, "uri"), "arn:aws:apigateway:us-east-1:dynamodb:action/Scan", "dynamodb:action/Scan is not known"),
            ((*INTEGRATION, "httpMethod"), "GET", "httpMethod has to be POST"),
            ((*INTEGRATION, "credentials"), "arn:aws:iam::*:user/*", "credentials has to be the ARN of a role"),
            ((*INTEGRATION, "contentHandling"), "CONVERT_TO_TEXT", "contentHandling is unknown here"),
            ((*INTEGRATION, "passthroughBehavior"), "always", "the passthroughBehavior always is not known"),
            ((*INTEGRATION, "timeoutInMillis"), 30000, "timeoutInMillis is not between 50 and 29000"),
            ((*INTEGRATION, "requestParameters"), {}, "SQS takes a form"),
            ((*INTEGRATION, "requestParameters", "integration.request.path.a"), "'1'", "integration.request.path.a cannot be mapped"),
            ((*INTEGRATION, "requestParameters", "integration.request.header.a"), "method.request.header.a", "is not among the parameters of the method"),
            ((*INTEGRATION, "requestParameters", mapped), "application/json", "application/json is not known"),
            ((*INTEGRATION, "requestTemplates", "application/json"), "#if(", "POST /jobs integration application/json: line 1"),
            ((*INTEGRATION, "responses", "default", "statusCode"), "299", "the method has no response 299"),
            ((*INTEGRATION, "responses", "401"), {"statusCode": "400"}, "there is another response with the status 400"),
            ((*INTEGRATION, "responses", "("), {"statusCode": "400"}, "is no pattern"),
            ((*INTEGRATION, "responses", "default", "responseParameters"), {"method.response.header.ETag": "'1'"}, "is not among the headers of the method's response 202"),
        ]:
            with self.subTest(where=where, value=value):
                with self.assertRaises(rest_document.Refused) as refused:
                    rest_document.read(json.dumps(changed(where, value)), "abc")
                self.assertIn(reason, str(refused.exception))

    def test_all_that_is_wrong_is_said_at_once(self):
        document = changed(("info", "version"), None)
        document["webhooks"] = {}
        with self.assertRaisesRegex(rest_document.Refused, "webhooks is unknown here; info: version is missing"):
            rest_document.read(json.dumps(document), "abc")
        for text in ("[]", "{", "a: ]"):
            with self.assertRaises(rest_document.Refused):
                rest_document.read(text, "abc")

    def test_extensions_of_others_have_no_meaning(self):
        rest_document.read(json.dumps(changed(("info", "x-logo"), "x.png")), "abc")


class RequestsTest(unittest.TestCase):
    """Requests to an API in this process."""

    def setUp(self):
        logging.disable()
        self.addCleanup(logging.disable, logging.NOTSET)
        gateway.reset()
        self.addCleanup(gateway.reset)
        self.asked = []

    def put(self, document, mode="overwrite"):
        if not gateway._rest_apis:
            self.api = json.loads(gateway._create_rest_api({"name": "x"})[2])["id"]
        status, _, said = asyncio.run(gateway.handle_request("PUT", f"/restapis/{self.api}", {}, json.dumps(document).encode(), {"mode": [mode]}))
        return status, json.loads(said)

    def serve(self, document):
        status, said = self.put(document)
        self.assertEqual(status, 200, said)
        gateway._create_deployment(self.api, {"stageName": "v1"})

    def ask(self, method, path, body=b"", answer=(200, {}, "{}"), headers=(), **query):
        async def answered(_, integration, text, mapped, facts):
            self.asked.append((text, mapped))
            if isinstance(answer, Exception):
                raise answer
            return answer if answer else await asyncio.Event().wait()

        with mock.patch.object(Backend, "answer", answered):
            status, headers, said = asyncio.run(gateway.handle_execute(self.api, "v1", method, path, dict(headers), body, query))
        return status, {name.lower(): value for name, value in headers.items()}, said.decode()

    def test_a_document_that_is_refused_changes_nothing(self):
        self.serve(example())
        before = copy.deepcopy(list(gateway._resources[self.api].values()))
        status, said = self.put(changed(("webhooks",), {}))
        self.assertEqual((status, said["message"]), (400, "Invalid OpenAPI input: document: webhooks is unknown here"))
        status, said = self.put(changed(("x-amazon-apigateway-gateway-responses", "NONE"), {}))
        self.assertEqual((status, said["message"]), (400, "Invalid OpenAPI input: there are no gateway responses NONE"))
        self.assertEqual(self.put(example(), "merge")[0], 400)
        self.assertEqual(list(gateway._resources[self.api].values()), before)

    def test_another_document_replaces_the_first(self):
        self.serve(example())
        root = next(one["id"] for one in gateway._resources[self.api].values() if one["path"] == "/")
        document = changed(("paths", "/jobs/{id}"), None)
        del document["components"]["schemas"]["Line"], document["components"]["schemas"]["Job"]["properties"]["line"]
        self.serve(document)
        self.assertNotIn("/jobs/{id}", [one["path"] for one in gateway._resources[self.api].values()])
        self.assertEqual(list(gateway._models[self.api]), ["Job"])
        self.assertIn(root, gateway._resources[self.api])

    def test_a_type_without_a_template_is_passed_on_or_not(self):
        """The table of integration-passthrough-behaviors."""
        some = {"application/json": "T"}
        for behaviour, templates, kind, sent in [
            ("WHEN_NO_MATCH", {}, "text/plain", "body"), ("WHEN_NO_MATCH", some, "text/plain", "body"), ("WHEN_NO_MATCH", some, "application/json", "T"),
            ("WHEN_NO_TEMPLATES", {}, "text/plain", "body"), ("WHEN_NO_TEMPLATES", some, "text/plain", None), ("WHEN_NO_TEMPLATES", some, "", "T"),
            ("NEVER", {}, "text/plain", None), ("NEVER", some, "text/plain", None), ("NEVER", some, "Application/JSON; charset=utf-8", "T"),
        ]:
            with self.subTest(behaviour=behaviour, templates=templates, kind=kind):
                document = changed(SUBMIT + ("requestBody",), None)
                document["paths"]["/jobs"]["post"]["x-amazon-apigateway-integration"].update(passthroughBehavior=behaviour, requestTemplates=templates)
                self.serve(document)
                self.asked.clear()
                status = self.ask("POST", "/jobs", b"body", headers={"content-type": kind} if kind else {})[0]
                self.assertEqual((status, [text for text, _ in self.asked]), (415, []) if sent is None else (202, [sent]))

    def test_a_type_without_a_model_is_not_validated(self):
        document = changed((*INTEGRATION, "passthroughBehavior"), "when_no_match")
        self.serve(document)
        self.assertEqual(self.ask("POST", "/jobs", b"{", headers={"content-type": "text/plain"})[0], 202)
        self.assertEqual(self.ask("POST", "/jobs", b"{", headers={"content-type": "application/json"})[0], 400)

    def test_parameters_are_mapped(self):
        """As in rest-api-parameter-mapping."""
        document = changed((*INTEGRATION, "requestParameters", "integration.request.querystring.MessageGroupId"), "method.request.header.X-Tenant")
        mapped = document["paths"]["/jobs"]["post"]["x-amazon-apigateway-integration"]["requestParameters"]
        mapped.update({"integration.request.querystring.a": "method.request.body.line.number", "integration.request.querystring.b": "context.httpMethod",
                       "integration.request.querystring.c": "method.request.body", "integration.request.querystring.d": "stageVariables.none"})
        self.serve(document)
        body = b'{"kind":"x","line":{"number":3}}'
        self.ask("POST", "/jobs", body, headers={"x-tenant": "acme"})
        self.assertEqual(self.asked[0][1], {"header": {"Content-Type": "application/x-www-form-urlencoded"},
                                            "querystring": {"MessageGroupId": "acme", "a": "3", "b": "POST", "c": body.decode()}})

    def test_headers_of_an_answer_are_mapped(self):
        document = changed((*SUBMIT, "responses", "202", "headers", "X-Id"), {"schema": {"type": "string"}})
        document["paths"]["/jobs"]["post"]["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"].update({
            "method.response.header.X-Id": "integration.response.body.id", "method.response.header.Retry-After": "integration.response.header.After"})
        self.serve(document)
        _, headers, _ = self.ask("POST", "/jobs", b'{"kind":"a"}', (200, {"after": "7"}, '{"id":"a\\r\\nb"}'))
        self.assertEqual((headers["x-id"], headers["retry-after"]), ("a b", "7"))

    def test_what_goes_wrong_behind_an_api_has_a_response_of_its_own(self):
        document = changed((*INTEGRATION, "timeoutInMillis"), 50)
        del document["paths"]["/jobs"]["post"]["x-amazon-apigateway-integration"]["responses"]["default"]
        self.serve(document)
        for answer, status, kind in [(None, 504, "INTEGRATION_TIMEOUT"), (OSError("gone"), 504, "INTEGRATION_FAILURE"), ((201, {}, ""), 500, "API_CONFIGURATION_ERROR")]:
            got, _, said = self.ask("POST", "/jobs", b'{"kind":"a"}', answer)
            self.assertEqual((got, json.loads(said)["code"]), (status, kind))

    def test_the_context_is_that_of_the_request(self):
        template = ("$context.httpMethod $context.resourcePath $context.path $context.stage $context.apiId $context.accountId "
                    "$context.identity.userAgent $context.identity.apiKey $context.resourceId [$context.identity.caller]")
        self.serve(changed((*LOOK, "requestTemplates", "application/json"), template))
        self.ask("GET", "/jobs/a", headers={"user-agent": "test/1", "x-api-key": "k"})
        resource = next(one["id"] for one in gateway._resources[self.api].values() if one["path"] == "/jobs/{id}")
        self.assertEqual(self.asked[0][0], f"GET /jobs/{{id}} /v1/jobs/a v1 {self.api} 000000000000 test/1 k {resource} []")

    def test_any_method_of_a_path_can_be_answered(self):
        document = changed(("paths", "/any/{rest+}"), {"x-amazon-apigateway-any-method": example()["paths"]["/signed"]["get"] | {"security": []}})
        self.serve(document)
        for method in ("GET", "POST", "DELETE"):
            self.assertEqual(self.ask(method, "/any/a/b", headers={"authorization": "Bearer x"})[::2], (200, '{"hello":""}'))

    def test_a_status_and_headers_are_overridden(self):
        """As in apigateway-override-request-response-parameters."""
        self.serve(example())
        status, headers, _ = self.ask("GET", "/jobs/a", answer=(200, {}, "{}"))
        self.assertEqual((status, headers["content-type"]), (404, "application/problem+json"))
        status, headers, _ = self.ask("GET", "/jobs/a", answer=(200, {}, '{"Item":{"pk":{"S":"a"},"version":{"N":"7"}}}'))
        self.assertEqual((status, headers["content-type"], headers["etag"]), (200, "application/json", "7"))

    def test_the_role_of_an_integration_is_not_left_out(self):
        self.serve(example())
        resource = next(one for one in gateway._resources[self.api].values() if one["path"] == "/jobs")
        resource["resourceMethods"]["POST"]["methodIntegration"]["credentials"] = None
        status, _, _ = asyncio.run(gateway.handle_execute(self.api, "v1", "POST", "/jobs", {}, b'{"kind":"a"}', {}))
        self.assertEqual(status, 500)

    def test_without_gateway_responses_the_answers_are_those_of_aws(self):
        self.serve(changed(("x-amazon-apigateway-gateway-responses",), None))
        self.assertEqual(self.ask("GET", "/none")[::2], (403, '{"message":"Missing Authentication Token"}'))
        self.assertEqual(self.ask("POST", "/jobs", b"{", headers={"content-type": "text/plain"})[::2], (415, '{"message":"Unsupported Media Type"}'))


class WordsTest(unittest.TestCase):
    def test_each_refusal_has_its_words(self):
        for schema, value, said in [
            ({"enum": ["a", "b"]}, "c", 'instance value ("c") not found in enum (possible values: ["a","b"])'),
            ({"pattern": "^a"}, "b", 'ECMA 262 regex "^a" does not match input string "b"'),
            ({"maxLength": 1}, "ab", 'string "ab" is too long (length: 2, maximum allowed: 1)'),
            ({"maximum": 1}, 2, "numeric instance is greater than the required maximum (maximum: 1, found: 2)"),
            ({"minProperties": 1}, {}, "object has not enough properties (found 0 but schema requires at least 1)"),
            ({"type": "array", "uniqueItems": True, "items": {"type": "number"}}, [1, 1], "array must not contain duplicate elements"),
            ({"items": {"type": "string"}}, [1], 'instance type (integer) does not match any allowed primitive type (allowed: ["string"])'),
            ({"allOf": [{"minimum": 2}]}, 1, "numeric instance is lower than the required minimum (minimum: 2, found: 1)"),
            ({"not": {"type": "string"}}, "a", "instance matched a schema which it should not have"),
        ]:
            self.assertEqual(words(schema, value, None), f"[{said}]")


if __name__ == "__main__":
    unittest.main()

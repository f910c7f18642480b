"""REST APIs that one OpenAPI document defines, with SQS and DynamoDB behind them and no function between.

MiniStack has no PutRestApi, takes DynamoDB for a function, and knows little of templates. What is here instead follows

- https://docs.aws.amazon.com/apigateway/latest/api/API_PutRestApi.html, as rest_document.py reads the document;
- https://docs.aws.amazon.com/apigateway/latest/developerguide/integration-passthrough-behaviors.html;
- https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-parameter-mapping.html;
- https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html.

What stands behind an API is in rest_integrations.py.
"""

import asyncio
import contextvars
import json
import logging
import re
import time
from dataclasses import dataclass, field

import rest_document
from rest_integrations import Backend
from rest_schema import words
from rest_templates import rendered
from rest_values import Failed, Path, escaped, printed

# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
LONGEST = 10 * 1024 * 1024
VARIABLE = re.compile(r"\$(?:\{((?:context|stageVariables)(?:\.[\w-]+)+)\}|((?:context|stageVariables)(?:\.[A-Za-z_]\w*)+))")
# MiniStack measured that these messages begin with a space.
SPACED = ("API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS", "DEFAULT_5XX")
JSON = "application/json"

log = logging.getLogger("rest_apis")
current = contextvars.ContextVar("current")


def media_type(header):
    """The type that a header names, without its parameters; of a missing one, what API Gateway takes it for."""
    return header.split(",")[0].split(";")[0].strip().lower() or JSON


def no_json(constant):
    """Refuses what Python reads beyond JSON: NaN and infinities."""
    raise ValueError(constant)


@dataclass
class Request:
    """A request to an API, as templates and mappings see it."""

    facts: dict  # of MiniStack, filled in as the request is routed
    method: str
    path: str
    body: bytes
    account: str
    context: dict = field(default_factory=dict)

    def header(self, name):
        values = [value for key, value in self.facts["headers"].items() if key.lower() == name.lower()]
        value = values[-1] if values else ""
        return value if isinstance(value, str) else value[-1] if value else ""

    def params(self):
        last = lambda values: {name: value[-1] if isinstance(value, (list, tuple)) else value for name, value in values.items()}
        return {"path": dict(self.facts["path_params"]), "querystring": last(self.facts["query_params"]), "header": last(self.facts["headers"])}

    def variables(self):
        return (self.facts["stage"] or {}).get("variables") or {}

    def value(self, source, response=None):
        """What a mapping names: a text, or None. `response` is that of the integration: its headers and its payload."""
        if source.startswith("'"):
            return source[1:-1]
        root, _, rest = source.partition(".")
        if root == "stageVariables":
            return self.variables().get(rest)
        if root == "context":
            found = self.context
            for name in rest.split("."):
                found = found.get(name) if isinstance(found, dict) else None
            return None if found is None else printed(found)
        # Either of method.request or of integration.response.
        _, _, place, name = f"{source}.".split(".", 3)
        name = name.removesuffix(".")
        headers, payload = response or ({}, self.body.decode(errors="replace"))
        if place == "body":
            return payload if not name else self.inside(payload, name)
        if root == "integration":
            return next((value for key, value in headers.items() if key.lower() == name.lower()), None)
        params = self.params()[place]
        return next((value for key, value in params.items() if key == name or place == "header" and key.lower() == name.lower()), None)

    def inside(self, payload, path):
        try:
            found = Path(f"$.{path}").of(json.loads(payload))
        except ValueError:
            return None
        return None if found is None else printed(found)


class RestApis:
    def __init__(self, ministack):
        """`ministack` has its modules by their names."""
        self.of, self.gateway = ministack, ministack.apigateway_v1
        self.backend = Backend(ministack)
        self.control, self.execute = self.gateway.handle_request, self.gateway._execute_in_scope

    def error(self, kind, message=None, validation=""):
        error = self.gateway._GatewayError(kind, message or self.gateway._GATEWAY_ERROR_MESSAGES.get(kind, "Internal server error"))
        error.validation = validation
        return error

    # --- the definition

    async def controlled(self, method, path, headers, body, query):
        parts = path.strip("/").split("/")
        if (method, parts) == ("POST", ["apikeys"]):
            return await self.control(method, path, headers, self.with_value(body), query)
        if parts[0] == "usageplans":
            return self.without_quota(await self.control(method, path, headers, body, query))
        mode = query.get("mode", "merge" if method == "PUT" else "")
        mode = mode[0] if isinstance(mode, list) else mode
        if parts[0] != "restapis" or (method, len(parts)) not in (("PUT", 2), ("POST", 1)) or method == "POST" and not mode:
            return await self.control(method, path, headers, body, query)
        if method == "POST" or mode != "overwrite":
            return self.gateway._v1_error("BadRequestException", "this knows PutRestApi with the mode overwrite only", 400)
        if parts[1] not in self.gateway._rest_apis:
            return self.gateway._v1_error("NotFoundException", "Invalid API identifier specified", 404)
        try:
            text = body.decode() if isinstance(body, bytes) else body
            self.overwrite(parts[1], rest_document.read(text, parts[1]), text)
        except (rest_document.Refused, UnicodeDecodeError) as refused:
            return self.gateway._v1_error("BadRequestException", f"Invalid OpenAPI input: {refused}", 400)
        return self.gateway._get_rest_api(parts[1])

    def with_value(self, body):
        """The body of CreateApiKey. API Gateway makes the value of a key that is given an empty one, as Terraform does."""
        key = json.loads(body or b"{}")
        return json.dumps({name: value for name, value in key.items() if name != "value" or value}).encode()

    def without_quota(self, answer):
        """A usage plan that was given no quota has none, not an empty one, which Terraform would remove again and again."""
        status, headers, body = answer
        plan = json.loads(body or b"{}")
        if plan.get("quota") == {}:
            del plan["quota"]
            return status, headers, json.dumps(plan).encode()
        return answer

    def overwrite(self, api, definition, text):
        of = self.gateway
        unknown = [kind for kind in definition.gateway_responses if kind not in of._GATEWAY_RESPONSE_TYPES]
        if unknown:
            raise rest_document.Refused(f"there are no gateway responses {', '.join(unknown)}")
        of._rest_apis[api].update(definition.api)
        root = next(one for one in of._resources[api].values() if one["path"] == "/")
        root["resourceMethods"] = {}
        of._resources[api] = {root["id"]: root}
        for kept in (of._models, of._request_validators, of._gateway_responses, of._authorizers_v1):
            kept[api] = {}
        for name, schema in definition.models.items():
            of._create_model(api, {"name": name, "schema": json.dumps(schema), "contentType": JSON})
        validators = {name: json.loads(of._create_request_validator(api, {"name": name, **one})[2])["id"]
                      for name, one in definition.validators.items()}
        for kind, one in definition.gateway_responses.items():
            of._put_gateway_response(api, kind, one)
        schemes = of._import_security_schemes(api, rest_document.parsed(text))
        for operation in definition.operations:
            self.method(api, operation, validators, schemes)

    def method(self, api, operation, validators, schemes):
        of = self.gateway
        # A path item without methods makes the resources.
        of._import_path_item(api, operation.path, {})
        resource = next(one["id"] for one in of._resources[api].values() if one["path"] == (operation.path.rstrip("/") or "/"))
        where = (api, resource, operation.method)
        validator = {"requestValidatorId": validators[operation.validator]} if operation.validator else {}
        of._put_method(*where, {**operation.data, **of._method_security(operation.security, schemes), **validator})
        for status, response in operation.responses.items():
            of._put_method_response(*where, status, response)
        of._put_integration(*where, operation.integration)
        for status, response in operation.integration_responses.items():
            of._put_integration_response(*where, status, response)

    # --- requests

    async def handled(self, api, stage, method, path, headers, body, query, account, region):
        facts = self.facts(api, stage, headers, query)
        request = Request(facts, method, path, body or b"", account)
        request.context = self.context(request)
        current.set(request)
        if len(request.body) > LONGEST and stage in self.gateway._stages_v1.get(api, {}):
            facts["stage"] = self.gateway._stages_v1[api][stage]
            answer = self.error("REQUEST_TOO_LARGE", "Request Too Long")
        else:
            answer = await self.execute(facts, api, stage, method, path, headers, body, query, account, region)
            # MiniStack has nothing to wait for behind a mock.
            answer = await answer if asyncio.iscoroutine(answer) else answer
        if isinstance(answer, self.gateway._GatewayError):
            return self.refused(answer, facts)
        status, answered, payload = answer
        return status, {**answered, "x-amzn-requestid": facts["request_id"]}, payload

    def facts(self, api, stage, headers, query):
        return {"api_id": api, "stage_name": stage, "stage": None, "headers": headers or {}, "query_params": query or {},
                "path_params": {}, "resource_path": "", "request_id": self.gateway.new_uuid()}

    def permitted(self, enforce):
        """Authorises a caller. Who may not ask gets the API's gateway response, not MiniStack's answer."""
        def refusal(api, stage, method, path, headers, query, **how):
            answer = enforce(api, stage, method, path, headers, query, **how)
            scope, known = self.gateway.find_api_scope(api), self.gateway.stages_for_api(api).get(stage)
            # A gateway response has the id already.
            if not answer or not scope or not known or "x-amzn-requestid" in answer[1]:
                return answer
            said = json.loads(answer[2])
            facts = {**self.facts(api, stage, headers, query), "stage": known}
            with self.of.responses.request_scope(*scope):
                return self.refused(self.error("ACCESS_DENIED", said.get("message") or said.get("Message")), facts)
        return refusal

    def context(self, request):
        facts, headers = request.facts, request.header
        now = time.time()
        caller = self.gateway._iam_caller_identity(facts["headers"], facts["query_params"]) if headers("authorization") else None
        host = headers("host").split(":")[0]
        key = self.gateway._resolve_api_key(headers("x-api-key")) or {}
        identity = {"sourceIp": "127.0.0.1", "userAgent": headers("user-agent") or None, "apiKey": headers("x-api-key") or None,
                    "apiKeyId": key.get("id"), **(caller or {})}
        return {
            "accountId": request.account, "apiId": facts["api_id"], "domainName": host, "domainPrefix": host.split(".")[0],
            "extendedRequestId": facts["request_id"], "httpMethod": request.method, "identity": identity,
            "path": f"/{facts['stage_name']}{request.path}", "protocol": "HTTP/1.1", "requestId": facts["request_id"],
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)), "requestTimeEpoch": int(now * 1000),
            "stage": facts["stage_name"], "responseOverride": {"header": {}},
        }

    def validated(self, method, api, facts, headers, body, query):
        """A request that the method's validator refuses. A type without a model is not validated."""
        validator = self.gateway._request_validators.get(api, {}).get(method.get("requestValidatorId"))
        if not validator:
            return None
        missing = self.gateway._missing_request_parameters(method, facts, headers, query)
        if validator["validateRequestParameters"] and missing:
            return self.error("BAD_REQUEST_PARAMETERS", f"Missing required request parameters: [{', '.join(missing)}]")
        model = (method.get("requestModels") or {}).get(media_type(current.get().header("content-type")))
        if not validator["validateRequestBody"] or not model:
            return None
        schema = self.gateway._model_schema(api, model)
        try:
            document = json.loads(body, parse_constant=no_json)
            valid = self.gateway._json_depth(document) <= self.gateway._MAX_BODY_DEPTH and self.gateway._json_schema_valid(schema, document, schema)
        except (ValueError, RecursionError):
            return self.error("BAD_REQUEST_BODY")
        if valid:
            return None
        return self.error("BAD_REQUEST_BODY", validation=words(schema, document, lambda ref: self.gateway._resolve_schema_ref(ref, schema)[0]))

    def passed_through(self, integration, _headers):
        """A request whose type has no template, if the integration does not take it."""
        behaviour, templates = integration.get("passthroughBehavior") or "WHEN_NO_MATCH", integration.get("requestTemplates") or {}
        refused = behaviour == "NEVER" or behaviour == "WHEN_NO_TEMPLATES" and templates
        if integration["type"] not in ("AWS", "MOCK") or not refused or self.template(templates) is not None:
            return None
        return self.error("UNSUPPORTED_MEDIA_TYPE")

    def template(self, templates):
        wanted = media_type(current.get().header("content-type"))
        return next((template for kind, template in templates.items() if kind.lower() == wanted), None)

    async def integrated(self, integration):
        """Answers by what is behind the API."""
        request = current.get()
        facts = request.facts
        resources = self.gateway._resources.get(facts["api_id"], {})
        request.context.update(resourcePath=facts["resource_path"], resourceId=next(
            (one["id"] for one in resources.values() if one["path"] == facts["resource_path"]), ""))
        try:
            template = self.template(integration.get("requestTemplates") or {})
            payload = request.body.decode(errors="replace")
            sent = payload if template is None else self.render(template, payload)
            mapped = {"header": {}, "querystring": {}}
            for target, source in (integration.get("requestParameters") or {}).items():
                _, _, place, name = target.split(".", 3)
                if (value := request.value(source)) is not None:
                    mapped[place][name] = value
            timeout = integration["timeoutInMillis"] / 1000
            status, headers, payload = await asyncio.wait_for(self.backend.answer(integration, sent, mapped, facts), timeout)
            return self.response(integration, status, headers, payload)
        except Failed as failed:
            log.warning("%s %s: %s", request.method, facts["resource_path"], failed)
            return self.error("API_CONFIGURATION_ERROR", "Internal server error")
        except (asyncio.TimeoutError, TimeoutError):
            return self.error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
        except Exception:
            log.exception("%s %s", request.method, facts["resource_path"])
            return self.error("INTEGRATION_FAILURE", "Internal server error")

    def render(self, template, payload):
        request = current.get()
        return rendered(template, payload, request.params(), request.context, request.variables())

    def response(self, integration, status, headers, payload):
        request = current.get()
        selected = self.gateway._select_service_integration_response(integration, status)
        if selected is None:
            raise Failed(f"no response matches the status {status}, and there is no default")
        kind, template = self.chosen(selected.get("responseTemplates") or {})
        answered = Headers({"Content-Type": kind})
        for target, source in (selected.get("responseParameters") or {}).items():
            value = request.value(source, (headers, payload))
            if value is not None:
                answered.set(target.removeprefix("method.response.header."), value)
        text = payload if template is None else self.render(template, payload)
        override = request.context["responseOverride"]
        for name, value in override["header"].items():
            answered.set(name, printed(value))
        status = override.get("status") or selected["statusCode"]
        return int(status), answered.all, text.encode(errors="replace")

    def chosen(self, templates):
        """The type and the template of an answer: what the request accepts, or JSON, or the first."""
        accepted = media_type(current.get().header("accept"))
        kind = accepted if accepted in templates else JSON if JSON in templates else next(iter(templates), JSON)
        return kind, templates.get(kind)

    # --- gateway responses

    def refused(self, error, facts):
        """The gateway response to an error, of the deployment, in which variables are replaced and nothing is evaluated."""
        of, request = self.gateway, current.get(None)
        if request is None or request.facts is not facts:
            # One that never came as far as the API: its signature is wrong.
            request = Request(facts, "", "", b"", "")
            request.context = self.context(request)
            current.set(request)
        customized = of._deployed_gateway_responses.get(facts["api_id"], {}).get(facts["stage"].get("deploymentId"))
        customized = of._gateway_responses.get(facts["api_id"], {}) if customized is None else customized
        response = of._gateway_response_for_type(customized, error.response_type)
        kind, template = self.chosen(response.get("responseTemplates") or {})
        if error.response_type == "ACCESS_DENIED" and not customized.keys() & {"ACCESS_DENIED", "DEFAULT_4XX"}:
            template = '{"Message":$context.error.messageString}'
        message = "" if error.message is None else error.message
        quoted = "null" if error.message is None else json.dumps(message)
        request.context.update(resourcePath=facts["resource_path"], error={
            "message": message, "messageString": f" {quoted}" if error.response_type in SPACED else quoted, "responseType": error.response_type,
            "validationErrorString": getattr(error, "validation", "").replace("\\", "\\\\").replace('"', '\\"'),
        })
        text = VARIABLE.sub(lambda match: request.value(match[1] or match[2]) or "", template or of._DEFAULT_GATEWAY_RESPONSE_TEMPLATE)
        answered = Headers({"Content-Type": kind})
        for target, source in (response.get("responseParameters") or {}).items():
            if (value := request.value(source)) is not None:
                answered.set(target.removeprefix("gatewayresponse.header."), value)
        kind = error.error_type or of._GATEWAY_RESPONSE_ERROR_TYPES.get(error.response_type)
        answered.all.update({"x-amzn-requestid": facts["request_id"], **({"x-amzn-ErrorType": kind} if kind else {})})
        status = response.get("statusCode") or (403 if error.response_type == "DEFAULT_4XX" else 500)
        return int(status), answered.all, text.encode()

    def install(self):
        of = self.gateway
        of.handle_request, of._handle_execute_in_scope = self.controlled, self.handled
        of._check_request_validation, of._check_passthrough_behavior = self.validated, self.passed_through
        of._gateway_error_response = self.refused
        lambdas = of._invoke_lambda_custom_v1

        async def behind(integration, *request, **how):
            known = rest_document.URI.fullmatch(integration.get("uri", ""))
            return await (self.integrated(integration) if known else lambdas(integration, *request, **how))

        of._invoke_sqs_v1 = of._invoke_lambda_custom_v1 = behind
        of._invoke_mock_v1 = self.integrated
        self.of.app._enforce_execute_api = self.permitted(self.of.app._enforce_execute_api)


class Headers:
    """The headers of an answer, of which each name has one value, however it is written."""

    def __init__(self, headers):
        self.all = headers

    def set(self, name, value):
        for other in [other for other in self.all if other.lower() == name.lower()]:
            del self.all[other]
        self.all[name] = re.sub(r"[\r\n]+", " ", value)


def install():
    """Makes this process's MiniStack serve REST APIs as API Gateway does."""
    from types import SimpleNamespace

    from ministack import app
    from ministack.core import iam_actions, iam_evaluator, responses
    from ministack.services import apigateway_v1, dynamodb, iam, sqs, sts

    RestApis(SimpleNamespace(
        app=app, iam_actions=iam_actions, iam_evaluator=iam_evaluator, responses=responses,
        apigateway_v1=apigateway_v1, dynamodb=dynamodb, iam=iam, sqs=sqs, sts=sts,
    )).install()

"""An OpenAPI 3.0 document as PutRestApi reads it: what it defines, or all that is wrong with it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-import-api.html and, of what begins with x-amazon-apigateway,
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html. What AWS does not support
(https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html, as quoted in
https://github.com/stoplightio/spectral/issues/475) is refused, and so is what AWS knows and this does not: nothing in a document is
without effect, but for what describes it, `required` of a body, and lengths of arrays.
"""

import json
import re
from dataclasses import dataclass, field

from rest_templates import problems

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
DYNAMODB = ("GetItem", "PutItem", "UpdateItem", "Query")
PASSTHROUGH = ("WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER")
SCHEMAS = "#/components/schemas/"
FORM = "'application/x-www-form-urlencoded'"
URI = re.compile(r"arn:[\w-]+:apigateway:[\w-]+:(?:sqs:path/\d{12}/[\w.-]+|dynamodb:action/(\w+))")
ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/.+")
MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")
SEGMENT = re.compile(r"[A-Za-z0-9._,:-]+|\{[A-Za-z0-9._:-]+\+?\}")
STATIC = re.compile(r"'[^']*'")
OF_ANY = r"context(\.[\w-]+)+|stageVariables\.\w+"
OF_REQUEST = re.compile(rf"method\.request\.(header|querystring|path)\.[\w.-]+|method\.request\.body(\..+)?|{OF_ANY}")
OF_RESPONSE = re.compile(rf"integration\.response\.header\.[\w-]+|integration\.response\.body(\..+)?|{OF_ANY}")
OF_ERROR = re.compile(rf"method\.request\.(header|querystring|path)\.[\w.-]+|{OF_ANY}")

# Draft 4 of JSON Schema, as far as models have it, and what says nothing about a value.
KEYWORDS = set("""$ref type enum properties required additionalProperties patternProperties items additionalItems allOf anyOf not dependencies
    minimum maximum exclusiveMaximum multipleOf minLength maxLength pattern format minItems maxItems uniqueItems minProperties maxProperties
    title description default""".split())
OF_ONE, OF_EACH, OF_LIST = ("items", "additionalProperties", "additionalItems", "not"), ("properties", "patternProperties"), ("allOf", "anyOf")
NOT_VALIDATED = ("minItems", "maxItems")


class Refused(Exception):
    """A document that is not imported; all reasons are in it."""


@dataclass
class Operation:
    path: str
    method: str
    data: dict = field(default_factory=dict)  # of PutMethod, without what is named: `validator` and `security`
    validator: str = None
    security: list = None
    responses: dict = field(default_factory=dict)  # of PutMethodResponse, by status
    integration: dict = field(default_factory=dict)  # of PutIntegration
    integration_responses: dict = field(default_factory=dict)  # of PutIntegrationResponse, by status


@dataclass
class Definition:
    api: dict
    models: dict  # schemas by name
    validators: dict
    gateway_responses: dict
    operations: list


class Reader:
    def __init__(self, document, api):
        self.document, self.api, self.problems = document, api, []
        self.components = {}

    def refuse(self, where, what):
        self.problems.append(f"{where}: {what}")

    def of(self, where, value, allowed, required=()):
        """A map with no other members than these, or an empty one. Extensions of others have no meaning to AWS."""
        if not isinstance(value, dict):
            self.refuse(where, "is no object")
            return {}
        for name in value:
            if str(name) not in allowed.split() and (not str(name).startswith("x-") or str(name).startswith("x-amazon-")):
                self.refuse(where, f"{name} is unknown here")
        for name in required:
            if name not in value:
                self.refuse(where, f"{name} is missing")
        return value

    def items(self, where, value):
        if value is not None and not isinstance(value, dict):
            self.refuse(where, "is no object")
        return [(str(name), one) for name, one in value.items()] if isinstance(value, dict) else []

    def definition(self):
        top = self.of("document", self.document, """openapi info servers tags externalDocs paths components security
            x-amazon-apigateway-request-validators x-amazon-apigateway-request-validator x-amazon-apigateway-gateway-responses
            x-amazon-apigateway-api-key-source""", ["openapi", "info", "paths"])
        if not str(top.get("openapi", "3.0")).startswith("3.0"):
            self.refuse("openapi", f"{top['openapi']} is not 3.0")
        if top.get("x-amazon-apigateway-api-key-source", "HEADER") != "HEADER":
            self.refuse("x-amazon-apigateway-api-key-source", "only HEADER is known")
        info = self.of("info", top.get("info", {}), "title version description contact license termsOfService", ["title", "version"])
        self.components = self.of("components", top.get("components", {}), "schemas parameters securitySchemes")
        self.security_schemes()
        definition = Definition(
            {"name": str(info.get("title", "")), "version": str(info.get("version", "")), "description": str(info.get("description", ""))},
            self.models(), self.validators(), self.gateway_responses(), self.operations())
        if self.problems:
            raise Refused("; ".join(self.problems))
        return definition

    # --- what methods refer to

    def models(self):
        models = {}
        for name, schema in self.items("components.schemas", self.components.get("schemas")):
            if not re.fullmatch(r"[A-Za-z0-9]+", name):
                self.refuse(f"components.schemas.{name}", "the name of a model has letters and digits only")
            models[name] = self.schema(f"components.schemas.{name}", schema)
        return models

    def schema(self, where, schema):
        """The schema of a model: its references name models, and its arrays have any length, as that list says."""
        if isinstance(schema, bool):
            return schema
        schema = self.of(where, schema, " ".join(KEYWORDS))
        if str(schema.get("format", "")).startswith("int"):
            self.refuse(where, f"the format {schema['format']} is not supported")
        written = {name: value for name, value in schema.items() if name in KEYWORDS and name not in NOT_VALIDATED}
        for name in OF_ONE:
            if name in schema and name == "items" and isinstance(schema[name], list):
                written[name] = [self.schema(f"{where}.{name}", one) for one in schema[name]]
            elif name in schema:
                written[name] = self.schema(f"{where}.{name}", schema[name])
        for name in OF_EACH:
            if name in schema:
                written[name] = {key: self.schema(f"{where}.{name}.{key}", one) for key, one in self.items(f"{where}.{name}", schema[name])}
        for name in OF_LIST:
            if name in schema:
                written[name] = [self.schema(f"{where}.{name}", one) for one in schema[name]]
        if "$ref" in schema:
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings-models.html
            written["$ref"] = f"https://apigateway.amazonaws.com/restapis/{self.api}/models/{self.model(where, schema)}"
        return written

    def model(self, where, schema):
        """The name of the model that a schema refers to."""
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not reference:
            return self.refuse(where, f"a schema here has to be a $ref to one in {SCHEMAS}")
        name = str(reference).removeprefix(SCHEMAS)
        if name not in (self.components.get("schemas") or {}):
            return self.refuse(where, f"there is no {reference}")
        return name

    def validators(self):
        where, known = "x-amazon-apigateway-request-validators", "validateRequestBody validateRequestParameters"
        return {name: self.of(f"{where}.{name}", one, known, known.split()) for name, one in self.items(where, self.document.get(where))}

    def security_schemes(self):
        for name, scheme in self.items("components.securitySchemes", self.components.get("securitySchemes")):
            where = f"components.securitySchemes.{name}"
            scheme = self.of(where, scheme, "type name in description x-amazon-apigateway-authtype", ["type", "name", "in"])
            kind = (scheme.get("type"), scheme.get("in"), str(scheme.get("name")).lower(), str(scheme.get("x-amazon-apigateway-authtype", "")).lower())
            if kind not in (("apiKey", "header", "x-api-key", ""), ("apiKey", "header", "authorization", "awssigv4")):
                self.refuse(where, "only x-api-key in the header, and Authorization with x-amazon-apigateway-authtype awsSigv4, are known")

    def gateway_responses(self):
        where, responses = "x-amazon-apigateway-gateway-responses", {}
        for kind, one in self.items(where, self.document.get(where)):
            here = f"{where}.{kind}"
            one = self.of(here, one, "statusCode responseTemplates responseParameters")
            self.templates(here, one.get("responseTemplates"), velocity=False)
            self.parameters(here, one.get("responseParameters"), r"gatewayresponse\.header\.[\w-]+", OF_ERROR, None)
            responses[kind] = {**one, **({"statusCode": str(one["statusCode"])} if "statusCode" in one else {})}
        return responses

    # --- methods

    def operations(self):
        found, variables = [], {}
        for path, item in self.items("paths", self.document.get("paths")):
            segments = path.strip("/").split("/") if path != "/" else []
            for at, segment in enumerate(segments):
                if not SEGMENT.fullmatch(segment):
                    self.refuse(path, f"{segment!r} is no part of a path")
                if segment.startswith("{") and variables.setdefault(tuple(segments[:at]), segment) != segment:
                    self.refuse(path, f"{segment} stands where {variables[tuple(segments[:at])]} stands in another path")
            for method, one in self.of(path, item, " ".join(METHODS) + " summary description x-amazon-apigateway-any-method").items():
                if method in METHODS:
                    found.append(self.operation(path, method, one))
                elif method == "x-amazon-apigateway-any-method":
                    found.append(self.operation(path, "any", one))
        return found

    def operation(self, path, method, one):
        where = f"{method.upper()} {path}"
        one = self.of(where, one, """operationId summary description tags externalDocs deprecated parameters requestBody responses security
            x-amazon-apigateway-integration x-amazon-apigateway-request-validator""", ["responses", "x-amazon-apigateway-integration"])
        operation = Operation(path, method.upper(), {"operationName": one.get("operationId", "")})
        operation.security = one.get("security", self.document.get("security")) or []
        schemes = self.components.get("securitySchemes") or {}
        if len(operation.security) > 1:
            self.refuse(where, "of alternatives in security, AWS takes none: name all schemes in one")
        for name in [name for requirement in operation.security for name in requirement if name not in schemes]:
            self.refuse(where, f"there is no security scheme {name}")
        name = "x-amazon-apigateway-request-validator"
        operation.validator = one.get(name, self.document.get(name))
        if operation.validator is not None and operation.validator not in (self.document.get(f"{name}s") or {}):
            self.refuse(where, f"there is no request validator {operation.validator}")
        operation.data["requestParameters"] = self.request_parameters(where, path, one.get("parameters", []))
        operation.data["requestModels"] = self.content(f"{where} requestBody", self.of(
            f"{where} requestBody", one.get("requestBody", {}), "description required content").get("content"))
        operation.responses = self.method_responses(where, one.get("responses"))
        self.integration(f"{where} integration", operation, one.get("x-amazon-apigateway-integration", {}))
        return operation

    def request_parameters(self, where, path, parameters):
        places, written = {"path": "path", "query": "querystring", "header": "header"}, {}
        for parameter in parameters:
            if isinstance(parameter, dict) and "$ref" in parameter:
                name = str(parameter["$ref"]).removeprefix("#/components/parameters/")
                parameter = (self.components.get("parameters") or {}).get(name, {})
            parameter = self.of(f"{where} parameters", parameter, "name in required description schema example deprecated", ["name", "in"])
            if parameter.get("in") not in places:
                self.refuse(f"{where} parameters", f"in: {parameter.get('in')} is not supported")
            elif parameter["in"] == "path" and f"{{{parameter['name']}}}" not in path and f"{{{parameter['name']}+}}" not in path:
                self.refuse(f"{where} parameters", f"{parameter['name']} is not in the path")
            else:
                written[f"method.request.{places[parameter['in']]}.{parameter['name']}"] = bool(parameter.get("required"))
        return written

    def content(self, where, content):
        """The models of a body, by its types."""
        models = {}
        for kind, one in self.items(where, content):
            one = self.of(f"{where} {kind}", one, "schema example examples")
            if not MEDIA_TYPE.fullmatch(kind):
                self.refuse(where, f"{kind} is no type")
            if "schema" in one:
                models[kind] = self.model(f"{where} {kind}", one["schema"])
        return models

    def method_responses(self, where, responses):
        written = {}
        for status, one in self.items(where, responses):
            here = f"{where} {status}"
            if not re.fullmatch(r"[1-5]\d\d", status):
                self.refuse(here, "is no status")
            one = self.of(here, one, "description headers content", ["description"])
            for name, header in self.items(here, one.get("headers")):
                self.of(f"{here} {name}", header, "description schema required example deprecated")
            written[status] = {
                "responseParameters": {f"method.response.header.{name}": False for name, _ in self.items(here, one.get("headers"))},
                "responseModels": self.content(here, one.get("content")),
            }
        return written

    def integration(self, where, operation, one):
        one = self.of(where, one, """type httpMethod uri credentials requestTemplates requestParameters passthroughBehavior responses
            timeoutInMillis""", ["type", "responses"])
        kind = str(one.get("type")).upper()
        uri = URI.fullmatch(str(one.get("uri", "")))
        if kind not in ("AWS", "MOCK"):
            self.refuse(where, f"the type {one.get('type')} is not known, only aws and mock")
        if kind == "AWS":
            if uri is None or uri[1] and uri[1] not in DYNAMODB:
                self.refuse(where, f"the uri {one.get('uri')} is not known, only sqs:path/ACCOUNT/QUEUE and dynamodb:action/ with {', '.join(DYNAMODB)}")
            if str(one.get("httpMethod")).upper() != "POST":
                self.refuse(where, "httpMethod has to be POST")
            if not ROLE.fullmatch(str(one.get("credentials"))):
                self.refuse(where, "credentials has to be the ARN of a role")
            if uri and not uri[1] and (one.get("requestParameters") or {}).get("integration.request.header.Content-Type") != FORM:
                self.refuse(where, f"SQS takes a form: requestParameters has to map integration.request.header.Content-Type to {FORM}")
        passthrough = str(one.get("passthroughBehavior", "when_no_match")).upper()
        if passthrough not in PASSTHROUGH:
            self.refuse(where, f"the passthroughBehavior {one['passthroughBehavior']} is not known")
        timeout = one.get("timeoutInMillis", 29000)
        if not isinstance(timeout, int) or not 50 <= timeout <= 29000:
            self.refuse(where, "timeoutInMillis is not between 50 and 29000")
        self.templates(where, one.get("requestTemplates"))
        declared = operation.data["requestParameters"]
        self.parameters(where, one.get("requestParameters"), r"integration\.request\.(header|querystring)\.[\w.-]+", OF_REQUEST, declared)
        operation.integration = {
            "type": kind, "httpMethod": "POST", "uri": one.get("uri", ""), "credentials": one.get("credentials"), "timeoutInMillis": timeout,
            "passthroughBehavior": passthrough, "requestTemplates": one.get("requestTemplates") or {},
            "requestParameters": one.get("requestParameters") or {},
        }
        for selection, response in self.items(where, one.get("responses")):
            self.integration_response(f"{where} {selection}", operation, selection, response)

    def integration_response(self, where, operation, selection, one):
        one = self.of(where, one, "statusCode responseTemplates responseParameters", ["statusCode"])
        status = str(one.get("statusCode"))
        if status not in operation.responses:
            self.refuse(where, f"the method has no response {status}")
        if status in operation.integration_responses:
            self.refuse(where, f"there is another response with the status {status}")
        try:
            re.compile(selection)
        except re.error as error:
            self.refuse(where, f"is no pattern: {error}")
        self.templates(where, one.get("responseTemplates"))
        headers = operation.responses.get(status, {}).get("responseParameters", {})
        self.parameters(where, one.get("responseParameters"), r"method\.response\.header\.[\w-]+", OF_RESPONSE, None)
        for name in [name for name, _ in self.items(where, one.get("responseParameters")) if name not in headers]:
            self.refuse(where, f"{name} is not among the headers of the method's response {status}")
        operation.integration_responses[status] = {
            "selectionPattern": "" if selection == "default" else selection, "responseTemplates": one.get("responseTemplates") or {},
            "responseParameters": one.get("responseParameters") or {},
        }

    # --- templates and parameters

    def templates(self, where, templates, velocity=True):
        for kind, template in self.items(where, templates):
            if not MEDIA_TYPE.fullmatch(kind):
                self.refuse(where, f"{kind} is no type")
            if velocity:
                for problem in problems(template):
                    self.refuse(f"{where} {kind}", problem)
            elif not isinstance(template, str) or re.search(r"\$\{?(?!context\.|stageVariables\.)[a-zA-Z]|(^|\s)#(set|if|foreach)\b", template):
                self.refuse(f"{where} {kind}", "a gateway response knows nothing but $context and $stageVariables, and no directives")

    def parameters(self, where, parameters, targets, sources, declared):
        """Checks a mapping. What comes from a parameter of the request has to be declared."""
        for target, source in self.items(where, parameters):
            if not re.fullmatch(targets, target):
                self.refuse(where, f"{target} cannot be mapped")
            if not isinstance(source, str) or not (STATIC.fullmatch(source) or sources.fullmatch(source)):
                self.refuse(where, f"{source} is not known")
            elif declared is not None and re.match(r"method\.request\.(header|querystring|path)\.", source) and source not in declared:
                self.refuse(where, f"{source} is not among the parameters of the method")


def parsed(text):
    """The document, which is JSON or YAML."""
    try:
        document = json.loads(text)
    except ValueError:
        import yaml

        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise Refused(f"the document is neither JSON nor YAML: {error}") from None
    if not isinstance(document, dict):
        raise Refused("the document is no object")
    return document


def read(text, api):
    """What a document defines for the API of this id."""
    return Reader(parsed(text), api).definition()

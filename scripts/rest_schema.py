"""Why a payload is refused by a model, in the words of json-schema-validator, which API Gateway is believed to use.

$context.error.validationErrorString has them: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html.
The validator: https://github.com/java-json-tools/json-schema-validator.
"""

import json
import re

from rest_values import as_json

KINDS = (("null", type(None)), ("boolean", bool), ("integer", int), ("number", float), ("string", str), ("array", list), ("object", dict))
NUMBERS = (("minimum", "lower than the required minimum (minimum", lambda value, limit: value < limit),
           ("maximum", "greater than the required maximum (maximum", lambda value, limit: value > limit))
LENGTHS = (("minLength", "short", "required minimum", lambda value, limit: len(value) < limit),
           ("maxLength", "long", "maximum allowed", lambda value, limit: len(value) > limit))
COUNTS = (("minProperties", "not enough properties", "minimum", lambda value, limit: len(value) < limit),
          ("maxProperties", "too many properties", "maximum", lambda value, limit: len(value) > limit))


def kind(value):
    return next(name for name, of in KINDS if isinstance(value, of))


def quoted(names):
    return "[" + ",".join(json.dumps(name, ensure_ascii=False) for name in sorted(names)) + "]"


def reasons(schema, value, model):
    """What is wrong with a value; `model` finds the schema that a $ref names."""
    while isinstance(schema, dict) and "$ref" in schema:
        schema = model(schema["$ref"])
    if not isinstance(schema, dict):
        return []
    found = [*of_type(schema, value)]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"instance value ({as_json(value)}) not found in enum (possible values: {as_json(schema['enum'])})")
    if not found:
        found += {str: of_string, int: of_number, float: of_number, dict: of_object}.get(type(value), lambda *_: [])(schema, value)
        found += below(schema, value, model)
        for one in schema.get("allOf", []):
            found += reasons(one, value, model)
        if "anyOf" in schema and all(reasons(one, value, model) for one in schema["anyOf"]):
            found.append("instance failed to match at least one required schema among " + str(len(schema["anyOf"])))
        if "not" in schema and not reasons(schema["not"], value, model):
            found.append("instance matched a schema which it should not have")
    return found


def of_type(schema, value):
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if allowed and kind(value) not in allowed and not (kind(value) == "integer" and "number" in allowed):
        yield f"instance type ({kind(value)}) does not match any allowed primitive type (allowed: {quoted(allowed)})"


def of_string(schema, value):
    text = json.dumps(value, ensure_ascii=False)
    for name, how, limit, beyond in LENGTHS:
        if name in schema and beyond(value, schema[name]):
            yield f"string {text} is too {how} (length: {len(value)}, {limit}: {schema[name]})"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"ECMA 262 regex {json.dumps(schema['pattern'])} does not match input string {text}"


def of_number(schema, value):
    for name, words, beyond in NUMBERS:
        if name in schema and beyond(value, schema[name]):
            yield f"numeric instance is {words}: {schema[name]}, found: {value})"


def of_object(schema, value):
    missing = [name for name in schema.get("required", []) if name not in value]
    if missing:
        yield f"object has missing required properties ({quoted(missing)})"
    if schema.get("additionalProperties") is False:
        patterns = schema.get("patternProperties", {})
        extra = [name for name in value if name not in schema.get("properties", {}) and not any(re.search(p, name) for p in patterns)]
        if extra:
            yield f"object instance has properties which are not allowed by the schema: {quoted(extra)}"
    for name, words, limit, beyond in COUNTS:
        if name in schema and beyond(value, schema[name]):
            yield f"object has {words} (found {len(value)} but schema requires {'at least' if limit == 'minimum' else 'at most'} {schema[name]})"


def below(schema, value, model):
    found = []
    if isinstance(value, dict):
        for name, one in schema.get("properties", {}).items():
            found += reasons(one, value[name], model) if name in value else []
    elif isinstance(value, list):
        if schema.get("uniqueItems") and len({json.dumps(one, sort_keys=True) for one in value}) < len(value):
            found.append("array must not contain duplicate elements")
        if isinstance(schema.get("items"), dict):
            for one in value:
                found += reasons(schema["items"], one, model)
    return found


def words(schema, value, model):
    return "[" + ", ".join(reasons(schema, value, model)) + "]"

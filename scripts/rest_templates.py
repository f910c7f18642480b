"""Mapping templates of REST APIs: Velocity by airspeed, with what API Gateway adds to it.

https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html names what is added:
$input, $util, $context and $stageVariables. The language is that of https://velocity.apache.org/engine/1.7/vtl-reference.html,
where airspeed differs:

- A name may contain hyphens, so that $context.stage-x names what is not there.
- A string knows no backslashes: in it, a quote is doubled.
- #set within a loop is seen after it, and a loop over a map is one over its values.
- A value is printed as Java prints it, and what is not there as nothing.
- The members of a value are those that Java has, not Python's.

Whether "", 0 and an empty list are true differs between the versions of Velocity, and which one AWS runs is not certain. A template
that asks is not evaluated.
"""

import base64
import binascii
import functools
import json
import re
from urllib.parse import quote, unquote_plus

import airspeed

from rest_values import Failed, Path, as_json, called, escaped, is_number, printed, same

DIRECTIVES = ("set", "if", "elseif", "else", "end", "foreach")
DIRECTIVE = re.compile(r"#\{?([a-zA-Z]+)\}?(?=\s*\()|#(break|stop)\b|(#\[\[)")
SETTABLE = re.compile(r"responseOverride\.(status|header|header\.[\w-]+)")


# --- what API Gateway adds ------------------------------------------------------------------------------------------


class Offered:
    """An object of API Gateway. A function that it does not have is not there, which AWS does not complain of."""

    functions = ()

    def member(self, name, arguments):
        if arguments is None or name not in self.functions:
            return None
        try:
            return getattr(self, name)(*arguments)
        except (TypeError, ValueError) as error:
            raise Failed(f"{name}: {error}") from None


class Input(Offered):
    functions = ("json", "path", "params")

    def __init__(self, body, params):
        """The payload as text, and the parameters of the request: maps `path`, `querystring` and `header`."""
        self.body, self.parameters = body, params

    def member(self, name, arguments):
        # As LocalStack does it: an empty payload is an empty object, and in json() what is not there is an empty string.
        return self.body or "{}" if name == "body" and arguments is None else super().member(name, arguments)

    def path(self, path):
        path = Path(path)
        try:
            return path.of(json.loads(self.body or "{}"))
        except ValueError:
            # What is not JSON is one text.
            return self.body if not path.steps else None

    def json(self, path):
        found = self.path(path)
        return '""' if found is None else as_json(found)

    def params(self, name=None):
        """All parameters, or the one of this name, looked for in the path, the query string and the header."""
        if name is None:
            return self.parameters
        for place, parameters in self.parameters.items():
            for given, value in parameters.items():
                if given == name or place == "header" and given.lower() == name.lower():
                    return value
        return ""


class Util(Offered):
    functions = ("escapeJavaScript", "parseJson", "urlEncode", "urlDecode", "base64Encode", "base64Decode")

    def escapeJavaScript(self, value):
        return None if value is None else escaped(printed(value))

    def parseJson(self, text):
        return json.loads(text)

    def urlEncode(self, text):
        # https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/net/URLEncoder.html
        return quote(printed(text), safe="*-._ ").replace("~", "%7E").replace(" ", "+")

    def urlDecode(self, text):
        return unquote_plus(printed(text))

    def base64Encode(self, text):
        return base64.b64encode(printed(text).encode()).decode()

    def base64Decode(self, text):
        try:
            return base64.b64decode(text, validate=True).decode(errors="replace")
        except binascii.Error as error:
            raise Failed(f"base64Decode: {error}") from None


# --- where airspeed differs from Velocity ---------------------------------------------------------------------------


def member(holder, name, arguments):
    """A member of a value, or what a call of it returns; None if it is not there."""
    if holder is None:
        return None
    if isinstance(holder, Offered):
        return holder.member(name, arguments)
    if isinstance(holder, airspeed.LocalNamespace):
        try:
            return holder[name]
        except KeyError:
            return None
    if arguments is not None:
        return called(holder, name, arguments)
    return holder.get(name) if isinstance(holder, dict) else None


def element(holder, at):
    try:
        return holder[at]
    except (LookupError, TypeError):
        return None


def true(value):
    if value is None or isinstance(value, bool):
        return bool(value)
    if value in ("", 0) or value in ([], {}):
        raise Failed(f"whether {printed(value)!r} is true differs between versions of Velocity: compare it with something")
    return True


def ordered(compare):
    def compared(one, other):
        if one is None or other is None:
            return False
        if not (is_number(one) and is_number(other)):
            raise Failed(f"only numbers can be compared, not {printed(one)!r} and {printed(other)!r}")
        return compare(one, other)
    return compared


def computed(compute):
    def result(one, other):
        if not (is_number(one) and is_number(other)):
            raise Failed(f"only numbers can be computed with, not {printed(one)!r} and {printed(other)!r}")
        try:
            return compute(one, other)
        except ZeroDivisionError:
            raise Failed("division by zero") from None
    return result


def added(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return printed(one) + printed(other)
    return computed(lambda a, b: a + b)(one, other)


def truncated(one, other):
    return one / other if isinstance(one, float) or isinstance(other, float) else int(one / other)


OPERATORS = {
    ">": ordered(lambda a, b: a > b), ">=": ordered(lambda a, b: a >= b),
    "<": ordered(lambda a, b: a < b), "<=": ordered(lambda a, b: a <= b),
    "==": same, "!=": lambda a, b: not same(a, b),
    "||": lambda a, b: true(a) or true(b), "&&": lambda a, b: true(a) and true(b),
    "+": added, "-": computed(lambda a, b: a - b), "*": computed(lambda a, b: a * b),
    "/": computed(truncated), "%": computed(lambda a, b: a - b * truncated(a, b)),
}
WORDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!=", "or": "||", "and": "&&"}


class Name(airspeed.NameOrCall):
    NAME = re.compile(r"([_a-z][a-z0-9_-]*)", re.I)

    def calculate(self, current, loader, top):
        arguments = None if self.parameters is None else self.parameters.calculate(top, loader)
        value = member(current, self.name, arguments)
        return value if self.index is None else element(value, self.index.calculate(top, loader))


class Reference(airspeed.FormalReference):
    def evaluate_raw(self, stream, namespace, loader):
        if self.expression is None:
            return stream.write(self.my_text())
        value = self.expression.calculate(namespace, loader)
        stream.write("" if value is None else printed(value))


class Literal(airspeed.StringLiteral):
    STRING = re.compile(r"'((?:[^']|'')*)'")

    def parse(self):
        text, = self.identity_match(self.STRING)
        self.value = text.replace("''", "'")


class Interpolated(Literal):
    STRING = re.compile(r'"((?:[^"]|"")*)"')

    def parse(self):
        text, = self.identity_match(self.STRING)
        self.value = text.replace('""', '"')
        self.block = airspeed.Block(self.filename, self.value, 0)
        if self.block.end != len(self.value):
            raise self.syntax_error("a reference or text")

    def calculate(self, namespace, loader):
        output = airspeed.StoppableStream()
        self.block.evaluate(output, namespace, loader)
        return output.getvalue()


class Condition(airspeed.Condition):
    def parse(self):
        super().parse()
        calculate = self.calculate
        self.calculate = lambda namespace, loader: true(calculate(namespace, loader))


class Set(airspeed.SetDirective):
    PLACE = re.compile(r"\s*\$([a-z_][a-z0-9_-]*(?:\.[a-z_][a-z0-9_-]*)*)", re.I)

    def evaluate_raw(self, stream, namespace, loader):
        value = self.value.calculate(namespace, loader)
        first, *path = self.terms
        if not path:
            holder = namespace.find_outermost(first)
            while holder is None and isinstance(namespace.parent, airspeed.LocalNamespace):
                namespace = namespace.parent
            (namespace if holder is None else holder)[first] = value
            return
        if first == "context" and not SETTABLE.fullmatch(".".join(path)):
            raise Failed(f"$context.{'.'.join(path)} cannot be set here")
        holder = namespace[first]
        for name in path[:-1]:
            holder = member(holder, name, None)
        if not isinstance(holder, dict):
            raise Failed(f"${'.'.join(self.terms)} cannot be set: what it is in is not there")
        holder[path[-1]] = value


class Foreach(airspeed.ForeachDirective):
    def evaluate_raw(self, stream, namespace, loader):
        values = self.value.calculate(namespace, loader)
        values = list(values.values()) if isinstance(values, dict) else values
        # Velocity passes over what is no collection.
        for index, value in enumerate(values if isinstance(values, (list, range)) else []):
            last = index + 1 == len(values)
            local = airspeed.LocalNamespace(namespace)
            local.update({
                "velocityCount": index + 1, "velocityHasNext": not last, self.loop_var_name: value,
                "foreach": {"count": index + 1, "index": index, "hasNext": not last, "first": index == 0, "last": last},
            })
            self.block.evaluate(stream, local, loader)


class Hash(airspeed.FallthroughHashText):
    def parse(self):
        if re.match(r"#\{?(if|foreach|set)\b", self.next_text()):
            raise self.syntax_error("a whole directive")
        super().parse()


airspeed.NameOrCall, airspeed.FormalReference, airspeed.StringLiteral, airspeed.InterpolatedStringLiteral = Name, Reference, Literal, Interpolated
airspeed.Condition, airspeed.SetDirective, airspeed.ForeachDirective = Condition, Set, Foreach
airspeed.FallthroughHashText = Hash
airspeed.BinaryOperator.OPERATORS = {**OPERATORS, **{word: OPERATORS[sign] for word, sign in WORDS.items()}}
airspeed.BinaryOperator.PRECEDENCE = {**airspeed.BinaryOperator.PRECEDENCE, "!=": 8, "ne": 8}
airspeed.UnaryOperatorValue.OPERATORS = {sign: lambda value: not true(value) for sign in ("!", "not")}


# --- templates --------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def compiled(text):
    template = airspeed.Template(text)
    template.ensure_compiled()
    return template


def problems(text):
    """Why a template cannot be evaluated, as far as that can be said without a request."""
    if not isinstance(text, str):
        return ["it is no text"]
    found = []
    unknown = {next(filter(None, groups)) for groups in DIRECTIVE.findall(text)} - {*DIRECTIVES}
    found += [f"this does not know the directive {'' if name.startswith('#') else '#'}{name}" for name in sorted(unknown)]
    if "requestOverride" in text:
        found.append("this does not know $context.requestOverride")
    try:
        compiled(text)
    except (airspeed.TemplateError, airspeed.NoMatch, RecursionError) as error:
        found.append(str(error) or type(error).__name__)
    return found


def rendered(text, body, params, context, variables):
    """The text of a template for a payload. It may set context["responseOverride"]. Failed says why there is none."""
    namespace = {"input": Input(body, params), "util": Util(), "context": context, "stageVariables": variables}
    try:
        return compiled(text).merge(namespace)
    except airspeed.TemplateExecutionError as error:
        raise Failed(str(error.__cause__)) from error
    except (airspeed.TemplateError, airspeed.NoMatch, RecursionError) as error:
        raise Failed(str(error) or type(error).__name__) from error

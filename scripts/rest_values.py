"""What mapping templates see of JSON and of strings: as Java's libraries do it that API Gateway is believed to use.

- JSONPath as in https://github.com/json-path/JsonPath, which mapping templates use:
  https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings.html
- A list is printed as JSON, and an object as Java prints a map.
- The methods of strings, lists and maps have their names and rules: https://docs.oracle.com/en/java/javase/17/docs/api/java.base/
"""

import json
import re

STEP = re.compile(r"""\.\.(?P<deep>[\w-]+)|\.(?P<name>[\w-]+)|\.(?P<every>\*)|\[(?P<index>-?\d+)\]|\[(?P<all>\*)\]|\[(['"])(?P<quoted>.*?)\6\]""")


class Failed(Exception):
    """A template that cannot be evaluated, and why."""


class Path:
    """A JSONPath without filters and slices."""

    def __init__(self, text):
        if not isinstance(text, str) or not text.startswith("$"):
            raise Failed(f"{text!r} is no JSONPath: it begins with $")
        self.steps, self.definite, at = [], True, 1
        while at < len(text):
            step = STEP.match(text, at)
            if step is None:
                raise Failed(f"this does not know the JSONPath {text!r} from {text[at:]!r} on")
            self.steps.append((step.lastgroup, step[step.lastgroup]))
            self.definite = self.definite and step.lastgroup not in ("deep", "every", "all")
            at = step.end()

    def of(self, value):
        """What is there: None if nothing is, and a list if the path may name several."""
        found = [value]
        for kind, what in self.steps:
            found = [below for one in found for below in self.below(kind, what, one)]
        return found if not self.definite else found[0] if found else None

    def below(self, kind, what, value):
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        if kind in ("name", "quoted"):
            return [value[what]] if isinstance(value, dict) and what in value else []
        if kind == "index":
            at = int(what)
            return [value[at]] if isinstance(value, list) and -len(value) <= at < len(value) else []
        if kind == "deep":
            here = [value[what]] if isinstance(value, dict) and what in value else []
            return here + [below for child in children for below in self.below(kind, what, child)]
        return list(children)


def as_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def printed(value):
    """The text of a value as Java prints it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return printed_double(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={printed(one)}" for name, one in value.items()) + "}"
    if isinstance(value, (list, range)):
        return as_json(list(value))
    return str(value)


def printed_double(value):
    """https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/lang/Double.html#toString(double)"""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    digits, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits, _, exponent = f"{value:.17e}".partition("e")
        digits = next(short for n in range(1, 18) if float((short := f"{value:.{n}e}")) == value).partition("e")[0]
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def same(one, other):
    """Whether == holds: of different types, if their texts are the same."""
    if one is None or other is None:
        return one is other
    if is_number(one) and is_number(other) or type(one) is type(other):
        return one == other
    return printed(one) == printed(other)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def escaped(text):
    """As org.apache.commons.lang.StringEscapeUtils.escapeJavaScript does it: \\' is no JSON, as AWS's page says."""
    known = {'"': '\\"', "'": "\\'", "\\": "\\\\", "/": "\\/", "\b": "\\b", "\n": "\\n", "\t": "\\t", "\f": "\\f", "\r": "\\r"}
    units = text.encode("utf-16-be", "surrogatepass")
    points = (int.from_bytes(units[at:at + 2], "big") for at in range(0, len(units), 2))
    return "".join(known.get(chr(point)) or (chr(point) if 32 <= point < 128 else f"\\u{point:04X}") for point in points)


def replacement(text):
    """What a match is replaced with: $1 is a group, and a backslash takes its meaning from what follows."""
    pieces = re.findall(r"\\(.)|\$(\d)|([^\\$])", text, re.S)
    if "".join(f"\\{a}" if a else f"${b}" if b else c for a, b, c in pieces) != text:
        raise Failed(f"{text!r} is no replacement: before $ and \\ stands a \\")
    return lambda match: "".join(a or c or (match[int(b)] or "") for a, b, c in pieces)


def pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise Failed(f"{text!r} is no pattern: {error}") from None


def split(text, separator):
    parts = pattern(separator).split(text)
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def put(holder, name, value):
    before = holder.get(name)
    holder[name] = value
    return before


def replace_at(values, at, value):
    before, values[at] = values[at], value
    return before


STRING = {
    "concat": lambda text, other: text + other,
    "contains": lambda text, other: other in text,
    "endsWith": lambda text, other: text.endswith(other),
    "equals": lambda text, other: text == other,
    "equalsIgnoreCase": lambda text, other: text.lower() == printed(other).lower(),
    "indexOf": lambda text, other: text.find(other),
    "isEmpty": lambda text: not text,
    "lastIndexOf": lambda text, other: text.rfind(other),
    "length": lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2,
    "matches": lambda text, regex: pattern(regex).fullmatch(text) is not None,
    "replace": lambda text, old, new: text.replace(old, new),
    "replaceAll": lambda text, regex, new: pattern(regex).sub(replacement(new), text),
    "replaceFirst": lambda text, regex, new: pattern(regex).sub(replacement(new), text, count=1),
    "split": split,
    "startsWith": lambda text, other: text.startswith(other),
    "substring": lambda text, start, end=None: text[start:end],
    "toLowerCase": lambda text: text.lower(),
    "toString": lambda text: text,
    "toUpperCase": lambda text: text.upper(),
    "trim": lambda text: text.strip("".join(map(chr, range(33)))),
}
LIST = {
    "add": lambda values, value: values.append(value) or True,
    "contains": lambda values, value: value in values,
    "get": lambda values, at: values[at],
    "indexOf": lambda values, value: values.index(value) if value in values else -1,
    "isEmpty": lambda values: not values,
    "set": replace_at,
    "size": len,
    "toString": printed,
}
MAP = {
    "containsKey": lambda holder, name: name in holder,
    "entrySet": lambda holder: [{"key": name, "value": value} for name, value in holder.items()],
    "get": lambda holder, name: holder.get(name),
    "isEmpty": lambda holder: not holder,
    "keySet": list,
    "put": put,
    "putAll": lambda holder, other: holder.update(other),
    "remove": lambda holder, name: holder.pop(name, None),
    "size": len,
    "toString": printed,
    "values": lambda holder: list(holder.values()),
}
METHODS = {str: STRING, list: LIST, range: LIST, dict: MAP}


def called(value, name, arguments):
    """What a method returns. One that this does not know is a failure: Java may have it."""
    methods = METHODS.get(type(value), {"toString": printed})
    if name not in methods:
        raise Failed(f"this does not know the method {name} of {type(value).__name__} {printed(value)[:40]!r}")
    try:
        return methods[name](value, *arguments)
    except (TypeError, IndexError, AttributeError) as error:
        raise Failed(f"{name} of {printed(value)[:40]!r}: {error}") from None

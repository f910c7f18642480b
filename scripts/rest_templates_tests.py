"""Tests of mapping templates: a table of what a template makes of a payload, each row with where it is from.

Pages of https://docs.aws.amazon.com/apigateway/latest/developerguide/ are named by their files, Velocity's reference as "vtl".
"""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rest_templates import problems, rendered
from rest_values import Failed, printed_double

REFERENCE = "api-gateway-mapping-template-reference"
EXAMPLES = "api-gateway-mapping-variable-examples"
TEMPLATES = "models-mappings"
OVERRIDE = "apigateway-override-request-response-parameters"

ORDER = {"name": "O'Neil & \"Söhne\" <a/b>", "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2.5}], "ok": True, "none": None,
         "emoji": "😀", "text": "one\ntwo\t\\"}
PAYLOAD = json.dumps(ORDER, ensure_ascii=False)
PARAMS = {"path": {"id": "b'1", "both": "path"}, "querystring": {"both": "query", "q": "a b&c"}, "header": {"both": "header", "X-Key": "k"}}
VARIABLES = {"queue": "orders"}
CONTEXT = {"requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "httpMethod": "POST", "resourcePath": "/orders/{id}", "stage": "v1",
           "identity": {"sourceIp": "192.0.2.1"}}

# From, template, text. The payload is PAYLOAD.
TABLE = [
    # $input
    (REFERENCE, "$input.body", PAYLOAD),
    (REFERENCE, "$input.json('$.ok') $input.json('$.lines[1].n')", "true 2.5"),
    (REFERENCE, "$input.json('$.missing')", '""'),
    (REFERENCE, "$input.path('$.lines[1].sku')", "b"),
    (REFERENCE, "$input.path('$').lines.size()", "2"),
    (REFERENCE, "$input.path('$.lines[*].sku')", '["a","b"]'),
    (REFERENCE, "$input.path('$.missing')|$input.path('$.none')|", "||"),
    (REFERENCE, "$input.params('both') $input.params('q') $input.params('X-Key') [$input.params('other')]", "path a b&c k []"),
    (EXAMPLES, "#set($all = $input.params())#foreach($type in $all.keySet())#set($some = $all.get($type))#foreach($name in $some.keySet())"
     "$type.$name=$some.get($name)#if($foreach.hasNext),#end#end;#end",
     "path.id=b'1,path.both=path;querystring.both=query,querystring.q=a b&c;header.both=header,header.X-Key=k;"),
    # $util
    (REFERENCE, "$util.urlEncode($input.path('$.name'))", "O%27Neil+%26+%22S%C3%B6hne%22+%3Ca%2Fb%3E"),
    (REFERENCE, "$util.urlDecode('a+b%26c%C3%B6')", "a b&cö"),
    (REFERENCE, "#set($o = $util.parseJson('{\"a\":{\"b\":[1,2]}}'))$o.a.b[1]", "2"),
    (REFERENCE, "$util.escapeJavaScript('a\"b')", 'a\\"b'),
    # $context and $stageVariables
    (REFERENCE, "$context.requestId $context.httpMethod $context.resourcePath $context.stage $context.identity.sourceIp",
     "c6af9ac6-7b61-11e6-9a41-93e8deadbeef POST /orders/{id} v1 192.0.2.1"),
    (REFERENCE, "${context.stage}/x$!{context.stage}", "v1/xv1"),
    (REFERENCE, "$stageVariables.queue ${stageVariables.queue} $stageVariables['queue']", "orders orders orders"),
    (REFERENCE, "[$context.unknown][$stageVariables.unknown][$context.identity.unknown]", "[][][]"),
    # Velocity
    (TEMPLATES, "#set($root = $input.path('$'))[#foreach($line in $root.lines){\"id\":\"$line.sku\",\"n\":$line.n}#if($foreach.hasNext),#end#end]",
     '[{"id":"a","n":1},{"id":"b","n":2.5}]'),
    ("vtl", "#if($input.path('$.ok') == true && $input.path('$.lines').size() > 1)many#else few#end", "many"),
    ("vtl", "#if($input.path('$.missing'))there#elseif(1 >= 2)no#{else}gone#end", "gone"),
    ("vtl", "#if($input.params('other') == '')none#end#if($input.params('q') != \"\") some#end", "none some"),
    ("vtl", "#if(1 != 1 == true)a#{else}b#end", "b"),
    ("vtl", "#set($n = 2)#set($n = $n * 3 + 1)$n", "7"),
    ("vtl", "#set($text = \"$context.stage-is\")#set($braced = \"${context.stage}-is\")$braced", "v1-is"),
    ("vtl", "a## comment\nb#* more *#c", "abc"),
    ("vtl", "#foreach($i in [1..3])$i$foreach.index #end", "10 21 32 "),
    ("plain", "$input.path('$.name').replaceAll(\"[^a-z]\", \"-\").length()", "22"),
    ("plain", "costs $5.00, #1", "costs $5.00, #1"),
    ("plain", "Action=SendMessage&MessageBody=$util.urlEncode($input.json('$.lines[0].sku'))", "Action=SendMessage&MessageBody=%22a%22"),
    (REFERENCE, "$util.escapeJavaScript($input.params('id')).replaceAll(\"\\\\'\", \"'\")", "b'1"),
    (REFERENCE, "[$util.unknown('x')]", "[]"),
    ("vtl", "[$context.stage-x]", "[]"),
    ("vtl", "#set($n = 0)#foreach($line in $input.path('$.lines'))#set($n = $n + 1)#end$n", "2"),
    ("plain", "$input.path('$.lines[0]')", "{sku=a, n=1}"),
]

# The same, where LocalStack's text is another: docs/EMULATORS.md says which, and what AWS's page says of it.
APART = [
    ("plain", "$input.path('$.name').toString().contains('Neil') $input.path('$.lines').isEmpty()", "true false"),
    (REFERENCE, "$util.base64Encode('Söhne') $util.base64Decode('U8O2aG5l')", "U8O2aG5l Söhne"),
    (REFERENCE, "$input.json('$.emoji')", '"😀"'),
    (REFERENCE, "$input.json('$.lines[0]')", '{"sku":"a","n":1}'),
    (REFERENCE, "$util.escapeJavaScript($input.params('id'))", "b\\'1"),
    (REFERENCE, "$util.escapeJavaScript($input.path('$.name'))", "O\\'Neil & \\\"S\\u00F6hne\\\" <a\\/b>"),
    (REFERENCE, "$util.escapeJavaScript($input.path('$.text'))$util.escapeJavaScript($input.path('$.emoji'))", "one\\ntwo\\t\\\\\\uD83D\\uDE00"),
    ("vtl", "#set($q = 'it''s')$q #set($d = \"a \"\"b\"\"\")$d", "it's a \"b\""),
    ("vtl", "#foreach($value in $input.path('$.lines[0]'))$value #end", "a 1 "),
    ("plain", "$input.path('$.name').replaceAll('(O)', '$1$1').substring(0, 4)", "OO'N"),
    ("plain", "$util.urlEncode('~*')", "%7E*"),
]


def text_of(template, payload=PAYLOAD):
    context = {**CONTEXT, "responseOverride": {"header": {}}}
    return rendered(template, payload, PARAMS, context, VARIABLES)


class TemplatesTest(unittest.TestCase):
    def test_the_text_is_what_the_page_says(self):
        for page, template, text in TABLE + APART:
            with self.subTest(template=template, page=page):
                self.assertEqual(problems(template), [])
                self.assertEqual(text_of(template), text)

    def test_a_payload_that_is_no_json_is_one_text(self):
        self.assertEqual(text_of("$input.body $input.path('$') [$input.path('$.a')] $input.json('$.a')", "a=1"), 'a=1 a=1 [] ""')
        self.assertEqual(text_of("$input.body $input.json('$')", ""), "{} {}")

    def test_a_payload_stays_as_it_is(self):
        # Members that come twice, numbers that no double holds, characters that look like templates.
        for payload in ['{"a":1,"a":2}', "[1e400, 0.10000000000000000001]", '{"a":"$context.stage #if(1) \\u0041"}', "".join(map(chr, range(128)))]:
            self.assertEqual(text_of("$input.body", payload), payload)

    def test_a_response_is_overridden(self):
        """As in apigateway-override-request-response-parameters."""
        context = {"responseOverride": {"header": {}}}
        template = ("#if($input.json('$') == '{}')#set($context.responseOverride.status = 404)"
                    "#set($context.responseOverride.header.Retry-After = \"1\")none#end")
        self.assertEqual(rendered(template, "{}", PARAMS, context, {}), "none")
        self.assertEqual(context["responseOverride"], {"status": 404, "header": {"Retry-After": "1"}})

    def test_what_cannot_be_evaluated_is_said(self):
        for template, reason in [
            ("#if($input.params('other'))x#end", "whether '' is true differs"),
            ("#if($input.path('$.lines').size() > 'a')x#end", "only numbers can be compared"),
            ("$input.path('$.name').codePoints()", "does not know the method codePoints"),
            ("$input.path('$.lines[?(@.n > 1)]')", "does not know the JSONPath"),
            ("$input.path('lines')", "is no JSONPath"),
            ("$util.parseJson('{')", "parseJson"),
            ("$util.base64Decode('%')", "base64Decode"),
            ("#set($context.stage = 'x')", "cannot be set"),
            ("#set($context.responseOverride.body = 'x')", "cannot be set"),
            ("#set($n = 1 / 0)", "division by zero"),
        ]:
            with self.subTest(template=template), self.assertRaisesRegex(Failed, reason):
                text_of(template)

    def test_what_is_no_template_is_known_before_a_request(self):
        for template, reason in [
            ("#if($x)", "expected"), ("#foreach($x in $y)#break#end", "directive #break"), ("#macro(m)x#end", "directive #macro"),
            ("#parse('x')", "directive #parse"), ("#unknown('x')", "directive #unknown"), ("#[[x]]#", "directive #[["),
            ("#set($context.requestOverride.header.x = '1')", "requestOverride"), (None, "no text"),
        ]:
            with self.subTest(template=template):
                self.assertIn(reason, "".join(problems(template)))

    def test_a_double_is_printed_as_java_does(self):
        for value, text in [(1.0, "1.0"), (0.001, "0.001"), (1e-4, "1.0E-4"), (1e10, "1.0E10"), (12345678.9, "1.23456789E7"), (1e300, "1.0E300")]:
            self.assertEqual(printed_double(value), text)


if __name__ == "__main__":
    unittest.main()

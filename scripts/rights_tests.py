"""Tests which rights rights.py finds needed, with a role and calls made up."""

import json
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import rights
from rights_used import Line
from settings import INFRA
from toolbox import Failure

WORK, LEDGER = "arn:aws:s3:::test-chunked-work", "arn:aws:dynamodb:us-east-1:000000000000:table/test-chunked-ledger"


def role(*statements, pipeline="test-chunked"):
    document = {"Statement": [{"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources} for sid, actions, resources in statements]}
    return rights.Role(f"{pipeline}-bury", "bury", "bucket", pipeline, document)


READ = ("Read", ["s3:GetObject"], [f"{WORK}/*"])
DECIDE = ("Decide", ["s3:PutObject", "s3:DeleteObject"], [f"{WORK}/*/done/*"])
KEEP = ("Keep", "dynamodb:GetItem", LEDGER)


def call(action, resource, allowed=True, name="test-chunked-bury"):
    return [name, action, resource, allowed, 1]


READ_ONE, PUT_ONE, GET_ITEM = call("s3:GetObject", f"{WORK}/b/a"), call("s3:PutObject", f"{WORK}/b/done/a"), call("dynamodb:GetItem", LEDGER)


class RightsTest(unittest.TestCase):
    def faults(self, roles, *calls, spared=(), taken=()):
        with mock.patch.object(rights, "SPARED", list(spared)):
            return rights.faults(roles, calls, taken)

    def test_every_action_on_every_resource_of_a_statement_is_a_right(self):
        granted = {(right.statement, right.action, right.resource) for right in role(READ, DECIDE, KEEP).granted().values()}
        done, ledger = "arn:aws:s3:::PIPELINE-work/*/done/*", LEDGER.replace("test-chunked", "PIPELINE")
        self.assertEqual(granted, {("Read", "s3:GetObject", "arn:aws:s3:::PIPELINE-work/*"), ("Decide", "s3:PutObject", done),
                                   ("Decide", "s3:DeleteObject", done), ("Keep", "dynamodb:GetItem", ledger)})

    def test_a_right_that_no_call_needs_is_a_fault(self):
        found, granted, spared = self.faults([role(READ, DECIDE, KEEP)], READ_ONE, PUT_ONE, GET_ITEM)
        self.assertEqual(found, ["not needed: bury (bucket): Decide: s3:DeleteObject on arn:aws:s3:::PIPELINE-work/*/done/*"])
        self.assertEqual((granted, spared), (4, 0))

    def test_a_right_with_a_reason_is_spared_if_its_entry_is_about_it(self):
        for entry, spared in [(("bury", "", "s3:DeleteObject", "/done/*", ""), True), (("bury", "table", "s3:DeleteObject", "/done/*", ""), False),
                              (("sweep", "", "s3:DeleteObject", "/done/*", ""), False), (("bury", "", "s3:DeleteObject", "/pending/*", ""), False)]:
            found, _, many = self.faults([role(READ, DECIDE, KEEP)], READ_ONE, PUT_ONE, GET_ITEM, spared=[entry])
            self.assertEqual((not found, many), (spared, int(spared)), entry)

    def test_a_right_that_another_one_includes_is_not_needed(self):
        both = role(READ, ("Again", ["s3:GetObject"], [f"{WORK}/b/*"]))
        found, _, _ = self.faults([both], READ_ONE)
        self.assertEqual([fault.split(": ")[2] for fault in found], ["Again", "Read"])
        found, _, _ = self.faults([both], READ_ONE, call("s3:GetObject", f"{WORK}/c/a"))
        self.assertEqual([fault.split(": ")[2] for fault in found], ["Again"])

    def test_a_refused_call_is_a_fault_even_if_everything_is_needed(self):
        found, _, _ = self.faults([role(KEEP)], GET_ITEM, call("s3:GetObject", f"{WORK}/a", allowed=False))
        self.assertEqual(found, [f"test-chunked-bury was refused s3:GetObject on {WORK}/a, 1 times"])

    def test_a_call_whose_right_was_taken_on_purpose_may_be_refused(self):
        refused = call("s3:GetObject", f"{WORK}/a", allowed=False)
        for taken, faults in [(("test-chunked-bury", "s3:GetObject", "*/a"), 0), (("test-chunked-bury", "s3:GetObject", "*/b"), 1),
                              (("test-chunked-sweep", "s3:GetObject", "*/a"), 1)]:
            self.assertEqual(len(self.faults([role(KEEP)], GET_ITEM, refused, taken=[taken])[0]), faults, taken)

    def test_pipelines_of_one_kind_share_their_rights(self):
        two = [role(KEEP), role((*KEEP[:2], LEDGER.replace("chunked", "sync")), pipeline="test-sync")]
        self.assertEqual(self.faults(two, GET_ITEM), ([], 1, 0))

    def test_each_kind_of_place_and_each_way_to_announce_chunks_has_a_representative(self):
        variants = json.loads((INFRA / "variants.json").read_text())
        chosen = [variants[name] for name in rights.REPRESENTATIVES.values()]
        # Messages to workers that Step Functions runs cannot be taken from them; the end-to-end tests need the right to start it.
        for part, without_right in (("pending", set()), ("fanOut", {"notifications", "map"})):
            self.assertEqual({parts[part] for parts in chosen}, {parts[part] for parts in variants.values()} - without_right)

    def test_the_right_to_publish_is_one_of_the_pipeline_that_has_a_topic(self):
        topic = "arn:aws:sns:us-east-1:000000000000:test-sns-chunks"
        two = [role(KEEP), role(("Publish", ["sns:Publish"], [topic]), pipeline="test-sns")]
        self.assertEqual(self.faults(two, GET_ITEM)[0], ["not needed: bury (bucket): Publish: sns:Publish on arn:aws:sns:us-east-1:000000000000:PIPELINE-chunks"])
        self.assertEqual(self.faults(two, GET_ITEM, call("sns:Publish", topic, name="test-sns-bury")), ([], 2, 0))

    def test_the_call_that_announces_chunks_is_the_one_that_scatter_makes(self):
        for topic, announcement in ((None, ("sqs:SendMessage", "*:test-process")), ("arn:t", ("sns:Publish", "arn:t"))):
            parts = {"topic_arn": topic, "definition": {"variant": "any"}, "functions": {"process": "test-process"}, "queues": {}, "dead_letter_queues": {}}
            site = SimpleNamespace(deployment={"pipelines": {"one": parts}}, client=lambda service: None)
            self.assertEqual(Line(site, "one").announcement(), announcement)

    def test_the_gateway_of_records_has_a_role_too(self):
        pipelines = {name: {"definition": {"variant": "chunked"}, "functions": {"process": f"test-{name}-process"}, "records_api": api}
                     for name, api in (("with", {"by": "table"}), ("without", None), ("submitted", {"by": "function"}))}
        read = lambda RoleName, PolicyName: {"PolicyDocument": {"Statement": [], "of": (RoleName, PolicyName)}}
        site = SimpleNamespace(deployment={"pipelines": pipelines}, client=lambda service: SimpleNamespace(get_role_policy=read))
        self.assertEqual([(role.function, role.pipeline, *role.document["of"]) for role in rights.roles(site)], [
            ("process", "test-submitted", "test-submitted-process", "process"), ("process", "test-with", "test-with-process", "process"), ("records-gateway", "test-with", "test-with-records-gateway", "gateway"),
            ("process", "test-without", "test-without-process", "process")])

    def test_what_is_shared_lies_under_a_pipelines_name_alone_and_is_one_right(self):
        shared = "arn:aws:s3:::test-package/processors"
        two = [role(("Read", "s3:GetObject", f"{shared}/{name}-*"), pipeline=f"test-{name}") for name in ("own", "web")]
        used = call("s3:GetObject", f"{shared}/web-1.json", name="test-web-bury")
        self.assertEqual(self.faults(two, used), ([], 1, 0))
        self.assertIn("processors/PIPELINE-*", self.faults(two)[0][0])

    def test_a_call_that_was_allowed_by_no_right_stops_the_check(self):
        with self.assertRaisesRegex(Failure, "test-chunked-bury was allowed s3:PutObject on .* none of its rights grants"):
            self.faults([role(READ)], PUT_ONE)


if __name__ == "__main__":
    unittest.main()

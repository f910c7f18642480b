"""Tests of what a deployment does before it deletes what is stored.

Run them with the Python that `emulator.py python` prints, which has botocore.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import threading
import unittest
from pathlib import Path
from unittest import mock

import botocore.exceptions

sys.path.insert(0, str(Path(__file__).parent))

import contents
import deployment
import guard
import terraform
from scratch import Scratch
from toolbox import Failure


def resource(address, actions, before=None, after=None, **change):
    """A change of a table or a bucket, as `terraform show -json` has it."""
    kind = "aws_s3_bucket" if "aws_s3_bucket" in address else "aws_dynamodb_table"
    reason = {"action_reason": change.pop("action_reason")} if "action_reason" in change else {}
    name = address.rsplit(".", 1)[1].split("[")[0]
    return {"address": address, "type": kind, "name": name, **reason, "change": {"actions": actions, "before": before, "after": after, **change}}


def items(pipeline, actions, protected=False, **change):
    before = {"name": f"a-{pipeline}-items", "hash_key": "id", "deletion_protection_enabled": protected}
    return resource(f'module.pipeline["{pipeline}"].aws_dynamodb_table.items', actions, before, **change)


def bucket(pipeline, actions, protected=False, **change):
    before = {"bucket": f"a-{pipeline}-input", "force_destroy": not protected}
    return resource(f'module.pipeline["{pipeline}"].aws_s3_bucket.this["input"]', actions, before, **change)


REPLACED = {"actions": ["delete", "create"], "after": {"hash_key": "itemNo"}, "replace_paths": [["hash_key"]]}
REMOVED = {"actions": ["delete"], "action_reason": "delete_because_no_module"}


class GuardTest(unittest.TestCase):
    def allow(self, *resources, holds=(2, False), confirm=""):
        """What is said about a plan; a Failure if it stops."""
        found = {"problem": "no access"} if holds is None else {"count": holds[0], "more": holds[1]}
        with (
            mock.patch.object(guard, "count", side_effect=lambda stores, *_: [found] * len(stores)),
            mock.patch.dict(os.environ, CONFIRM=confirm),
            contextlib.redirect_stdout(io.StringIO()) as said,
        ):
            guard.allow({"resource_changes": list(resources)}, "us-east-1", True)
        return said.getvalue()

    def stops(self, *resources, **how):
        with self.assertRaises(Failure) as raised:
            self.allow(*resources, **how)
        return str(raised.exception)

    def test_a_table_with_items_is_not_replaced_unless_that_is_confirmed(self):
        self.assertEqual(self.stops(items("chunked", **REPLACED)), "\n".join([
            "this would delete what is stored:",
            "  table a-chunked-items with 2 items: replaced, because hash_key changes from id to itemNo",
            "Nothing was changed. To keep it, stay with the key field id; to give it up, say CONFIRM=yes",
        ]))
        self.assertEqual(self.allow(items("chunked", **REPLACED), confirm="yes"),
                         "deleting table a-chunked-items with 2 items: replaced, because hash_key changes from id to itemNo\n")
        self.assertIn("CONFIRM=yes", self.stops(items("chunked", **REPLACED), confirm="no"))

    def test_a_pipeline_that_holds_anything_is_not_removed_unasked(self):
        told = self.stops(items("sync", **REMOVED), bucket("sync", **REMOVED), holds=(1, False))
        self.assertIn("  table a-sync-items with 1 item: removed, because pipeline sync is not among those to deploy", told)
        self.assertIn("  bucket a-sync-input with 1 object: removed", told)
        self.assertIn("To keep it, stay with pipeline sync; to give it up", told)

    def test_a_table_that_another_variant_does_without_is_not_removed_unasked(self):
        told = self.stops(items("own", ["delete"], action_reason="delete_because_count_index"))
        self.assertIn("its pipeline has no use for it any more", told)

    def test_a_table_that_other_processors_do_without_is_not_removed_unasked(self):
        gone = {"actions": ["delete"], "action_reason": "delete_because_count_index"}
        self.assertEqual(self.stops(items("own", **gone)), "\n".join([
            "this would delete what is stored:",
            "  table a-own-items with 2 items: removed, because its pipeline has no use for it any more",
            "Nothing was changed. To keep it, stay with items among the pipeline's PROCESSORS; to give it up, say CONFIRM=yes",
        ]))
        counters = resource('module.pipeline["own"].aws_dynamodb_table.counters[0]', before={"name": "a-own-counters"}, **gone)
        self.assertIn("stay with aggregate among the pipeline's PROCESSORS;", self.stops(counters))
        tasks = resource('module.pipeline["own"].aws_dynamodb_table.tasks[0]', before={"name": "a-own-tasks"}, **gone)
        self.assertIn("stay with the pipeline's variant;", self.stops(tasks))

    def test_who_waits_for_reports_is_not_forgotten_unasked(self):
        sockets = resource("module.sockets[0].aws_dynamodb_table.this", ["delete"], {"name": "a-sockets"}, action_reason="delete_because_no_module")
        self.assertEqual(self.stops(sockets), "\n".join([
            "this would delete what is stored:",
            "  table a-sockets with 2 items: removed, because nobody can connect any more to wait for reports",
            "Nothing was changed. To keep it, stay with API=true and a pipeline that makes reports; to give it up, say CONFIRM=yes",
        ]))

    def test_a_destroy_says_what_it_deletes(self):
        told = self.stops(items("chunked", ["delete"]), holds=(100_000, True))
        self.assertIn("with more than 100,000 items: removed\nNothing was changed. To give it up, say CONFIRM=yes", told)

    def test_what_cannot_be_counted_is_not_taken_for_empty(self):
        self.assertIn("with an unknown number of items (no access)", self.stops(items("chunked", **REPLACED), holds=None))

    def test_what_is_empty_or_only_changed_or_built_goes_on(self):
        self.assertEqual(self.allow(items("chunked", **REPLACED), bucket("sync", **REMOVED), holds=(0, False)), "")
        package = resource("module.package.aws_s3_bucket.this", ["delete"], {"bucket": "a-package", "force_destroy": True})
        self.assertEqual(self.allow(items("chunked", ["update"]), bucket("chunked", ["create"]), package), "")

    def test_protected_data_is_not_half_deleted_even_if_that_is_confirmed(self):
        for change in (items("chunked", **REPLACED, protected=True), bucket("sync", **REMOVED, protected=True)):
            told = self.stops(change, confirm="yes")
            self.assertRegex(told, "data that is protected, in a-(.|\n)*first run `make deploy` with PROTECT_DATA=false")
        # AWS refuses to delete even an empty table that is protected, but not an empty bucket.
        self.stops(items("chunked", **REPLACED, protected=True), holds=(0, False), confirm="yes")
        self.assertEqual(self.allow(bucket("sync", **REMOVED, protected=True), holds=(0, False)), "")


class ContentsTest(unittest.TestCase):
    def table(self, *pages):
        client = mock.Mock()
        client.get_paginator.return_value.paginate.return_value = iter([{"Count": count} for count in pages])
        return client

    def test_a_table_is_counted_until_it_is_clear_that_it_is_large(self):
        self.assertEqual(contents.items(self.table(0), "t"), (0, False))
        self.assertEqual(contents.items(self.table(60_000, 40_000), "t"), (100_000, False))

        def pages():
            yield from ({"Count": 60_000}, {"Count": 60_000})
            raise AssertionError("a third page was read")

        client = self.table()
        client.get_paginator.return_value.paginate.return_value = pages()
        self.assertEqual(contents.items(client, "t"), (100_000, True))

    def test_every_version_in_a_bucket_counts(self):
        client = mock.Mock()
        client.list_object_versions.return_value = {"Versions": [{}, {}], "DeleteMarkers": [{}], "IsTruncated": False}
        self.assertEqual(contents.objects(client, "b"), (3, False))
        client.list_object_versions.return_value = {"IsTruncated": False}
        self.assertEqual(contents.objects(client, "b"), (0, False))

    def test_what_is_gone_holds_nothing_and_what_is_refused_is_told(self):
        client = mock.Mock()
        for code, expected in [("NoSuchBucket", {"count": 0, "more": False}), ("AccessDenied", {"problem": mock.ANY})]:
            error = botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "no"}}, "ListObjectVersions")
            client.list_object_versions.side_effect = error
            self.assertEqual(contents.contents({"bucket": client}, "bucket", "b"), expected)


class CarryOutTest(Scratch):
    """Tests of planning and applying with Terraform in the form of a shell script, which notes what it was called with."""

    def carry_out(self, plan, *flags, emulator=True, state=True, **environment):
        self.calls = self.scratch / "calls"
        self.file("plan.json", json.dumps(plan))
        fake = self.file("terraform", f"""#!/bin/bash
            echo "${{@:2}}" >>{self.calls}
            case $2 in plan) exit 2 ;; show) cat {self.scratch}/plan.json ;; esac
        """)
        fake.chmod(0o755)
        if state:
            self.file("terraform.tfstate", '{"version": 4, "outputs": {"deployment": {"value": {"region": "us-east-1"}}}}')
        options = argparse.Namespace(emulator=emulator)
        with (
            mock.patch.dict(os.environ, {"TERRAFORM": str(fake), "CONFIRM": "", **environment}),
            mock.patch.object(terraform, "cli_config", return_value=""),
            mock.patch.object(guard, "count", return_value=[{"count": 2, "more": False}]),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            runner = terraform.Terraform(self.scratch / "work")
            deployment.carry_out(runner, options, self.scratch / "terraform.tfstate", {}, *flags)

    def called(self):
        return [line.split() for line in self.calls.read_text().splitlines()]

    def test_the_plan_that_was_checked_is_the_one_that_is_applied(self):
        self.carry_out({"resource_changes": [items("chunked", **REPLACED)]}, CONFIRM="yes")
        plan, show, apply = self.called()
        file = str(self.scratch / "work" / "plan")
        self.assertIn(f"-out={file}", plan)
        self.assertEqual((show[0], show[-1], apply[0], apply[-1]), ("show", file, "apply", file))

    def test_nothing_is_applied_when_a_filled_table_would_go(self):
        with self.assertRaisesRegex(Failure, "with 2 items"):
            self.carry_out({"resource_changes": [items("chunked", **REPLACED)]})
        self.assertEqual([call[0] for call in self.called()], ["plan", "show"])

    def test_a_destroy_is_checked_like_a_deployment(self):
        with self.assertRaisesRegex(Failure, "with 2 items"):
            self.carry_out({"resource_changes": [items("chunked", ["delete"])]}, "-destroy")
        self.assertEqual([call[0] for call in self.called()], ["plan", "show"])

    def test_a_destroy_in_aws_asks_even_if_nothing_is_stored(self):
        for answer, calls in [("yes", ["plan", "show", "apply"]), ("y", ["plan", "show"])]:
            stop = contextlib.nullcontext() if answer == "yes" else self.assertRaisesRegex(Failure, "nothing was removed")
            with mock.patch.object(sys, "stdin", mock.Mock(isatty=lambda: True)), mock.patch("builtins.input", return_value=answer):
                with stop:
                    self.carry_out({}, "-destroy", emulator=False)
            self.assertEqual([call[0] for call in self.called()], calls)
            self.calls.unlink()
        with mock.patch.object(sys, "stdin", mock.Mock(isatty=lambda: False)), self.assertRaisesRegex(Failure, "say CONFIRM=yes"):
            self.carry_out({}, "-destroy", emulator=False)

    def test_a_second_deployment_of_the_same_state_waits_before_it_reads_it(self):
        state, order, first_in = self.scratch / "deep" / "terraform.tfstate", [], threading.Event()
        said = io.StringIO()

        def second():
            with contextlib.redirect_stdout(said), deployment.alone(state):
                order.append("second")

        other = threading.Thread(target=second)
        with deployment.alone(state):
            other.start()
            while "waiting for another deployment" not in said.getvalue():
                first_in.wait(0.01)
            order.append("first")
        other.join()
        self.assertEqual(order, ["first", "second"])


if __name__ == "__main__":
    unittest.main()

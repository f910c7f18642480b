"""Tests of how a deployment is applied: once more if AWS was not ready, and with a state in a bucket.

Run them with the Python that `emulator.py python` prints.
"""

import argparse
import contextlib
import io
import json
import os
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import backend
import deployment
import terraform
from scratch import ROOT, Scratch
from toolbox import Failure


class UnsettledTest(Scratch):
    """Tests of an apply that AWS refuses because it does not know yet of what was made, with a Terraform that says so."""

    REFUSAL = "\\033[31m│\\033[0m Error: creating S3 Bucket (in) Notification: InvalidArgument: Unable to validate the\n\\033[31m│\\033[0m following destination configurations"

    def setUp(self):
        super().setUp()
        self.calls = self.scratch / "calls"
        self.state = self.scratch / "terraform.tfstate"

    def apply(self, refusals, refusal=REFUSAL, destroy=False, emulator=False):
        """Applies with a Terraform whose first applies are refused."""
        refused = self.scratch / "refused"
        refused.write_text("x" * refusals)
        script = f"""
            echo "$2 $(printf '%s\\n' "$@" | grep parallelism)" >>{self.calls}
            case $2 in plan) exit 2;; show) echo '{{}}';; esac
            if [ "$2" = apply ] && [ -s {refused} ]; then
                truncate -s -1 {refused}; printf '{refusal}\\n' >&2; exit 1
            fi"""
        fake = self.file("terraform", f"#!/bin/bash\n{script}\n")
        fake.chmod(0o755)
        options = argparse.Namespace(emulator=emulator)
        with mock.patch.dict(os.environ, TERRAFORM=str(fake), CONFIRM="yes"), contextlib.redirect_stderr(io.StringIO()) as said:
            with contextlib.redirect_stdout(io.StringIO()), mock.patch.object(terraform, "cli_config", return_value=""):
                deployment.carry_out(terraform.Terraform(self.scratch / "work"), options, self.state, {}, *["-destroy"] * destroy)
        return said.getvalue()

    def called(self):
        return self.calls.read_text().split("\n")[:-1]

    def test_it_goes_on_once_and_shows_what_it_was_refused(self):
        self.assertIn("Unable to validate the\n", self.apply(1))
        self.assertEqual(self.called(), ["plan ", "apply -parallelism=10"] * 2)

    def test_it_goes_on_after_overlapping_changes_of_a_bucket(self):
        self.apply(1, refusal="Error: OperationAborted: A conflicting conditional operation is currently in progress")
        self.assertEqual(len(self.called()), 4)

    def test_it_goes_on_no_more_than_once(self):
        with self.assertRaisesRegex(Failure, "terraform apply failed"):
            self.apply(2)
        self.assertEqual(len(self.called()), 4)

    def test_any_other_failure_ends_it(self):
        with self.assertRaisesRegex(Failure, "terraform apply failed"):
            self.apply(1, refusal="Error: AccessDenied")
        self.assertEqual(len(self.called()), 2)

    def test_a_destroy_is_not_repeated(self):
        with self.assertRaisesRegex(Failure, "terraform apply failed"):
            self.apply(1, destroy=True)
        self.assertEqual(len(self.called()), 2)

    def test_an_emulator_makes_more_at_once(self):
        self.apply(0, emulator=True)
        self.assertEqual(self.called(), ["plan ", "apply -parallelism=30"])


class BackendTest(Scratch):
    """Tests of a state in a bucket, with a Terraform that keeps one in a file."""

    LOCAL = json.dumps({"version": 4, "lineage": "one", "resources": [], "outputs": {"deployment": {"value": {"region": "eu-west-1"}}}})

    def setUp(self):
        super().setUp()
        self.calls, self.kept = self.scratch / "calls", self.scratch / "kept"
        self.state = self.scratch / "state" / "terraform.tfstate"
        self.state.parent.mkdir()
        script = f"""
            if [ "$2" = state ]; then what="state $3"; else what="$2 $(printf '%s\\n' "$@" | grep -e -state=)"; fi
            echo "$what" >>{self.calls}
            case "$2 $3" in
                "state pull") cat {self.kept} 2>/dev/null || echo '{{"version": 4, "serial": 0, "lineage": "", "outputs": {{}}, "resources": []}}';;
                "state push") cp "$4" {self.kept};;
                apply*) echo '{{"version": 4, "outputs": {{"deployment": {{"value": {{"region": "eu-north-1"}}}}}}}}' >{self.kept};;
                plan*) exit 2;;
                show*) echo '{{}}';;
            esac"""
        self.fake = self.file("terraform", f"#!/bin/bash\n{script}\n")
        self.fake.chmod(0o755)

    def apply(self, command=deployment.apply, **given):
        options = argparse.Namespace(work=self.scratch / "work", state=self.state, output=self.scratch / "out.json",
                                     package=None, press=None, emulator=False, fanfold=None)
        environment = {"PATH": os.environ["PATH"], "TERRAFORM": str(self.fake), "SCOPE": "a-", "CONFIRM": "yes", **given}
        with mock.patch.dict(os.environ, environment, clear=True), contextlib.redirect_stdout(io.StringIO()) as said:
            with mock.patch.object(terraform, "cli_config", return_value=""):
                command(options)
        return said.getvalue()

    def called(self):
        calls = [" ".join(call.split()) for call in self.calls.read_text().splitlines()]
        self.calls.unlink()
        return calls

    def test_the_configuration_names_the_bucket_and_a_lock_in_it(self):
        where = {"bucket": "b", "key": "fanfold/a-terraform.tfstate", "region": "eu-west-1"}
        self.assertEqual(backend.block(where, emulator=False), """terraform {
  required_version = ">= 1.10"

  backend "s3" {
    bucket = "b"
    key = "fanfold/a-terraform.tfstate"
    region = "eu-west-1"
    use_lockfile = true
  }
}
""")
        self.assertIn("    use_path_style = true\n", backend.block(where, emulator=True))

    def test_the_state_is_that_of_the_bucket(self):
        self.apply(STATE_BUCKET="b")
        self.assertEqual(self.called(), ["init", "state pull", "plan", "apply", "state pull"])
        self.assertEqual(json.loads((self.scratch / "out.json").read_text()), {"region": "eu-north-1"})
        root = self.scratch / "work" / "remote" / "infra"
        self.assertIn('bucket = "b"\n', (root / "backend.tf").read_text())
        self.assertTrue((root / "main.tf").is_file() and (root / "modules").is_dir() and (root / "../examples/orders.schema.json").is_file())
        self.assertFalse((ROOT / "infra" / "backend.tf").exists())

    def test_a_deployment_stays_in_its_bucket_when_that_is_not_named_again(self):
        self.apply(STATE_BUCKET="b")
        self.called()
        self.apply()
        self.assertIn("state pull", self.called())
        with self.assertRaisesRegex(Failure, "the state of SCOPE=a- is in the bucket b, not in c"):
            self.apply(STATE_BUCKET="c")

    def test_a_file_moves_to_the_bucket(self):
        self.state.write_text(self.LOCAL)
        self.assertIn("the state is now s3://b/fanfold/a-terraform.tfstate", self.apply(STATE_BUCKET="b"))
        self.assertEqual(self.called()[:4], ["init", "state pull", "state push", "state pull"])
        self.assertEqual(self.state.with_name("terraform.tfstate.moved").read_text(), self.LOCAL)

    def test_a_file_is_not_moved_over_what_is_in_the_bucket(self):
        self.state.write_text(self.LOCAL)
        other = self.LOCAL.replace("one", "another")
        self.kept.write_text(other)
        with self.assertRaisesRegex(Failure, "there are two states of SCOPE=a-, .*terraform.tfstate and s3://b/fanfold/a-terraform.tfstate"):
            self.apply(STATE_BUCKET="b")
        self.assertEqual((self.kept.read_text(), self.state.read_text()), (other, self.LOCAL))

    def test_a_move_that_was_not_written_down_is_not_made_again(self):
        self.state.write_text(self.LOCAL)
        self.kept.write_text(self.LOCAL)
        self.apply(STATE_BUCKET="b")
        self.assertNotIn("state push", self.called())

    def test_another_machine_reads_what_is_deployed_from_the_bucket(self):
        self.kept.write_text(self.LOCAL)
        self.apply(deployment.output, STATE_BUCKET="b")
        self.assertEqual(json.loads((self.scratch / "out.json").read_text()), {"region": "eu-west-1"})

    def test_what_is_in_the_bucket_can_be_destroyed(self):
        self.kept.write_text(self.LOCAL)
        self.apply(deployment.destroy, STATE_BUCKET="b")
        self.assertIn("apply", self.called())

    def test_without_a_bucket_the_state_is_a_file(self):
        self.state.write_text(self.LOCAL)
        self.apply()
        self.assertEqual(self.called(), ["init", f"plan -state={self.state}", "show",
                                         f"apply -state={self.state}"])


if __name__ == "__main__":
    unittest.main()

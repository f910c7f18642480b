"""Tests of how a deployment is made: providers, Terraform, settings, the state.

Run them with the Python that `emulator.py python` prints.
"""

import argparse
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import deployment
import emulator
import settings
import terraform
from scratch import ROOT, Scratch
from toolbox import Failure


class MirrorTest(Scratch):
    HERE = "providers/registry.example/hashicorp/aws"

    def found(self):
        return terraform.find_mirror([(self.scratch, 1)])

    def test_finds_unpacked_providers(self):
        self.file(f"{self.HERE}/5.100.0/{terraform.this_platform()}/terraform-provider-aws")
        self.assertEqual(self.found(), self.scratch / "providers")

    def test_finds_packed_providers(self):
        self.file(f"{self.HERE}/terraform-provider-aws_5.101.0_{terraform.this_platform()}.zip")
        self.assertEqual(self.found(), self.scratch / "providers")

    def test_passes_over_other_versions_and_platforms(self):
        self.file(f"{self.HERE}/5.99.0/{terraform.this_platform()}/terraform-provider-aws")
        self.file(f"{self.HERE}/6.0.0/{terraform.this_platform()}/terraform-provider-aws")
        self.file(f"{self.HERE}/5.100.0/plan9_mips/terraform-provider-aws")
        self.assertIsNone(self.found())

    def test_the_users_own_configuration_is_kept(self):
        self.file(f"{self.HERE}/5.100.0/{terraform.this_platform()}/terraform-provider-aws")
        own = self.file("terraformrc", "disable_checkpoint = true\n")
        mirror = str(self.scratch / "providers")
        with mock.patch.dict(os.environ, TF_CLI_CONFIG_FILE=str(own), TF_MIRROR=mirror):
            text = terraform.cli_config()
        self.assertIn("disable_checkpoint = true", text)
        self.assertIn(f'path    = "{mirror}"', text)
        own.write_text('provider_installation {\n  network_mirror { url = "https://mirror.example/" }\n}\n')
        with mock.patch.dict(os.environ, TF_CLI_CONFIG_FILE=str(own), TF_MIRROR=""):
            self.assertEqual(terraform.cli_config(), own.read_text())

    def test_a_mirror_without_the_provider_is_refused(self):
        with mock.patch.dict(os.environ, TF_MIRROR=str(self.scratch)):
            with self.assertRaisesRegex(Failure, "TF_MIRROR=.* holds no hashicorp/aws"):
                terraform.cli_config()


class TerraformTest(Scratch):
    def terraform(self, script):
        """Terraform in the form of a shell script."""
        fake = self.file("terraform", f"#!/bin/bash\n{script}\n")
        fake.chmod(0o755)
        self.enterContext(mock.patch.dict(os.environ, TERRAFORM=str(fake)))
        with mock.patch.object(terraform, "cli_config", return_value=""):
            return terraform.Terraform(self.scratch / "work")

    def test_only_the_first_interrupt_reaches_terraform_and_it_may_finish(self):
        started, interrupts = self.scratch / "started", self.scratch / "interrupts"
        fake = self.terraform(
            f"trap 'echo >>{interrupts}' INT; touch {started}; until [ -f {self.scratch}/end ]; do sleep 0.01; done"
        )

        def press():
            while not started.exists():
                time.sleep(0.01)
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)
                while not interrupts.exists():
                    time.sleep(0.01)
            self.file("end")

        presses = threading.Thread(target=press)
        presses.start()
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(KeyboardInterrupt):
            fake.stream("apply", keep="x")
        presses.join()
        self.assertEqual(interrupts.read_text(), "\n")
        self.assertEqual(said.getvalue().count("writes its state"), 1)

    def test_what_terraform_waits_for_is_said_from_time_to_time(self):
        lines = "\n".join(f"echo 'queue{n}: Still creating... [{n}0s elapsed]'" for n in range(1, 10))
        told = io.StringIO()
        clock = iter(range(0, 1000, 10))
        with mock.patch.object(terraform.time, "monotonic", side_effect=lambda: next(clock)):
            with contextlib.redirect_stdout(told):
                self.terraform(lines).stream("apply", keep="^Apply complete")
        shown = told.getvalue().splitlines()
        self.assertTrue(0 < len(shown) < 9, shown)

    def test_a_damaged_state_is_restored_from_its_backup_or_told(self):
        state = self.file("terraform.tfstate", "")
        with self.assertRaisesRegex(Failure, "is damaged, and there is no backup"):
            deployment.read_state(state)
        backup = self.file("terraform.tfstate.backup", '{"version": 4, "serial": 7}')
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(deployment.read_state(state)["serial"], 7)
        self.assertIn("was damaged; restored from terraform.tfstate.backup", said.getvalue())
        self.assertEqual(state.read_text(), backup.read_text())
        self.assertEqual(deployment.read_state(self.scratch / "none"), {})


class SettingsTest(Scratch):
    def variables(self, deployed=None, emulator=False, **given):
        options = argparse.Namespace(package=None, emulator=emulator)
        with mock.patch.dict(os.environ, given, clear=True):
            return settings.variables(options, deployed)

    def test_what_is_not_set_keeps_its_default(self):
        self.assertEqual(self.variables(SCOPE="a-", KEY_FIELD="", CHUNK_SIZE=""), {"TF_VAR_scope": "a-"})

    def test_settings_become_variables(self):
        schema = self.file("my.schema.json", "{}")
        given = self.variables(KEY_FIELD="zip_code", CHUNK_SIZE="7", SCHEMA=os.path.relpath(schema), ARCH="arm64",
                               WRITE_MODE="ordered", RESULTS="failed", STALL_AFTER="60", GIVE_UP_AFTER="3600",
                               KMS_KEY_ARN="arn:aws:kms:…", ALARM_EMAIL="a@example.com")
        self.assertEqual(given, {
            "TF_VAR_key_field": "zip_code", "TF_VAR_chunk_size": "7",
            "TF_VAR_record_schema": str(schema), "TF_VAR_architecture": "arm64",
            "TF_VAR_write_mode": "ordered", "TF_VAR_results": "failed",
            "TF_VAR_stall_after": "60", "TF_VAR_give_up_after": "3600",
            "TF_VAR_kms_key_arn": "arn:aws:kms:…", "TF_VAR_alarm_email": "a@example.com",
        })

    def test_every_setting_is_a_variable_that_the_makefile_hands_on(self):
        declared = re.findall(r'^variable "(\w+)"', (ROOT / "infra/variables.tf").read_text(), re.M)
        self.assertLessEqual(set(settings.PLAIN_SETTINGS.values()), set(declared))
        exported = " ".join(re.findall(r"^export ([A-Z_ ]+)$", (ROOT / "Makefile").read_text(), re.M)).split()
        self.assertLessEqual(set(settings.PLAIN_SETTINGS), set(exported))

    def test_every_variant_is_a_feature_of_every_package(self):
        variants = list(json.loads((ROOT / "infra/variants.json").read_text()))
        known = ", ".join(f'"{variant}"' for variant in variants)
        for package in ["", "crates/lambda/", "crates/cli/"]:
            self.assertIn(f"default = [{known}]\n", (ROOT / package / "Cargo.toml").read_text())

    def test_every_variant_is_measured_and_tested(self):
        variants = " ".join(json.loads((ROOT / "infra/variants.json").read_text()))
        done = subprocess.run(["make", "-pn", "help"], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertIn(f"ALL_VARIANTS := {variants}\n", done.stdout)

    def test_a_schema_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(Failure, "SCHEMA=none.json names no file"):
            self.variables(SCHEMA="none.json")

    def pipelines(self, deployed=None, **given):
        return json.loads(self.variables(deployed, **given).get("TF_VAR_pipelines", "{}"))

    def test_a_pipeline_is_added_to_what_is_deployed_and_variants_replace_it(self):
        orders = {"variant": "ranged", "chunk_size": 7}
        deployed = {"pipelines": {"orders": {"definition": orders}}}
        sync, chunked = {"variant": "sync"}, {"variant": "chunked"}
        self.assertEqual(self.pipelines(deployed, PIPELINE="sync"), {"orders": orders, "sync": sync})
        self.assertEqual(self.pipelines(deployed, PIPELINE="orders"), {"orders": orders})
        self.assertEqual(self.pipelines(deployed, VARIANTS="sync, chunked"), {"sync": sync, "chunked": chunked})
        self.assertEqual(self.pipelines(deployed, VARIANTS="sync", KEEP_VARIANTS="yes"), {"orders": orders, "sync": sync})

    def test_a_deployment_of_an_earlier_version_stays(self):
        kept = self.pipelines({"variants": {"sync": {}}}, PIPELINE="chunked")
        self.assertEqual(kept, {"sync": {"variant": "sync"}, "chunked": {"variant": "chunked"}})

    def test_a_file_of_pipelines_says_all_that_is_deployed(self):
        schema = self.file("schemas/order.json", "{}")
        orders = {"variant": "ranged", "key_field": "id", "record_schema": "schemas/order.json"}
        file = self.file("pipelines.json", json.dumps({"orders": orders, "sync": {"variant": "sync"}}))
        deployed = {"pipelines": {"other": {"definition": {"variant": "chunked"}}}}
        self.assertEqual(self.pipelines(deployed, PIPELINES=str(file), PIPELINE="orders"),
                         {"orders": {**orders, "record_schema": str(schema)}, "sync": {"variant": "sync"}})

    def test_what_is_wrong_with_a_file_of_pipelines_is_told(self):
        for text, told in [
            ("{", "is not JSON"), ("[]", "a JSON object of pipelines by name"), ("{}", "a JSON object of pipelines"),
            ('{"orders": "ranged"}', "a JSON object of pipelines by name"),
            ('{"orders": {"chunksize": 5}}', "pipeline orders has no setting chunksize; there is variant, chunk_size"),
            ('{"orders": {"record_schema": "none.json"}}', "record_schema of pipeline orders names no file: .*none.json"),
        ]:
            file = self.file("pipelines.json", text)
            with self.assertRaisesRegex(Failure, told):
                self.pipelines(PIPELINES=str(file))
        with self.assertRaisesRegex(Failure, "PIPELINES=none.json cannot be read: No such file"):
            self.pipelines(PIPELINES="none.json")
        with self.assertRaisesRegex(Failure, "give one of them"):
            self.pipelines(PIPELINES=str(file), VARIANTS="sync")

    def test_a_pipeline_that_nobody_defined_is_refused(self):
        with self.assertRaisesRegex(Failure, r"orders is neither a variant \(sync, .*\) nor a pipeline that is deployed \(none\)"):
            self.pipelines(PIPELINE="orders")

    def test_a_pipelines_settings_are_those_that_terraform_knows(self):
        text = (ROOT / "infra/variables.tf").read_text()
        block = re.search(r'variable "pipelines" {.*?object\({\n(.*?)}\)\)', text, re.S).group(1)
        self.assertEqual(re.findall(r"^ +(\w+) += optional", block, re.M), settings.PIPELINE_SETTINGS)

    def test_only_an_emulators_data_is_unprotected(self):
        self.assertEqual(self.variables(emulator=True)["TF_VAR_protect_data"], "false")
        self.assertNotIn("TF_VAR_protect_data", self.variables())

    def test_only_an_emulator_goes_without_alarms(self):
        self.assertEqual(self.variables(emulator=True)["TF_VAR_alarms"], "false")
        self.assertNotIn("TF_VAR_alarms", self.variables())

    def test_another_region_is_refused(self):
        with mock.patch.dict(os.environ, {"AWS_REGION": "eu-west-1", "SCOPE": "a-"}):
            with self.assertRaisesRegex(Failure, "is deployed in us-east-1, not in eu-west-1"):
                deployment.refuse_other_region({"region": "us-east-1"})


class StateTest(Scratch):
    def setUp(self):
        super().setUp()
        bucket = {"type": "aws_s3_bucket", "instances": [{"attributes": {"bucket": "in"}}]}
        output = {"deployment": {"value": {"region": "us-east-1"}}}
        self.state = self.file("terraform.tfstate", json.dumps({"version": 4, "resources": [bucket], "outputs": output}))

    def meet(self, status):
        answer = mock.patch.object(deployment, "status_of", side_effect=lambda url: status.get(Path(url).name, 200))
        with answer, mock.patch.dict(os.environ, AWS_ENDPOINT_URL="http://127.0.0.1:4566"):
            deployment.meet_emulator(self.state)

    def test_what_is_deployed(self):
        self.assertEqual(deployment.deployed_in(self.state), {"region": "us-east-1"})
        self.assertIsNone(deployment.deployed_in(self.scratch / "none"))

    def test_a_state_is_forgotten_when_its_buckets_are_gone(self):
        self.meet({"in": 200})
        self.assertTrue(self.state.exists())
        self.meet({"in": 404})
        self.assertFalse(self.state.exists())

    def test_a_protected_deployment_is_not_half_destroyed(self):
        table = {"type": "aws_dynamodb_table", "instances": [{"attributes": {"deletion_protection_enabled": True}}]}
        self.state.write_text(json.dumps({"version": 4, "resources": [table]}))
        options = argparse.Namespace(work=self.scratch / "work", state=self.state, emulator=False, package=None)
        with self.assertRaisesRegex(Failure, "protected; .* PROTECT_DATA=false"):
            deployment.destroy(options)

    def test_an_emulator_that_does_not_answer_is_named(self):
        endpoint = f"http://127.0.0.1:{emulator.free_port()}"
        with mock.patch.dict(os.environ, AWS_ENDPOINT_URL=endpoint):
            with self.assertRaisesRegex(Failure, f"nothing answers at {endpoint}: run `make start`"):
                deployment.meet_emulator(self.state)
        self.assertTrue(self.state.exists())


if __name__ == "__main__":
    unittest.main()

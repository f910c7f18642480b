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

    def test_a_plan_that_does_not_end_is_ended_with_all_that_it_started(self):
        child = self.scratch / "child"
        fake = self.terraform(f"trap '' INT; sleep 60 & echo $! >{child}.new; mv {child}.new {child}; wait; wait")

        def press():
            while not child.exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        presses = threading.Thread(target=press)
        presses.start()
        began = time.monotonic()
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(KeyboardInterrupt):
            fake.stream("plan", keep="x")
        presses.join()
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(said.getvalue(), "")
        # Whoever takes on the orphan removes it from the list of processes.
        status = Path("/proc", child.read_text().strip(), "stat")
        for _ in range(500):
            if not status.exists() or ") Z" in status.read_text():
                return
            time.sleep(0.01)
        self.fail("it left a process")

    def test_an_interrupt_before_terraform_is_there_is_not_lost(self):
        fake = self.terraform("exec sleep 60")
        start = subprocess.Popen

        def interrupted(*arguments, **options):
            os.kill(os.getpid(), signal.SIGINT)
            return start(*arguments, **options)

        began = time.monotonic()
        with mock.patch.object(terraform.subprocess, "Popen", side_effect=interrupted):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(KeyboardInterrupt):
                fake.stream("apply", keep="x")
        self.assertLess(time.monotonic() - began, 30)

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


def outputs_of(variables):
    """Terraform's outputs, as infra/tests/kept.tftest.hcl has them, after a deployment with these variables."""
    value = {name.removeprefix("TF_VAR_"): text for name, text in variables.items()}
    typed = {name: typed_as_terraform_does(value[name]) for name in json.loads(value["given"])}
    pipelines = json.loads(value.get("pipelines", '{"chunked": {"variant": "chunked"}}'))
    texts = [typed, *pipelines.values()]
    for settings_of_one in texts:
        if "record_schema" in settings_of_one:
            settings_of_one["record_schema"] = Path(settings_of_one["record_schema"]).read_text()
    deployed = {"pipelines": {name: {"definition": definition} for name, definition in pipelines.items()}}
    return {"deployment": {"value": deployed}, "settings": {"value": typed}}


def typed_as_terraform_does(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


class SettingsCase(Scratch):
    def variables(self, outputs=None, emulator=False, **given):
        options = argparse.Namespace(package=None, press=None, emulator=emulator, work=self.scratch / "work")
        with mock.patch.dict(os.environ, given, clear=True):
            return settings.variables(options, outputs or {}, settings.given_settings())

    def kept(self, outputs, **given):
        with mock.patch.dict(os.environ, given, clear=True):
            return settings.told(settings.given_settings(), settings.kept_settings(outputs))


class KeptTest(SettingsCase):
    """Tests of what stays from one deployment to the next."""

    def setUp(self):
        super().setUp()
        self.values = {
            "ALARM_EMAIL": "a@example.com", "API": "true", "API_JWT": '{"audience": ["fanfold"], "issuer": "https://issuer.example.com"}', "ARCH": "arm64", "CHUNK_SIZE": "7", "FAIR_BY": "prefix", "FORMAT": '{"delimiter": ";"}', "GIVE_UP_AFTER": "3600", "INPUT_PREFIX": "incoming/",
            "INPUT_SUFFIX": ".csv", "ITEM_ATTRIBUTES": "bare", "KEY_FIELD": "id",
            "KMS_KEY_ARN": "arn:aws:kms:…", "LIMITS": '{"dollars": 5}', "PROCESSORS": '["custom"]', "PROTECT_DATA": "false", "RESULTS": "failed", "TOLERATE": "5%",
            "SCHEMA": str(self.file("a.json", "{}")), "STALL_AFTER": "60", "WRITE_MODE": "ordered", "TF_VAR_alarm_age": "60",
            "TF_VAR_alarms": "false", "TF_VAR_batch_size": "2", "TF_VAR_concurrency": "3", "TF_VAR_log_level": "warn",
            "TF_VAR_log_retention_days": "30", "TF_VAR_memory": '{"process": 256}', "TF_VAR_records_rate": "7", "TF_VAR_sweep_rate": "rate(2 minutes)",
            "OUTPUT_EXPIRY_DAYS": "90", "RECORDS_API": "IAM", "RECORDS_BY": "table", "RECORDS_CONCURRENCY": "5", "REPORTS": "true", "SCATTER_CONCURRENCY": "3", "UPLOADER_ARNS": '["arn:aws:iam::123456789012:role/uploads"]', "WEBHOOKS": '{"urls": ["https://example.com/hooks/"]}', "TF_VAR_timeout": '{"bury": 60}',
        }

    def seen(self, variables, name):
        value = variables.get(f"TF_VAR_{settings.SETTINGS[name]}")
        return Path(value).read_text() if name == "SCHEMA" and value else value

    def keys(self, variables):
        """The key of each table of items; where another one follows, Terraform replaces the table."""
        pipelines = json.loads(variables.get("TF_VAR_pipelines", '{"chunked": {}}'))
        default = variables.get("TF_VAR_key_field", "itemNo")
        return {name: definition.get("key_field", default) for name, definition in pipelines.items()}

    def test_every_setting_stays_when_any_other_is_given(self):
        self.assertEqual(set(self.values), set(settings.SETTINGS))
        for first, value in self.values.items():
            before = self.variables(**{first: value})
            for second in set(self.values) - {first}:
                after = self.variables(outputs_of(before), **{second: self.values[second]})
                for given in (after, self.variables(outputs_of(after))):
                    for name in (first, second):
                        expected = "{}" if name == "SCHEMA" else self.values[name]
                        self.assertEqual(self.seen(given, name), expected, f"{name} after {first}, then {second}")
                    if second != "KEY_FIELD":
                        self.assertEqual(self.keys(given), self.keys(before), f"{first}, then {second}")

    def test_every_setting_of_a_pipeline_stays_when_any_other_is_given(self):
        own = {"variant": "ranged", "chunk_size": 5, "timeout": {"process": 300}, "format": {"delimiter": ";"}, "input_prefix": "readings/", "input_suffix": ".json",
               "key_field": "sensor", "limits": {"dollars": 5}, "record_schema": "a.json", "records_api": "KEY", "records_by": "table", "reports": True, "results": "none", "write_mode": "ordered",
               "fair_by": "prefix", "processors": ["items", {"aggregate": {"group_by": ["client"]}}], "tolerate": 1000,
               "webhooks": {"secrets": ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"], "urls": ["https://example.com/hooks/"]}}
        self.assertEqual(set(own), set(settings.PIPELINE_SETTINGS))
        file = self.file("pipelines.json", json.dumps({"readings": own}))
        before = self.variables(PIPELINES=str(file))
        outputs = outputs_of(before)
        self.file("a.json", "another")
        for name, value in self.values.items():
            after = self.variables(outputs, **{name: value})
            readings = json.loads(after["TF_VAR_pipelines"])["readings"]
            self.assertEqual({**readings, "record_schema": Path(readings["record_schema"]).read_text()},
                             {**own, "record_schema": "{}", **{name: json.dumps(own[name]) for name in ("format", "limits", "processors", "webhooks")}}, name)
            self.assertEqual(self.keys(after), self.keys(before), name)

    def test_what_is_given_as_empty_goes_back_to_its_default(self):
        for name, value in self.values.items():
            outputs = outputs_of(self.variables(**{name: value, "RESULTS": "none"}))
            after = self.variables(outputs, RESET=name, **{name: ""})
            self.assertIsNone(self.seen(after, name), name)
            self.assertEqual(self.seen(after, "RESULTS"), None if name == "RESULTS" else "none")
            self.assertIsNone(self.seen(self.variables(outputs_of(after)), name), name)

    def test_what_is_kept_is_told_by_the_names_that_give_it(self):
        schema = self.values["SCHEMA"]
        outputs = outputs_of(self.variables(KEY_FIELD="id", CHUNK_SIZE="7", SCHEMA=schema, TF_VAR_memory='{"process": 256}'))
        self.assertEqual(self.kept(outputs, CHUNK_SIZE="8"), "kept from the last deployment: KEY_FIELD=id, SCHEMA=(as it was),"
                         ' TF_VAR_memory={"process": 256}')
        self.assertEqual(self.kept(outputs, RESET="KEY_FIELD TF_VAR_memory SCHEMA", CHUNK_SIZE="7"), "")
        self.assertEqual(self.kept({}, CHUNK_SIZE="7"), "")

    def test_of_an_earlier_version_its_key_and_chunks_stay_and_all_else_has_its_default(self):
        parameters = {"key_field": "id", "chunk_size": 500, "concurrency": 50}
        for deployed in (
            {"variants": {"chunked": {"parameters": parameters}}},
            {"pipelines": {"chunked": {"parameters": parameters, "definition": {"variant": "chunked"}},
                           "own": {"parameters": {"key_field": "x"}, "definition": {"variant": "sync", "key_field": "x"}}}},
        ):
            given = self.variables({"deployment": {"value": deployed}}, RESULTS="all")
            self.assertEqual(json.loads(given["TF_VAR_given"]), ["item_attributes", "key_field", "results"])
            self.assertEqual((given["TF_VAR_key_field"], given["TF_VAR_item_attributes"]), ("id", "bare"))
        only = self.variables({"deployment": {"value": {"variants": {"chunked": {}}}}})
        self.assertEqual(json.loads(only["TF_VAR_given"]), ["item_attributes"])

    def test_a_path_that_an_earlier_version_kept_is_still_a_path(self):
        own = {"variant": "chunked", "record_schema": self.values["SCHEMA"]}
        outputs = {"deployment": {"value": {"pipelines": {"own": {"definition": own}}}}}
        self.assertEqual(json.loads(self.variables(outputs)["TF_VAR_pipelines"]), {"own": own})

    def test_what_only_an_emulator_needs_is_not_kept(self):
        given = self.variables(emulator=True, RESULTS="all", PROTECT_DATA="true")
        self.assertEqual(json.loads(given["TF_VAR_given"]), ["results"])

    def test_every_variable_is_kept_or_has_a_reason_not_to_be(self):
        text = "".join(file.read_text() for file in (ROOT / "infra").glob("variables*.tf"))
        declared = re.findall(r'^variable "(\w+)"', text, re.M)
        # The place, what is deployed there, and what the state says in another way.
        others = {"check_quotas", "emulator_endpoint", "given", "package", "pipelines", "press_package", "region", "s3_path_style", "scope", "variants"}
        self.assertEqual(set(settings.SETTINGS.values()), set(declared) - others)
        block = re.search(r"^  settings = {\n(.*?)^  }", (ROOT / "infra/main.tf").read_text(), re.M | re.S).group(1)
        self.assertEqual(set(re.findall(r"^    (\w+) +=", block, re.M)), set(settings.SETTINGS.values()))

    def test_every_setting_is_one_that_the_makefile_hands_on(self):
        handed = re.search(r"^settings := (.*)$", (ROOT / "Makefile").read_text(), re.M).group(1).split()
        self.assertEqual(handed, sorted(name for name in settings.SETTINGS if not name.startswith("TF_VAR_")))


class SettingsTest(SettingsCase):
    def test_what_is_not_set_keeps_its_default(self):
        self.assertEqual(self.variables(SCOPE="a-", KEY_FIELD="", CHUNK_SIZE="", TF_VAR_memory=""),
                         {"TF_VAR_scope": "a-", "TF_VAR_given": "[]"})

    def test_settings_become_variables(self):
        schema = self.file("my.schema.json", "{}")
        given = self.variables(KEY_FIELD="zip_code", CHUNK_SIZE="7", SCHEMA=os.path.relpath(schema), ARCH="arm64",
                               WRITE_MODE="ordered", RESULTS="failed", STALL_AFTER="60", GIVE_UP_AFTER="3600",
                               KMS_KEY_ARN="arn:aws:kms:…", ALARM_EMAIL="a@example.com", TF_VAR_alarm_age="60")
        names = json.loads(given.pop("TF_VAR_given"))
        self.assertEqual(names, sorted(name.removeprefix("TF_VAR_") for name in given))
        self.assertEqual(given, {
            "TF_VAR_key_field": "zip_code", "TF_VAR_chunk_size": "7",
            "TF_VAR_record_schema": str(schema), "TF_VAR_architecture": "arm64",
            "TF_VAR_write_mode": "ordered", "TF_VAR_results": "failed",
            "TF_VAR_stall_after": "60", "TF_VAR_give_up_after": "3600",
            "TF_VAR_kms_key_arn": "arn:aws:kms:…", "TF_VAR_alarm_email": "a@example.com", "TF_VAR_alarm_age": "60",
        })

    def test_a_list_is_given_in_json_or_with_commas_or_spaces(self):
        told = json.dumps(["arn:a", "arn:b"])
        for given in (told, "arn:a,arn:b", "arn:a arn:b", "arn:a, arn:b"):
            self.assertEqual(self.variables(UPLOADER_ARNS=given)["TF_VAR_uploader_arns"], told)
        kept = outputs_of(self.variables(UPLOADER_ARNS="arn:a"))
        self.assertEqual(self.variables(kept)["TF_VAR_uploader_arns"], '["arn:a"]')

    def test_every_variant_is_a_feature_of_every_package(self):
        variants = list(json.loads((ROOT / "infra/variants.json").read_text()))
        known = ", ".join(f'"{variant}"' for variant in variants)
        for package in ["", "crates/lambda/", "crates/cli/"]:
            self.assertRegex((ROOT / package / "Cargo.toml").read_text(), rf"\ndefault = \[{known}(, \"parquet\")?\]\n")

    def test_every_variant_is_measured_and_tested(self):
        variants = " ".join(json.loads((ROOT / "infra/variants.json").read_text()))
        done = subprocess.run(["make", "-pn", "help"], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertIn(f"ALL_VARIANTS := {variants}\n", done.stdout)

    def test_roles_name_the_folders_that_the_work_bucket_has_and_the_summary(self):
        summary = re.search(r'SUMMARY: &str = "(.*?)"', (ROOT / "src/stage/summary.rs").read_text()).group(1)
        self.assertIn(f'/*/{summary}"]', (ROOT / "infra/modules/pipeline/functions.tf").read_text())
        keys = re.findall(r'format!\("\{\}/(\w+)/[{"]', (ROOT / "src/model/ids.rs").read_text())
        kinds = re.search(r"work_objects = { for kind in (\[.*?\])", (ROOT / "infra/modules/pipeline/functions.tf").read_text()).group(1)
        self.assertEqual(sorted(set(keys)), sorted(json.loads(kinds)))

    def test_what_is_open_are_the_pages_files(self):
        served = {path.name for path in (ROOT / "crates/api/page").iterdir()} - {"index.html"}  # which is /
        self.assertEqual(sorted(served), json.loads((ROOT / "infra/page.json").read_text()))

    def test_processors_are_json_or_a_file_of_it_whose_text_is_kept(self):
        text = '["items", {"aggregate": {"group_by": ["client"]}}]'
        file = self.file("my.json", f"{text}\n")
        for given, kept in [(text, text), ("items", "items"), (os.path.relpath(file), text)]:
            before = self.variables(PROCESSORS=given)
            self.assertEqual(before["TF_VAR_processors"], kept)
            self.assertEqual(self.variables(outputs_of(before), RESULTS="none")["TF_VAR_processors"], kept)
        self.file("in/pipelines.json", json.dumps({"a": {"processors": "../my.json"}, "b": {"processors": "items"}, "c": {"processors": ["items"]}}))
        asked = self.pipelines(PIPELINES=str(self.scratch / "in/pipelines.json"))
        self.assertEqual({name: own["processors"] for name, own in asked.items()}, {"a": text, "b": "items", "c": '["items"]'})
        with self.assertRaisesRegex(Failure, "PROCESSORS are to be read from none.json, seen from /.*: No such file"):
            self.variables(PROCESSORS="none.json")
        self.file("pipelines.json", '{"a": {"processors": "none.json"}}')
        with self.assertRaisesRegex(Failure, f"from none.json, seen from {self.scratch}: No such file"):
            self.pipelines(PIPELINES=str(self.scratch / "pipelines.json"))

    def test_long_processors_are_not_told_in_full(self):
        for given, told in [("items", "items"), (json.dumps(["items"] * 20), "(as it was)")]:
            self.assertEqual(self.kept(outputs_of(self.variables(PROCESSORS=given))), f"kept from the last deployment: PROCESSORS={told}")

    def test_pipelines_and_the_executable_agree_on_a_processor_of_its_own(self):
        def check(bootstrap="", **given):
            variables = self.variables(BOOTSTRAP=bootstrap, **given)
            with mock.patch.dict(os.environ, BOOTSTRAP=bootstrap):
                settings.check_bootstrap(variables)

        check()
        for own in ("custom", '["custom", "items"]', '{"custom": null}'):
            check("target/bootstrap", PROCESSORS=own)
            with self.assertRaisesRegex(Failure, "PROCESSORS of chunked names custom, .* BOOTSTRAP="):
                check(PROCESSORS=own)
        for other in ("", "items", '["items"]', '{"http": {"url": "custom"}}'):
            check(PROCESSORS=other)
            with self.assertRaisesRegex(Failure, "BOOTSTRAP=target/bootstrap has .* PROCESSORS of chunked does not name"):
                check("target/bootstrap", PROCESSORS=other)
        file = self.file("pipelines.json", json.dumps({"a": {"processors": "custom"}, "b": {"variant": "sync"}, "c": {"processors": "items"}}))
        check("target/bootstrap", PIPELINES=str(self.file("own.json", '{"a": {"processors": ["custom"]}, "b": {}}')), PROCESSORS="custom")
        with self.assertRaisesRegex(Failure, "PROCESSORS of b, c does not name"):
            check("target/bootstrap", PIPELINES=str(file))
        with self.assertRaisesRegex(Failure, "PROCESSORS of a names custom"):
            check(PIPELINES=str(file))

    def test_a_schema_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(Failure, "SCHEMA=none.json names no file"):
            self.variables(SCHEMA="none.json")

    def pipelines(self, deployed=None, **given):
        outputs = {"deployment": {"value": deployed}} if deployed else {}
        return json.loads(self.variables(outputs, **given).get("TF_VAR_pipelines", "{}"))

    def test_a_pipeline_is_added_to_what_is_deployed_and_variants_replace_it(self):
        orders = {"variant": "ranged", "chunk_size": 7}
        deployed = {"pipelines": {"orders": {"definition": orders}}}
        sync, chunked = {"variant": "sync"}, {"variant": "chunked"}
        self.assertEqual(self.pipelines(deployed, PIPELINE="sync"), {"orders": orders, "sync": sync})
        self.assertEqual(self.pipelines(deployed, PIPELINE="orders"), {"orders": orders})
        self.assertEqual(self.pipelines(deployed, VARIANTS="sync, chunked"), {"sync": sync, "chunked": chunked})
        self.assertEqual(self.pipelines(deployed), {"orders": orders})
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

    def test_only_an_emulator_goes_without_alarms_and_is_asked_for_no_quota(self):
        for variable in ("TF_VAR_alarms", "TF_VAR_check_quotas"):
            self.assertEqual(self.variables(emulator=True)[variable], "false")
            self.assertNotIn(variable, self.variables())

    def test_only_on_an_emulator_has_the_api_a_path(self):
        here = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
        self.assertEqual(self.variables(emulator=True, **here)["TF_VAR_emulator_endpoint"], "http://127.0.0.1:4566")
        self.assertNotIn("TF_VAR_emulator_endpoint", self.variables(**here))

    def test_another_region_is_refused(self):
        with mock.patch.dict(os.environ, {"AWS_REGION": "eu-west-1", "SCOPE": "a-"}):
            with self.assertRaisesRegex(Failure, "is deployed in us-east-1, not in eu-west-1"):
                deployment.refuse_other_region({"region": "us-east-1"})


class CheckTest(Scratch):
    """Tests of what is checked before anything is planned, with a command and a Terraform that write down their calls."""

    def setUp(self):
        super().setUp()
        self.calls = self.scratch / "calls"
        self.state = self.scratch / "terraform.tfstate"
        plan = f"case \"$*\" in *plan*) echo '{{\"version\": 4}}' >{self.state};; esac"
        self.terraform = self.program("terraform", f'echo "terraform $2" >>{self.calls}; {plan}')

    def program(self, name, script):
        program = self.file(name, f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)
        return program

    def apply(self, check, **given):
        command = self.program("fanfold", f'echo "fanfold $*" >>{self.calls}; {check}')
        options = argparse.Namespace(work=self.scratch / "work", state=self.state, output=self.scratch / "out.json",
                                     package=None, press=None, emulator=False, fanfold=command)
        environment = {"PATH": os.environ["PATH"], "TERRAFORM": str(self.terraform), "SCOPE": "a-", **given}
        with mock.patch.dict(os.environ, environment, clear=True):
            with mock.patch.object(terraform, "cli_config", return_value=""):
                deployment.apply(options)

    def called(self):
        return self.calls.read_text().splitlines()

    def test_settings_are_checked_before_a_plan_is_made(self):
        self.apply("[ -z \"$FORMAT\" ]", FORMAT='{"delimiter":";"}')
        self.assertEqual(self.called(), ['fanfold check --json --format={"delimiter":";"}', "terraform init", "terraform plan"])

    def test_what_a_function_would_refuse_stops_the_deployment_and_names_the_pipeline(self):
        schema = self.file("bad.json", '{"type":"strin"}')
        pipelines = self.file("p.json", json.dumps({
            "good": {"variant": "ranged"}, "bad": {"key_field": "sku", "record_schema": "bad.json", "format": {"quote": "'"}},
        }))
        said = json.dumps({"problems": ["one thing", "another"], "file": None})
        check = f"case \"$*\" in *bad.json*) echo '{said}'; exit 1;; esac"
        with self.assertRaisesRegex(Failure, "no function could start with this:\n  pipeline bad: one thing\n  pipeline bad: another$"):
            self.apply(check, PIPELINES=str(pipelines), KEY_FIELD="id")
        self.assertEqual(self.called(), [
            f"fanfold check --json --key-field=sku --schema={schema} --format={{\"quote\": \"'\"}}",
            "fanfold check --json --key-field=id",
        ])

    def test_a_check_that_cannot_run_stops_the_deployment(self):
        with self.assertRaisesRegex(Failure, "pipeline chunked: broken"):
            self.apply("echo broken >&2; exit 2")
        with self.assertRaisesRegex(Failure, "none is missing, .*: run `make build` first"):
            deployment.check_settings(self.scratch / "none", {})


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

"""Tests of these scripts, of docker-compose.yml and of the Makefile's messages.

Run them with the Python that `emulator.py python` prints: MiniStack brings the YAML parser.
"""

import argparse
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import yaml

sys.path.insert(0, str(Path(__file__).parent))

import audit
import deployment
import emulator
import glibc
import package
from toolbox import Failure

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "Makefile").is_file())
VENV = Path(sys.prefix)


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name).resolve()

    def file(self, name, text=""):
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class EmulatorTest(Scratch):
    def options(self, port=0):
        return argparse.Namespace(state=self.scratch / "state", venv=VENV, port=port, timeout=60)

    def facts(self):
        return emulator.Instance(self.scratch / "state").running()

    def command(self, name, port=0):
        # In a process of its own, as for the user: this one would keep an ended emulator as a zombie.
        command = [sys.executable, emulator.__file__, name, "--state", self.scratch / "state", "--venv", VENV]
        done = subprocess.run([*map(str, command), "--port", str(port)], capture_output=True, text=True)
        return done.stdout + done.stderr

    def test_starts_once_and_ends_with_all_its_processes(self):
        self.assertIn("no local AWS runs", self.command("stop"))
        self.addCleanup(self.command, "stop")
        self.assertIn("local AWS runs at", self.command("start"))
        facts = self.facts()
        self.assertTrue(emulator.answers(facts["endpoint"]))
        self.assertIn("already runs", self.command("start", facts["port"]))
        self.assertIn(f"already runs on port {facts['port']}; end it with `make stop`", self.command("start", 1))
        self.assertEqual(facts, self.facts())
        self.assertIn("ended", self.command("stop"))
        self.assertIsNone(self.facts())
        self.assertFalse(emulator.group_lives(facts["pid"]))
        self.assertFalse(emulator.answers(facts["endpoint"]))

    def test_a_number_that_is_no_port_is_refused(self):
        for port in (-1, 65536, 70000):
            with self.assertRaisesRegex(Failure, f"PORT={port} is not a port"):
                emulator.start(self.options(port))

    def test_a_taken_port_is_named_with_the_way_out(self):
        with socket.socket() as other:
            other.bind((emulator.HOST, 0))
            other.listen()
            port = other.getsockname()[1]
            with self.assertRaisesRegex(Failure, f"port {port} .* is taken .* PORT=") as raised:
                emulator.start(self.options(port))
            self.assertIn(f"ENDPOINT=http://127.0.0.1:{port}", str(raised.exception))

    def test_an_emulator_that_ends_at_once_shows_its_log(self):
        fake = self.file("venv/bin/python", "#!/bin/sh\necho no such module\nexit 1\n")
        fake.chmod(0o755)
        with mock.patch.object(emulator, "python_with", return_value=fake):
            with self.assertRaisesRegex(Failure, "ended at once(.|\n)*no such module"):
                emulator.start(self.options(emulator.free_port()))
        self.assertIsNone(self.facts())

    def test_functions_inherit_the_endpoint_and_nothing_of_the_callers_aws(self):
        with mock.patch.dict(os.environ, AWS_PROFILE="work", AWS_SESSION_TOKEN="secret"):
            given = emulator.environment(emulator.Instance(self.scratch), 4567)
        aws = {name: value for name, value in given.items() if name.startswith("AWS_")}
        self.assertEqual(aws, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4567"})


    def test_a_connection_is_never_ended_before_the_client_ends_it(self):
        # As in the wrapper's process, with a server that prints the timeout that it was given.
        told = subprocess.run([sys.executable, "-c", (
            "import asyncio, hypercorn.asyncio\n"
            "async def serve(app, config, **_): print(config.keep_alive_timeout)\n"
            "hypercorn.asyncio.serve = serve\n"
            "import local_aws; local_aws.main()"
        )], cwd=Path(emulator.__file__).parent, capture_output=True, text=True, check=True,
            env={**os.environ, "GATEWAY_PORT": str(emulator.free_port()), "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertGreater(int(told.stdout), 2 * 90)


class MirrorTest(Scratch):
    HERE = "providers/registry.example/hashicorp/aws"

    def found(self):
        return deployment.find_mirror([(self.scratch, 1)])

    def test_finds_unpacked_providers(self):
        self.file(f"{self.HERE}/5.100.0/{deployment.this_platform()}/terraform-provider-aws")
        self.assertEqual(self.found(), self.scratch / "providers")

    def test_finds_packed_providers(self):
        self.file(f"{self.HERE}/terraform-provider-aws_5.101.0_{deployment.this_platform()}.zip")
        self.assertEqual(self.found(), self.scratch / "providers")

    def test_passes_over_other_versions_and_platforms(self):
        self.file(f"{self.HERE}/5.99.0/{deployment.this_platform()}/terraform-provider-aws")
        self.file(f"{self.HERE}/6.0.0/{deployment.this_platform()}/terraform-provider-aws")
        self.file(f"{self.HERE}/5.100.0/plan9_mips/terraform-provider-aws")
        self.assertIsNone(self.found())

    def test_the_users_own_configuration_is_kept(self):
        self.file(f"{self.HERE}/5.100.0/{deployment.this_platform()}/terraform-provider-aws")
        own = self.file("terraformrc", "disable_checkpoint = true\n")
        mirror = str(self.scratch / "providers")
        with mock.patch.dict(os.environ, TF_CLI_CONFIG_FILE=str(own), TF_MIRROR=mirror):
            text = deployment.cli_config()
        self.assertIn("disable_checkpoint = true", text)
        self.assertIn(f'path    = "{mirror}"', text)
        own.write_text('provider_installation {\n  network_mirror { url = "https://mirror.example/" }\n}\n')
        with mock.patch.dict(os.environ, TF_CLI_CONFIG_FILE=str(own), TF_MIRROR=""):
            self.assertEqual(deployment.cli_config(), own.read_text())

    def test_a_mirror_without_the_provider_is_refused(self):
        with mock.patch.dict(os.environ, TF_MIRROR=str(self.scratch)):
            with self.assertRaisesRegex(Failure, "TF_MIRROR=.* holds no hashicorp/aws"):
                deployment.cli_config()


class TerraformTest(Scratch):
    def terraform(self, script):
        """Terraform in the form of a shell script."""
        fake = self.file("terraform", f"#!/bin/bash\n{script}\n")
        fake.chmod(0o755)
        with mock.patch.object(deployment, "cli_config", return_value=""):
            terraform = deployment.Terraform(self.scratch / "work")
        self.enterContext(mock.patch.dict(os.environ, TERRAFORM=str(fake)))
        return terraform

    def test_only_the_first_interrupt_reaches_terraform_and_it_may_finish(self):
        started, interrupts = self.scratch / "started", self.scratch / "interrupts"
        terraform = self.terraform(
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
            terraform.stream("apply", keep="x")
        presses.join()
        self.assertEqual(interrupts.read_text(), "\n")
        self.assertEqual(said.getvalue().count("writes its state"), 1)

    def test_what_terraform_waits_for_is_said_from_time_to_time(self):
        lines = "\n".join(f"echo 'queue{n}: Still creating... [{n}0s elapsed]'" for n in range(1, 10))
        told = io.StringIO()
        clock = iter(range(0, 1000, 10))
        with mock.patch.object(deployment.time, "monotonic", side_effect=lambda: next(clock)):
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
    def variables(self, deployed=None, emulator=False, **settings):
        options = argparse.Namespace(package=None, emulator=emulator)
        with mock.patch.dict(os.environ, settings, clear=True):
            return deployment.variables(options, deployed)

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
        self.assertLessEqual(set(deployment.PLAIN_SETTINGS.values()), set(declared))
        exported = " ".join(re.findall(r"^export ([A-Z_ ]+)$", (ROOT / "Makefile").read_text(), re.M)).split()
        self.assertLessEqual(set(deployment.PLAIN_SETTINGS), set(exported))

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

    def pipelines(self, deployed=None, **settings):
        return json.loads(self.variables(deployed, **settings).get("TF_VAR_pipelines", "{}"))

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
        self.assertEqual(re.findall(r"^ +(\w+) += optional", block, re.M), deployment.PIPELINE_SETTINGS)

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


class PackageTest(Scratch):
    def test_the_same_executable_gives_the_same_zip(self):
        executable = self.file("bootstrap", "#!/bin/sh\n")
        first = package.zipped(executable)
        os.utime(executable, (0, 0))
        self.assertEqual(first, package.zipped(executable))
        entry, = zipfile.ZipFile(io.BytesIO(first)).infolist()
        self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))

    @unittest.skipUnless(sys.platform == "linux", "needs a Linux executable")
    def test_the_newest_glibc_of_an_executable(self):
        image = Path(sys.executable).resolve().read_bytes()
        newest = glibc.newest_glibc(image)
        self.assertIn(f"GLIBC_{'.'.join(map(str, newest))}\0".encode(), image)
        texts = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", image)]
        self.assertEqual(newest, max(texts))

    def test_what_is_no_executable_is_refused(self):
        with self.assertRaisesRegex(Failure, "not a Linux executable"):
            glibc.newest_glibc(b"#!/bin/sh\n")


class AuditTest(Scratch):
    OPTIONS = argparse.Namespace(target=ROOT / "target", advisories=False)

    def checkov(self, output, status=0):
        done = subprocess.CompletedProcess([], status, stdout=output, stderr="")
        with mock.patch.object(audit, "python_with"), mock.patch.object(audit.subprocess, "run", return_value=done):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                audit.check_infra(self.OPTIONS)
        return printed.getvalue()

    def test_skips_are_counted(self):
        printed = self.checkov("terraform scan results:\n\nPassed checks: 9, Failed checks: 0, Skipped checks: 2\n")
        self.assertEqual(printed, "checkov: 9 checks passed, 2 skipped with a reason\n")

    def test_what_checkov_could_not_read_is_not_passed(self):
        for output in ("", "Passed checks: 0, Failed checks: 0, Skipped checks: 0\n",
                       "Passed checks: 9, Failed checks: 0, Skipped checks: 2, Parsing errors: 1\n"):
            with self.assertRaisesRegex(Failure, "objects to infra"):
                self.checkov(output)

    def test_what_checkov_objects_to_is_shown(self):
        with self.assertRaisesRegex(Failure, "FAILED for resource(.|\n)*justify it within the resource"):
            self.checkov("FAILED for resource: a\nPassed checks: 9, Failed checks: 1, Skipped checks: 2\n", status=1)

    def test_every_skip_has_a_reason(self):
        skips = [line for file in (ROOT / "infra").rglob("*.tf") for line in file.read_text().splitlines() if "checkov:skip" in line]
        self.assertTrue(skips)
        for skip in skips:
            self.assertRegex(skip, r"^  #checkov:skip=CKV2?_AWS_\d+:\w.{20,}$")


class ComposeTest(unittest.TestCase):
    """Tests that docker-compose.yml has what functions in LocalStack need, without Docker itself."""

    KNOWN = {"image", "ports", "environment", "volumes", "healthcheck"}

    def setUp(self):
        self.file = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        self.service = self.file["services"]["localstack"]

    def test_shape(self):
        self.assertLessEqual(set(self.file), {"name", "services", "volumes"})
        self.assertEqual(set(self.file["services"]), {"localstack"})
        self.assertLessEqual(set(self.service), self.KNOWN)
        for name, value in self.service["environment"].items():
            self.assertIsInstance(value, str, f"{name} must be quoted")
        for volume in self.service["volumes"]:
            source = volume.split(":")[0]
            self.assertTrue(source.startswith("/") or source in self.file["volumes"], source)

    def test_the_last_version_that_needs_no_account(self):
        self.assertEqual(self.service["image"], "localstack/localstack:4.14.0")

    def test_reachable_from_this_machine_only(self):
        self.assertEqual(self.service["ports"], ["127.0.0.1:${PORT:-4566}:4566"])

    def test_can_run_functions(self):
        self.assertIn("/var/run/docker.sock:/var/run/docker.sock", self.service["volumes"])
        services = set(self.service["environment"]["SERVICES"].split(","))
        used = {"cloudwatch", "dynamodb", "events", "iam", "kms", "lambda", "logs", "s3", "sns", "sqs", "sts"}
        self.assertLessEqual(used, services)

    def test_start_waits_for_health(self):
        self.assertEqual(self.service["healthcheck"]["test"][0], "CMD")


class MakefileTest(Scratch):
    def make(self, *arguments, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        for name in ("ARCH", "ENDPOINT", "FILE", "PORT", "SCHEMA", "SCOPE"):
            kept.pop(name, None)
        return subprocess.run(
            ["make", "-C", str(ROOT), *arguments], env={**kept, **environment}, capture_output=True, text=True
        )

    def test_prints_its_goals(self):
        printed = self.make().stdout
        for goal in "build package start stop deploy destroy upload demo test fmt lint audit logs clean".split():
            self.assertRegex(printed, rf"make {goal} +\w")

    def test_an_unknown_environment_is_refused(self):
        done = self.make("ENV=mars", "deploy")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('ENV is "mars"', done.stderr)

    def test_a_file_that_is_not_there_is_named_before_anything_is_built(self):
        done = self.make("demo", "FILE=none.csv")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("FILE=none.csv names no file", done.stderr)
        self.assertNotIn("cargo build", done.stdout)

    def test_each_missing_tool_is_named_with_how_to_get_it(self):
        tools = self.scratch / "bin"
        tools.mkdir()
        for tool in ("bash", "env", "id", "tr", "sed", "cut"):
            tools.joinpath(tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
        done = subprocess.run(
            [ROOT / "scripts/need", "cargo", "terraform", "python"],
            env={"PATH": str(tools)}, capture_output=True, text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "cargo is missing: install Rust(.|\n)*terraform is missing(.|\n)*python3 is missing")

    def test_aws_state_is_kept_outside_of_what_clean_removes(self):
        state = re.compile(r"--state '([^']*)'")
        self.assertTrue(state.search(self.make("-n", "destroy", "ENV=aws").stdout).group(1).startswith("infra/.state/aws/"))
        self.assertTrue(state.search(self.make("-n", "destroy").stdout).group(1).startswith("target/local/"))

    def test_aws_uses_the_callers_settings_and_an_emulator_none_of_them(self):
        script = self.file("show.mk", "include Makefile\nshow:\n"
                           "\t@echo [$${AWS_PROFILE-}] [$${AWS_ACCESS_KEY_ID-}] [$${AWS_ENDPOINT_URL-}]\n")
        show = ["--no-print-directory", "-f", str(script), "show"]
        caller = {"AWS_PROFILE": "work", "AWS_ACCESS_KEY_ID": "mine", "AWS_ENDPOINT_URL": ""}
        self.assertEqual(self.make(*show, "ENV=aws", **caller).stdout.strip(), "[work] [mine] []")
        self.assertEqual(self.make(*show, "PORT=4600", **caller).stdout.strip(), "[] [test] [http://127.0.0.1:4600]")


if __name__ == "__main__":
    unittest.main()

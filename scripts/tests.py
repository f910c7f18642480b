"""Tests of these scripts, of docker-compose.yml and of the Makefile's messages.

Run them with the Python that `emulator.py python` prints: MiniStack brings the YAML parser.
"""

import argparse
import ast
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest
import zipfile
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

import yaml

sys.path.insert(0, str(Path(__file__).parent))

import audit
import emulator
import functions
import glibc
import package
import terminal
from scratch import ROOT, Scratch
from toolbox import Failure

VENV = Path(sys.prefix)


def words_of(told, known):
    """A message of the code with a name in braces for each of its values."""
    if isinstance(told, ast.Constant):
        return told.value
    if isinstance(told, ast.JoinedStr):
        return "".join(words_of(part, known) for part in told.values)
    if isinstance(told, ast.Call):  # several lines, of which the first one is known
        return words_of(told.args[0].elts[0], known)
    value = told.value
    if isinstance(value, ast.Name) and value.id in known:
        return words_of(known[value.id], known)
    return f"{{{getattr(value, 'id', getattr(value, 'attr', '…'))}}}"


def refusals_of(script):
    """The messages with which the functions of a script refuse something."""
    for function in ast.walk(ast.parse((ROOT / "scripts" / script).read_text())):
        if isinstance(function, ast.FunctionDef):
            inner = list(ast.walk(function))
            known = {step.targets[0].id: step.value for step in inner
                     if isinstance(step, ast.Assign) and isinstance(step.value, ast.JoinedStr)}
            yield from (words_of(call.args[0], known) for call in inner
                        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "Failure")


class ErrorsTest(unittest.TestCase):
    def test_the_page_of_errors_has_every_refusal_of_a_deployment(self):
        _, table = (ROOT / "docs" / "ERRORS.md").read_text().split("\n## Deployments\n")
        rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
        self.assertCountEqual([row[1].strip("`") for row in rows], [*refusals_of("settings.py"), *refusals_of("guard.py")])
        self.assertTrue(all(len(row) == 4 and all(row) for row in rows), rows)
        codes = re.findall(r"^\| (`[A-Z0-9_]+`) ", (ROOT / "docs" / "ERRORS.md").read_text(), re.M)
        self.assertEqual(sorted(codes), sorted(set(codes)))


class EmulatorTest(Scratch):
    def options(self, port=0):
        return argparse.Namespace(state=self.scratch / "state", venv=VENV, port=port, timeout=60, throttle=False, auth=False)

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

    def test_a_start_that_is_interrupted_leaves_nothing_that_runs(self):
        self.addCleanup(self.command, "stop")
        for moment in (0, 0.2, 0.4, 0.8):
            (self.scratch / "state" / "emulator.lock").unlink(missing_ok=True)
            command = [sys.executable, emulator.__file__, "start", "--state", self.scratch / "state", "--venv", VENV, "--port", "0"]
            process = subprocess.Popen(
                [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            while not (self.scratch / "state" / "emulator.lock").exists():
                time.sleep(0.01)
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGINT)
            said, _ = process.communicate()
            if "local AWS runs at" in said:
                self.command("stop")
                continue
            self.assertEqual(said, "", moment)
            self.assertIn(process.returncode, (130, -signal.SIGINT))
            self.assertIn("no local AWS runs", self.command("status"))

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

    @unittest.skipUnless(sys.platform == "linux", "needs a Linux executable")
    def test_an_executable_with_a_processor_of_its_own_is_checked_and_zipped(self):
        program = Path(sys.executable).resolve()
        arch = glibc.machine(program.read_bytes())
        archive = self.scratch / "bootstrap.zip"
        sbom_of_another = self.file("bootstrap.cdx.json", "{}")
        with mock.patch.object(sys, "argv", ["package.py", "--zip", str(archive), "--own", str(program), "--arch", arch]):
            with contextlib.redirect_stdout(io.StringIO()) as said:
                package.main()
        self.assertIn(f"MB, from {program}", said.getvalue())
        self.assertTrue(package.holds(archive, program))
        self.assertFalse(sbom_of_another.exists(), "it lists what is in another executable")

        def refused(path, arch=arch, for_lambda=False):
            with self.assertRaises(Failure) as raised:
                package.check_own(Path(path), arch, for_lambda)
            return str(raised.exception)

        self.assertRegex(refused("none/bootstrap"), "BOOTSTRAP=none/bootstrap names no file in /")
        self.assertIn("is no executable for Lambda: not a Linux executable", refused(self.file("bootstrap", "#!/bin/sh\n" * 9)))
        self.assertIn("is no executable for Lambda", refused(self.file("short", "\x7fELF")))
        other = next(name for name in package.TRIPLES if name != arch)
        self.assertIn(f"is built for {arch}, and the functions are for {other}", refused(program, arch=other))
        image = bytearray(program.read_bytes())
        image[0x10] = 1
        (self.scratch / "object").write_bytes(image)
        self.assertIn("not an object file", refused(self.scratch / "object"))
        with mock.patch.object(package.glibc, "newest_glibc", return_value=(2, 35)):
            package.check_own(program, arch, False)
            self.assertIn("needs glibc 2.35, and Lambda has 2.34", refused(program, for_lambda=True))

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
    def make(self, *arguments, folder=("-C", ROOT), **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        for name in ("ARCH", "ENDPOINT", "FILE", "PAGE", "PIPELINE", "PIPELINES", "PORT", "SCHEMA", "SCOPE", "VARIANT"):
            kept.pop(name, None)
        return subprocess.run(
            ["make", *map(str, folder), *arguments], env={**kept, **environment}, cwd=self.scratch, capture_output=True, text=True
        )

    def test_from_another_folder_paths_are_the_callers(self):
        elsewhere = ("-f", os.path.relpath(ROOT / "Makefile", self.scratch))
        self.file("my file.csv", "itemNo\n")
        done = self.make("input", "help", "FILE=my file.csv", folder=elsewhere)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, self.make("--no-print-directory", f"FILE={self.scratch}/my file.csv").stdout)
        done = self.make("input", folder=elsewhere, SCHEMA="none.json")
        self.assertIn(f"SCHEMA={self.scratch}/none.json names no file\n", done.stderr)
        # `-C` is make's own way to begin in the project's folder.
        self.assertIn(f"FILE=my file.csv names no file in {ROOT}", self.make("input", "FILE=my file.csv").stderr)

    def test_only_what_is_empty_on_the_command_line_goes_back_to_its_default(self):
        script = self.file("show.mk", "include Makefile\nshow:\n\t@echo [$$RESET] [$$KEY_FIELD]\n")
        show = ["--no-print-directory", "-f", str(script), "show"]
        self.assertEqual(self.make(*show, "RESULTS=", "TF_VAR_memory=", KEY_FIELD="").stdout, "[RESULTS TF_VAR_memory] []\n")
        self.assertEqual(self.make(*show, "KEY_FIELD=id", RESULTS="all").stdout, "[] [id]\n")

    def test_a_deployment_adds_a_pipeline_only_if_one_is_given_or_used(self):
        added = re.compile(r"^PIPELINE='(.*)' \S+ scripts/deployment.py apply", re.M)
        for goal, given, expected in [
            ("deploy", [], ""), ("deploy", ["VARIANT=sync"], "sync"), ("deploy", ["PIPELINE=orders"], "orders"),
            ("demo", [], "chunked"), ("demo", ["PIPELINES=all.json"], ""),
        ]:
            self.assertEqual(added.search(self.make("-n", goal, *given).stdout).group(1), expected, [goal, *given])

    def test_the_architecture_of_a_deployment_on_aws_stays(self):
        state = self.file("terraform.tfstate", '{\n  "outputs": {\n    "architecture": "arm64",\n')
        script = self.file("show.mk", "include Makefile\nshow:\n\t@echo [$$ARCH]\n")
        show = ["--no-print-directory", "-f", str(script), "show", f"AWS_STATE={state}"]
        for given, expected in [([], "arm64"), (["ARCH="], "x86_64"), (["ARCH=x86_64"], "x86_64")]:
            self.assertEqual(self.make(*show, "ENV=aws", *given).stdout, f"[{expected}]\n")

    def test_prints_its_goals(self):
        printed = self.make().stdout
        for goal in "build package start stop deploy destroy upload demo screenshots test fmt lint audit lock logs clean".split():
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

    def test_the_page_is_served_only_if_it_is_asked_for(self):
        ends = {given: self.make("--no-print-directory", "-n", "demo", *given.split()).stdout.splitlines()[-1] for given in ("", "PAGE=yes", "PAGE=8701")}
        self.assertRegex(ends.pop(""), r'^\S+/fanfold submit "\$FILE" --pipeline \'chunked\' --wait $')
        for given, end in ends.items():
            self.assertRegex(end, r"^scripts/demo \S+/fanfold --pipeline 'chunked'$", given)
        for given, refused in [("yes", False), ("8701", False), ("", False), ("no", True), ("870l", True)]:
            done = self.make("input", f"PAGE={given}")
            self.assertEqual((done.returncode != 0, f"PAGE={given} is neither yes nor a port" in done.stderr), (refused, refused), given)

    def test_each_missing_tool_is_named_with_how_to_get_it(self):
        tools = self.scratch / "bin"
        tools.mkdir()
        for tool in ("bash", "env", "id", "tr", "sed", "cut"):
            tools.joinpath(tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
        done = subprocess.run(
            [ROOT / "scripts/need", "cargo", "terraform", "python", "browser"],
            env={"PATH": str(tools), "CHROMIUM": str(tools / "chromium")}, capture_output=True, text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "cargo is missing: install Rust(.|\n)*terraform is missing(.|\n)*python3 is missing")
        self.assertRegex(done.stderr, "node or npm is missing: install Node(.|\n)*chromium is missing")

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


class DemoTest(Scratch):
    """Tests how `make demo PAGE=yes` ends, with a command that does nothing."""

    def command(self, status, address="http://127.0.0.1:$3/"):
        command = self.file("fanfold", "#!/bin/bash\ncase $1 in\n"
                            "submit) echo orders-0123456789ab ;;\n"
                            f"status) echo summary of $2; exit {status} ;;\n"
                            f"serve) trap 'echo stopped >&2; exit 130' INT; echo {address}; sleep 60 & wait ;;\nesac\n")
        command.chmod(0o755)
        deployment = self.file("deployment.json", '{"pipelines": {"chunked": {}}}')
        # A group of its own, as a terminal has it.
        return subprocess.Popen(
            [ROOT / "scripts/demo", command], cwd=self.scratch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "PAGE": "yes", "FILE": "orders.csv", "FANFOLD_DEPLOYMENT": str(deployment)},
            start_new_session=True,
        )

    def test_the_page_of_the_batch_is_served_until_an_interrupt_and_the_batch_decides_the_status(self):
        for status in (0, 3, 4):
            demo = self.command(status)
            self.assertEqual(demo.stdout.readline(), "summary of orders-0123456789ab\n")
            self.assertEqual(demo.stdout.readline(), "http://127.0.0.1:8700/#/batches/chunked/orders-0123456789ab\n")
            os.killpg(demo.pid, signal.SIGINT)
            self.assertEqual((*demo.communicate(), demo.returncode), ("", "batch orders-0123456789ab\nstopped\n", status))

    def test_an_address_with_a_token_stays_and_a_batch_that_is_not_there_has_no_page(self):
        demo = self.command(0, "http://127.0.0.1:8700/#token=secret")
        self.assertEqual([demo.stdout.readline() for _ in range(2)][1], "http://127.0.0.1:8700/#token=secret\n")
        os.killpg(demo.pid, signal.SIGINT)
        demo.communicate()
        demo = self.command(1)
        self.assertEqual((demo.communicate()[0], demo.returncode), ("summary of orders-0123456789ab\n", 1))


class TerminalTest(Scratch):
    def test_a_picture_has_every_line_as_it_was_printed(self):
        printed = 'state    <DONE> & "over"\n\n  päce  …\n'
        image = ElementTree.fromstring(terminal.drawn([("fanfold status a", printed), ("fanfold list", "")]))
        texts = image.findall("{*}text")
        self.assertEqual([text.text for text in texts], ["$ fanfold status a", 'state    <DONE> & "over"', "  päce  …", "$ fanfold list"])
        self.assertEqual([text.get("class") for text in texts], ["command", None, None, "command"])
        lengths = [float(text.get("textLength")) for text in texts]
        self.assertEqual([round(length / terminal.CHARACTER) for length in lengths], [len(text.text) for text in texts])
        self.assertGreaterEqual(float(image.get("width")), max(lengths) + 2 * terminal.EDGE - 1)
        self.assertGreater(float(image.get("height")), float(texts[-1].get("y")))

    def test_a_batch_that_is_over_or_a_command_that_fails_is_no_picture(self):
        command = self.file("fanfold", "#!/bin/sh\necho '{\"finishedAt\": \"now\"}'\necho why >&2\nexit $1\n")
        command.chmod(0o755)
        shell = terminal.Shell(command, self.scratch)
        with self.assertRaisesRegex(Failure, "give it more RECORDS"):
            shell.wait_for_some("0")
        with self.assertRaisesRegex(Failure, "fanfold 4 ended with status 4:\nwhy"):
            shell.run("4")
        shell.run("3")
        self.assertEqual(shell.session, [("fanfold 3", '{"finishedAt": "now"}\n')])


class FunctionsTest(Scratch):
    def test_each_pipeline_calls_a_function_that_is_created_and_the_api_has_an_address(self):
        ports = iter((20001, 20002, 20003))
        pipelines = json.loads(functions.pipelines(functions.PIPELINES.read_text(), lambda: next(ports)))
        self.assertEqual([pipeline["webhooks"]["urls"] for pipeline in pipelines.values() if "webhooks" in pipeline], [["http://127.0.0.1:20002/"]])
        called = [entry for pipeline in pipelines.values() for entry in pipeline.get("processors", []) if isinstance(entry, dict)]
        names = {entry["invoke"]["function_arn"].split(":")[6] for entry in called if "invoke" in entry}
        self.assertEqual(names, {f"user-{name}" for name in functions.ALLOWED})
        self.assertEqual([entry["http"]["url"] for entry in called if "http" in entry], ["http://127.0.0.1:20001/orders/{itemNo}"])
        self.assertEqual([entry["bill"]["invoices"]["url"] for entry in called if "bill" in entry], ["http://127.0.0.1:20003/invoices"])

    def test_every_variant_is_deployed_as_a_pipeline_of_its_name(self):
        pipelines = json.loads(functions.PIPELINES.read_text())
        variants = json.loads((ROOT / "infra/variants.json").read_text())
        # Whether it takes records one at a time, too, makes no difference to its batches.
        plain = lambda own: {name: value for name, value in own.items() if not name.startswith("records_")}
        self.assertEqual({name: plain(pipelines.get(name, {})) for name in variants}, {name: {"variant": name} for name in variants})

    def test_a_package_has_what_its_function_needs_and_not_what_installed_it(self):
        for file in ("pip/main.py", "aws_lambda_powertools/__init__.py", "aws_lambda_powertools/__pycache__/x.pyc", "jmespath/py.typed"):
            self.file(file)
        names = zipfile.ZipFile(io.BytesIO(functions.package("powertools", self.scratch))).namelist()
        code = {file.name for file in functions.CODE.glob("*.py")}
        self.assertEqual(set(names) - code, {"aws_lambda_powertools/__init__.py", "jmespath/py.typed"})
        plain = zipfile.ZipFile(io.BytesIO(functions.package("consumer", self.scratch))).namelist()
        self.assertEqual(set(plain), code)


class ExampleTest(unittest.TestCase):
    def test_the_consumer_lists_what_it_does_not_take(self):
        names = {}
        exec((ROOT / "examples/python/consumer.py").read_text(), names)
        messages = [{"messageId": name, "body": json.dumps({"price": price})} for name, price in (("dear", 101), ("cheap", 100))]
        self.assertEqual(names["handler"]({"Records": messages}, None), {"batchItemFailures": [{"itemIdentifier": "dear"}]})


if __name__ == "__main__":
    unittest.main()

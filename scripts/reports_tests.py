"""Tests of how pipelines that make reports are deployed: their setting, the package of what prints them, and what it is built for.

Run them with the Python that `emulator.py python` prints.
"""

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import unittest
import zipfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import deployment
import deployment_tests
import logs
import package
import rights
import rights_reports
import sbom
import settings
from scratch import ROOT, Scratch
from toolbox import Failure


class SettingTest(deployment_tests.SettingsCase):
    def given(self, outputs=None, press=None, **given):
        options = argparse.Namespace(package=None, press=press, emulator=False, work=self.scratch / "work")
        with mock.patch.dict(os.environ, given, clear=True):
            return settings.variables(options, outputs or {}, settings.given_settings())

    def test_a_pipeline_makes_reports_as_it_says_itself_or_else_as_the_deployment_does(self):
        file = self.file("p.json", json.dumps({"own": {"reports": True}, "none": {"reports": False}, "other": {"variant": "ranged"}}))
        for given, names in [({}, []), ({"REPORTS": "true"}, ["chunked"]), ({"REPORTS": "false"}, []), ({"TF_VAR_reports": "true"}, ["chunked"]),
                             ({"PIPELINES": str(file)}, ["own"]), ({"PIPELINES": str(file), "REPORTS": "true"}, ["other", "own"]),
                             ({"PIPELINES": str(file), "REPORTS": "false"}, ["own"])]:
            self.assertEqual(settings.reporting(self.given(**given)), names, given)

    def test_one_that_stays_from_the_last_deployment_does_too(self):
        before = self.given(REPORTS="true")
        self.assertEqual(settings.reporting(self.given(deployment_tests.outputs_of(before))), ["chunked"])
        self.assertEqual(settings.reporting(self.given(deployment_tests.outputs_of(before), RESET="REPORTS")), [])
        before = self.given(PIPELINES=str(self.file("p.json", '{"own": {"reports": true}}')))
        self.assertEqual(settings.reporting(self.given(deployment_tests.outputs_of(before), RESULTS="all")), ["own"])

    def test_terraform_is_told_of_the_package_only_if_it_is_needed(self):
        press = self.file("press.zip")
        self.assertEqual(self.given(press=str(press), REPORTS="true")["TF_VAR_press_package"], str(press))
        self.assertNotIn("TF_VAR_press_package", self.given(press=str(press)))
        self.assertNotIn("TF_VAR_press_package", self.given(REPORTS="true"))

    def test_reports_that_nothing_prints_are_refused(self):
        press = self.file("press.zip")
        settings.check_press(self.given(REPORTS="true"), str(press))
        settings.check_press(self.given(), None)
        for missing in (None, str(self.scratch / "none.zip")):
            with self.assertRaisesRegex(Failure, "reports of chunked are to be printed, .* is missing: build it"):
                settings.check_press(self.given(REPORTS="true"), missing)


class DeploymentTest(Scratch):
    def told(self, **given):
        """What the command says that tells which pipelines make reports."""
        options = argparse.Namespace(package=None, press=None, emulator=False, work=self.scratch / "work", state=self.scratch / "terraform.tfstate")
        with mock.patch.dict(os.environ, {"PATH": os.environ["PATH"], "SCOPE": "a-", **given}, clear=True):
            with contextlib.redirect_stdout(io.StringIO()) as said:
                deployment.reports(options)
        return said.getvalue()

    def test_those_that_make_reports_are_told_a_line_each(self):
        self.assertEqual(self.told(), "")
        self.assertEqual(self.told(REPORTS="true"), "chunked\n")
        file = self.file("p.json", '{"b": {"reports": true}, "a": {"reports": "true"}, "c": {}}')
        self.assertEqual(self.told(PIPELINES=str(file)), "a\nb\n")

    def test_those_that_are_deployed_are_told_by_the_state(self):
        definitions = {"monthly": {"definition": {"variant": "chunked", "reports": True}}}
        self.file("terraform.tfstate", json.dumps({"version": 4, "outputs": {"deployment": {"value": {"pipelines": definitions}}}}))
        self.assertEqual(self.told(), "monthly\n")
        self.assertEqual(self.told(VARIANTS="chunked"), "")

    def test_a_state_in_a_bucket_that_is_not_here_yet_is_asked_and_says_nothing_else(self):
        def opened(options, state):
            print("the state is now elsewhere")
            state.write_text('{"version": 4, "outputs": {"settings": {"value": {"reports": true}}}}')

        with mock.patch.object(deployment, "opened", side_effect=opened), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.told(STATE_BUCKET="b"), "chunked\n")

    def test_what_it_logs_is_shown_with_all_others(self):
        parts = {"pipelines": {"a": {"functions": {"process": "s-a-process"}}}, "press": "s-press"}
        self.assertEqual(list(logs.functions(parts, "")), ["s-a-process", "s-press"])
        self.assertEqual(list(logs.functions(parts, "a")), ["s-a-process"])
        self.assertEqual(list(logs.functions({**parts, "press": None}, "")), ["s-a-process"])


class PackageTest(Scratch):
    def setUp(self):
        super().setUp()
        self.executable = self.file("fanfold-report", "a program")
        self.zip = self.scratch / "out" / "press.zip"

    def build(self, *arguments):
        command = ["package.py", "--press", str(self.zip), "--binary", str(self.executable), *map(str, arguments)]
        with mock.patch.object(sbom, "document", side_effect=lambda *of: json.dumps({"of": of[3]})), mock.patch.object(sys, "argv", command):
            with contextlib.redirect_stdout(io.StringIO()) as said:
                package.main()
        return said.getvalue()

    def content(self):
        with zipfile.ZipFile(self.zip) as archive:
            return {entry.filename: (archive.read(entry).decode(), oct(entry.external_attr >> 16)) for entry in archive.infolist()}

    def test_it_holds_the_executable_under_the_name_that_lambda_starts(self):
        self.build()
        self.assertEqual(self.content(), {"bootstrap": ("a program", "0o100755")})
        self.assertEqual(json.loads(sbom.path_beside(self.zip).read_text()), {"of": "fanfold-report"})

    def test_a_template_lies_beside_it_and_goes_when_it_is_not_given(self):
        template = self.file("mine.typ", "= Mine")
        self.assertIn(f"with {template}", self.build("--template", template))
        self.assertEqual(self.content(), {"bootstrap": ("a program", "0o100755"), "report.typ": ("= Mine", "0o100644")})
        before = self.zip.stat().st_mtime_ns
        self.build("--template", template)
        self.assertEqual(self.zip.stat().st_mtime_ns, before, "what is unchanged is not written")
        template.write_text("= Other")
        self.build("--template", template)
        self.assertEqual(self.content()["report.typ"][0], "= Other")
        self.build()
        self.assertEqual(list(self.content()), ["bootstrap"])

    def test_its_bytes_depend_on_nothing_else(self):
        template = self.file("mine.typ", "= Mine")
        first = package.zipped(self.executable, template)
        os.utime(template, (1, 1))
        self.assertEqual(package.zipped(self.executable, template), first)

    def test_a_template_that_is_not_there_is_named_before_anything_is_built(self):
        with mock.patch.object(package, "build_for_lambda", side_effect=AssertionError), self.assertRaisesRegex(Failure, "REPORT_TEMPLATE=none.typ names no file in "):
            self.build("--template", "none.typ")
        self.assertFalse(self.zip.exists())

    def test_functions_have_no_template(self):
        command = ["package.py", "--zip", str(self.zip), "--binary", str(self.executable), "--template", str(self.file("mine.typ"))]
        with mock.patch.object(sys, "argv", command), contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
            package.main()
        self.assertIn("--template goes with --press", said.getvalue())

    def test_the_template_has_the_name_that_the_executable_looks_for(self):
        source = ROOT / "crates/report/src/function.rs"
        self.assertEqual(re.search(r'TEMPLATE: &str = "(.*?)"', source.read_text()).group(1), package.TEMPLATE)


class MakefileTest(Scratch):
    def make(self, *arguments):
        """What `make press` runs: of Python, all that packages anything, and cargo."""
        calls = self.file("calls")
        python = self.file("bin/python", f'#!/bin/sh\ncase "$*" in *package.py*) echo "python $*" >>{calls} ;; *) exec {sys.executable} "$@" ;; esac\n')
        cargo = self.file("bin/cargo", f'#!/bin/sh\necho "cargo $*" >>{calls}\n')
        for program in (python, cargo):
            program.chmod(0o755)
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("MAKE", "TF_VAR_", "STATE_")) and name not in {*settings.SETTINGS, "PIPELINE", "PIPELINES", "VARIANTS", "REPORT_TEMPLATE", "RESET"}}
        done = subprocess.run(
            ["make", "--no-print-directory", "-C", str(ROOT), "press", f"PYTHON={python}", "SCOPE=never-deployed-", "HOST=a-host", "ARCH=x86_64", *arguments],
            env={**kept, "PATH": f"{python.parent}:{os.environ['PATH']}"}, capture_output=True, text=True,
        )
        return done, [re.sub(" +", " ", call) for call in calls.read_text().splitlines()]

    def test_what_prints_is_built_only_for_pipelines_that_make_reports(self):
        file = self.file("p.json", '{"monthly": {"reports": true}}')
        plain = self.file("plain.json", '{"orders": {}}')
        for given, built in [([], False), (["REPORTS=true"], True), ([f"PIPELINES={file}"], True), ([f"PIPELINES={plain}"], False), (["REPORTS=false"], False)]:
            done, calls = self.make(*given)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(calls, [
                "cargo build --locked --release --target a-host --target-dir target --manifest-path crates/report/Cargo.toml",
                "python scripts/package.py --press target/local/press.zip --binary target/a-host/release/fanfold-report",
            ] if built else [], given)

    def test_for_lambda_it_is_built_by_what_packages_it(self):
        _, calls = self.make("REPORTS=true", "ENV=aws", "REPORT_TEMPLATE=mine.typ")
        self.assertEqual(calls, ["python scripts/package.py --press target/aws/press.zip --arch x86_64 --host a-host --template mine.typ"])

    def test_a_template_that_nothing_prints_by_is_refused(self):
        done, calls = self.make("REPORT_TEMPLATE=mine.typ")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("REPORT_TEMPLATE=mine.typ is given, and no pipeline makes reports", done.stderr)
        self.assertEqual(calls, [])

    def test_settings_that_cannot_be_read_stop_it(self):
        done, calls = self.make("PIPELINES=none.json")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("PIPELINES=none.json cannot be read", done.stderr)
        self.assertEqual(calls, [])


class NamesTest(unittest.TestCase):
    """Terraform and scripts call things as the code does."""

    def text(self, file):
        return (ROOT / file).read_text()

    def test_where_reports_requests_and_documents_are(self):
        ids = self.text("src/model/reporting/id.rs")
        (prefix, suffix), (requests, _) = (re.search(rf'const {name}: \(&str, &str\) = \("(.*?)", "(.*?)"\)', ids).groups() for name in ("FILE", "REQUEST"))
        checked, made = self.text("infra/modules/pipeline/variables_reports.tf"), self.text("infra/modules/pipeline/reports.tf")
        self.assertIn(f'var.input_prefix == "{prefix}"', checked)
        self.assertIn(f'contains(["", "{suffix}"], var.input_suffix)', checked)
        self.assertIn(f'/{requests}*"]', made)
        self.assertIn(f'"{requests}"', self.text("infra/modules/pipeline/outputs.tf"))
        folder = re.search(r'output_key\(&format!\("(\w+)/\{generation\}"\)\)', self.text("src/model/reporting/end.rs")).group(1)
        self.assertIn(f'/*/{folder}/*"]', made)
        summary = re.search(r'SUMMARY: &str = "(.*?)"', self.text("src/stage/summary.rs")).group(1)
        self.assertIn(f'filter_suffix = "{summary}"', made)

    def test_the_key_of_rows_and_when_they_expire(self):
        part = self.text("src/model/reporting/part.rs")
        key = re.search(r'KEY_FIELD: &str = "(.*?)"', part).group(1)
        self.assertIn(f'var.key_field == "{key}"', self.text("infra/modules/pipeline/variables_reports.tf"))
        expires = re.search(r'attribute_name = "(\w+)"', self.text("infra/modules/pipeline/main.tf")).group(1)
        self.assertIn(f'"{expires}"', part)

    def test_what_the_function_is_told_is_what_it_reads(self):
        config = self.text("crates/lambda/src/config.rs")
        for name in ("PRESS_FUNCTION_ARN", "USAGE_TABLE"):
            self.assertIn(f'"{name}"', config)

    def test_the_stage_has_the_name_of_its_function(self):
        name = re.search(r'const NAME: &\'static str = "(\w+)"', self.text("src/stage/consolidate/mod.rs")).group(1)
        self.assertEqual(name, rights_reports.STAGE)
        self.assertIn(f'for stage in ["{name}"] : stage if var.reports', self.text("infra/modules/pipeline/reports.tf"))


class RightsTest(unittest.TestCase):
    def line(self, put):
        parts = {"definition": {"variant": "chunked"}, "functions": {"process": "t-monthly-process"}, "queues": {}, "dead_letter_queues": {}, "input_bucket": "t-in"}
        site = SimpleNamespace(deployment={"pipelines": {"monthly": parts}}, client=lambda service: SimpleNamespace(put_object=put))
        return rights_reports.Reports(site, "monthly")

    def test_a_report_is_asked_for_by_its_request_and_then_by_its_file(self):
        put = mock.Mock(return_value={"VersionId": "v"})
        batch = self.line(put).ask()
        request, file = (call.kwargs for call in put.call_args_list)
        report = json.loads(request["Body"])["id"]
        self.assertEqual((request["Key"], file["Key"]), (f"requests/{report}.json", f"reports/{report}.jsonl"))
        self.assertEqual(json.loads(file["Body"])["part"], f"{report}/000000")
        self.assertRegex(batch.id, f"^{report}-[0-9a-f]{{12}}$")
        put.reset_mock()
        self.line(put).ask(requested=False)
        self.assertEqual([call.kwargs["Key"].split("/")[0] for call in put.call_args_list], ["reports"])

    def test_what_prints_has_a_role_too(self):
        read = lambda RoleName, PolicyName: {"PolicyDocument": {"Statement": [], "of": (RoleName, PolicyName)}}
        for deployed, listed in (({"press": "t-press"}, [("press", "t-press", "press")]), ({"press": None}, []), ({}, [])):
            site = SimpleNamespace(deployment={"pipelines": {}, **deployed}, client=lambda service: SimpleNamespace(get_role_policy=read))
            self.assertEqual([(role.function, *role.document["of"]) for role in rights.roles(site)], listed)

    def test_one_pipeline_that_makes_reports_shows_the_rights_of_all(self):
        self.assertEqual(rights.reporting({"pipelines": {"b": {"reports": True}, "a": {"reports": False}, "c": {"reports": True}, "d": {}}}), ["b"])


if __name__ == "__main__":
    unittest.main()

"""Tests of what fanfold is built with: nothing is installed but what is pinned, and none of it sees a credential."""

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import audit
import lock
import package
import sbom
import terraform
import toolbox
from scratch import ROOT, Scratch
from toolbox import Failure

# A Python that makes virtual environments of itself, and writes down how it is called.
STAND_IN = """#!/bin/sh
echo "$@" >>'{scratch}/calls'
case $1$2 in
-mvenv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
-mpip) exit "$(cat '{scratch}/status')" ;;
esac
"""


class RequirementsTest(Scratch):
    def setUp(self):
        super().setUp()
        python = self.file("python", STAND_IN.format(scratch=self.scratch))
        python.chmod(0o755)
        self.file("status", "0")
        self.file("requirements/tool.in", "tool==1.0\n")
        self.file("requirements/tool.txt", "tool==1.0 --hash=sha256:00\n")
        for patch in (mock.patch.object(toolbox, "REQUIREMENTS", self.scratch / "requirements"),
                      mock.patch.object(toolbox.sys, "executable", str(python))):
            self.enterContext(patch)

    def installations(self):
        """The calls of pip that were needed for the tool."""
        calls = self.file("calls")
        with contextlib.redirect_stderr(io.StringIO()):
            toolbox.python_with("tool", self.scratch / "venv")
        return [call for call in calls.read_text().splitlines() if call.startswith("-m pip")]

    def test_files_are_installed_by_their_hashes_and_never_from_source(self):
        call, = self.installations()
        for words in ("--require-hashes", "--only-binary :all:", f"--requirement {self.scratch}/requirements/tool.txt"):
            self.assertIn(words, call)

    def test_what_there_is_as_source_alone_is_built(self):
        with mock.patch.dict(toolbox.SOURCE_ALONE, tool="tool"):
            self.assertIn("--only-binary :all: --no-binary tool", self.installations()[0])

    def test_what_is_pinned_is_installed_once_and_anew_when_the_pins_change(self):
        self.assertEqual([len(self.installations()), len(self.installations())], [1, 0])
        self.file("requirements/tool.txt", "tool==1.0 --hash=sha256:01\n")
        self.assertEqual([len(self.installations()), len(self.installations())], [1, 0])

    def test_an_installation_that_failed_is_tried_again(self):
        self.file("status", "1")
        with self.assertRaisesRegex(Failure, "cannot install tool 1.0 from PyPI"):
            self.installations()
        self.file("status", "0")
        self.assertEqual(len(self.installations()), 1)

    def test_a_python_that_is_too_old_is_told_so(self):
        with mock.patch.object(toolbox.sys, "version_info", (3, 9, 1)):
            with self.assertRaisesRegex(Failure, "Python 3.10 or newer is needed for tool 1.0"):
                self.installations()


class PinsTest(unittest.TestCase):
    NAMES = sorted(path.stem for path in toolbox.REQUIREMENTS.glob("*.in"))

    def test_every_program_has_its_requirements_and_each_of_them_its_hashes(self):
        self.assertEqual(self.NAMES, sorted(path.stem for path in toolbox.REQUIREMENTS.glob("*.txt")))
        for name in self.NAMES:
            text = (toolbox.REQUIREMENTS / f"{name}.txt").read_text().replace("\\\n", "")
            pinned = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
            for line in pinned:
                self.assertRegex(line, r"^[a-z0-9.-]+==\S+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+$")
            # A change of what is asked for is not complete until `make lock` has pinned what it brings.
            for package, version in toolbox.pins(name).items():
                self.assertTrue(any(line.startswith(f"{package}=={version} ") for line in pinned), f"{package}: make lock")

    def test_all_that_scripts_install_is_pinned(self):
        asked = {match for script in (ROOT / "scripts").glob("*.py") if script.name != Path(__file__).name
                 for match in re.findall(r'python_with\("([^"]+)"', script.read_text())}
        asked |= set(re.findall(r"scripts/toolbox\.py (\S+)", (ROOT / "Makefile").read_text()))
        self.assertEqual(asked | {"parquet-writers"}, set(self.NAMES))


class CredentialsTest(Scratch):
    SECRET = "never-to-be-seen"
    HELD = ("AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "ARM_CLIENT_SECRET", "CARGO_REGISTRY_TOKEN",
            "GITHUB_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "SSH_AUTH_SOCK", "TF_TOKEN_app_terraform_io", "DB_PASSWORD", "MY_API_KEY")
    FREE = ("CARGO_REGISTRIES_MIRROR_TOKEN", "PIP_INDEX_URL", "UV_INDEX_MIRROR_PASSWORD", "TOKENS", "KEY_FIELD", "RUSTFLAGS", "MY_PATH")

    def setUp(self):
        super().setUp()
        bin = self.scratch / "bin"
        # It stands for every program, as a Python that makes virtual environments of itself, too.
        script = (f"#!/bin/sh\nenv >>'{self.scratch}/seen'; echo \"$@\" >>'{self.scratch}/calls'\n"
                  "[ \"$2\" != venv ] || { mkdir -p \"$3/bin\" && cp \"$0\" \"$3/bin/python\"; }\n")
        for name in ("cargo", "cargo-lambda", "python"):
            said = "Passed checks: 1, Failed checks: 0, Skipped checks: 0" if name == "python" else ""
            self.file(f"bin/{name}", f"{script}printf '{said}'\n").chmod(0o755)
        given = {**dict.fromkeys(self.HELD, self.SECRET), **dict.fromkeys(self.FREE, "free"), "PATH": f"{bin}:{os.environ['PATH']}"}
        self.enterContext(mock.patch.dict(os.environ, given))

    def assert_unseen(self):
        seen = (self.scratch / "seen").read_text()
        self.assertIn("RUSTFLAGS=free", seen)
        self.assertEqual([line for line in seen.splitlines() if self.SECRET in line], [])
        (self.scratch / "seen").unlink()

    def test_the_script_and_the_toolbox_agree_on_what_a_credential_is(self):
        shown = subprocess.check_output([ROOT / "scripts" / "without_credentials", "env"], text=True)
        for names in ({line.split("=")[0] for line in shown.splitlines()}, set(toolbox.without_credentials())):
            self.assertEqual(names & {*self.HELD, *self.FREE}, set(self.FREE))
        script = (ROOT / "scripts" / "without_credentials").read_text()
        patterns = re.findall(r"^ +([A-Z_*][A-Z_* |]+)\)", script, re.M)
        self.assertCountEqual(" | ".join(patterns).split(" | "), [*toolbox.CREDENTIALS, *toolbox.OF_DOWNLOADS])

    def test_a_program_that_is_installed_sees_none(self):
        (self.scratch / "tools").mkdir()
        with contextlib.redirect_stderr(io.StringIO()):
            with mock.patch.object(toolbox.sys, "executable", str(self.scratch / "bin" / "python")):
                toolbox.python_with("uv", self.scratch / "venv")
                self.assert_unseen()
            toolbox.cargo_tool("cargo-deny", "0.0.0", self.scratch / "tools")
        self.assert_unseen()

    def test_a_build_sees_none(self):
        with mock.patch.object(package, "python_with", return_value=self.scratch / "bin" / "python"):
            for host in (package.TRIPLES["x86_64"], "another"):
                for what in (package.FUNCTIONS, package.PRESS):
                    package.build_for_lambda(argparse.Namespace(arch="x86_64", host=host, target_dir=self.scratch, venv=None), *what)
                    self.assert_unseen()
        subprocess.run(["make", "-C", ROOT, "build", "ENV=aws"], check=True, capture_output=True)
        self.assert_unseen()
        for call in (self.scratch / "calls").read_text().splitlines():
            self.assertRegex(call, "^(lambda )?(build|rustc) .*--locked ")

    def test_what_checks_the_code_sees_none(self):
        options = argparse.Namespace(target=self.scratch, advisories=False)
        python = self.scratch / "bin" / "python"
        with mock.patch.object(audit, "python_with", return_value=python), mock.patch.object(audit, "cargo_tool", return_value=python):
            for check in (audit.check_infra, audit.check_crates):
                with contextlib.redirect_stdout(io.StringIO()):
                    check(options)
                self.assert_unseen()


class AdvisoriesTest(Scratch):
    def audit(self, fetched, known="", strict=False):
        """What an audit says if the list can be fetched or not, and if an earlier one says `known`."""
        tool = self.file("deny", f"#!/bin/sh\necho \"$@\" >>'{self.scratch}/calls'\ncase \"$*\" in\n"
                                 f"*'fetch db') echo 'no such host'; exit {int(not fetched)} ;;\n"
                                 f"*--offline*) echo '{known}' ;;\n*) echo 'licenses ok' ;;\nesac\n")
        tool.chmod(0o755)
        with mock.patch.object(audit, "cargo_tool", return_value=tool), contextlib.redirect_stdout(io.StringIO()) as printed:
            audit.check_crates(argparse.Namespace(target=self.scratch, advisories=strict))
        return printed.getvalue()

    def test_they_are_checked_where_they_can_be_fetched(self):
        self.assertEqual(self.audit(fetched=True), "".join(f"cargo-deny: {workspace}: licenses ok\n" for workspace in audit.WORKSPACES))
        self.assertRegex((self.scratch / "calls").read_text(), r"(?m) check .* sources advisories$")

    def test_what_was_not_checked_is_said(self):
        self.assertIn("cannot be fetched, NONE WERE CHECKED: no such host\n", self.audit(fetched=False))
        self.assertIn("only those fetched before were checked: no such host\n", self.audit(fetched=False, known="advisories ok"))

    def test_a_known_one_fails_without_the_network_too(self):
        with self.assertRaisesRegex(Failure, "objects to the dependencies"):
            self.audit(fetched=False, known="advisories FAILED")

    def test_an_audit_that_asks_for_them_fails_without_them(self):
        with self.assertRaisesRegex(Failure, "cannot fetch the known vulnerabilities: no such host"):
            self.audit(fetched=False, strict=True)


class CargoTest(unittest.TestCase):
    COMMAND = re.compile(r"(\$\(cargo\)|\bcargo) +(bench|build|check|clippy|fetch|install|metadata|run|rustc|test|tree)\b[^;&|]*")

    def commands(self):
        """All commands of cargo, each with its file and as one line."""
        for path in (ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "benchmark" / "flamegraph", ROOT / "scripts" / "test",
                     ROOT / "scripts" / "need", ROOT / "README.md", ROOT / "fuzz" / "README.md"):
            text = path.read_text().replace("\\\n", "")
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#") and "--version >" not in line]
            yield from ((path.name, *found.group(0, 1)) for line in lines for found in self.COMMAND.finditer(line))

    def test_no_build_changes_the_lock_file(self):
        found = list(self.commands())
        self.assertGreater(len(found), 20)
        for file, command, _ in found:
            if "`" not in command:  # in prose, it is a name
                self.assertRegex(command, r'--locked|\$\(CARGO_FLAGS\)|"\$\{profile\[@\]\}"', file)
        self.assertIn("\nCARGO_FLAGS := --locked ", (ROOT / "Makefile").read_text())
        self.assertIn("\nprofile=(--locked ", (ROOT / "scripts" / "test").read_text())

    def test_the_makefile_builds_without_credentials(self):
        for file, command, cargo in self.commands():
            if file == "Makefile":
                self.assertEqual(cargo, "$(cargo)", command)
        self.assertIn("\ncargo      := scripts/without_credentials cargo\n", (ROOT / "Makefile").read_text())


    def features(self, root, *options):
        """The features of all crates that are built for `root`, its own and those of the workspace aside."""
        command = ["cargo", "tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{f}", *options]
        printed = subprocess.check_output(command, cwd=root, text=True, stderr=subprocess.DEVNULL)
        return {line for line in printed.splitlines() if "|" in line and "(/" not in line}

    def test_the_sdk_is_compiled_once_for_functions_and_tests(self):
        crates = {line.split("|")[0] for line in self.features(ROOT, "-p", "fanfold-aws", "-e", "normal,build")}
        functions, tests = (
            {line for line in self.features(ROOT, "--workspace", "-e", edges) if line.split("|")[0] in crates}
            for edges in ("normal,build", "normal,build,dev")
        )
        self.assertTrue(any(crate.startswith("aws-sdk-s3 ") for crate in crates))
        self.assertEqual(functions - tests, set(), "a feature that only tests turn on")


class ExampleTest(unittest.TestCase):
    """Tests of the package of functions around a processor, which has a lock file of its own."""

    def locked(self, file):
        blocks = (ROOT / file).read_text().split("[[package]]\n")[1:]
        return {tuple(re.findall(r'^(?:name|version|checksum) = "(.*)"$', block, re.M)) for block in blocks}

    def test_it_is_built_from_what_fanfold_is_built_from(self):
        more = self.locked("examples/enrich/Cargo.lock") - self.locked("Cargo.lock")
        self.assertEqual(more, {("enrich", "0.1.0")})

    def test_its_main_is_one_that_a_user_writes_in_a_minute(self):
        self.assertLessEqual(len((ROOT / "examples/enrich/src/main.rs").read_text().splitlines()), 12)

    def test_it_is_compiled_as_fanfold_is(self):
        profiles = [re.search(r"^\[profile.release\]\n(?:#.*\n)*(.*)", (ROOT / file).read_text(), re.M).group(1)
                    for file in ("Cargo.toml", "examples/enrich/Cargo.toml")]
        self.assertEqual(*profiles)


class ReportTest(unittest.TestCase):
    """Tests of the package that typst is in, which is a workspace of its own."""

    def test_crates_that_both_workspaces_name_have_one_version(self):
        own, reports = (
            dict(re.findall(r'^([a-z0-9_-]+) = (?:\{ version = )?"([0-9.]+)"', (ROOT / file).read_text(), re.M))
            for file in ("Cargo.toml", "crates/report/Cargo.toml")
        )
        both = own.keys() & reports.keys()
        self.assertGreater(len(both), 5)
        self.assertEqual({name: own[name] for name in both}, {name: reports[name] for name in both})

    def test_nothing_else_depends_on_typst(self):
        self.assertNotIn('"typst', (ROOT / "Cargo.lock").read_text())


class SbomTest(Scratch):
    def document(self, content="a", triple=None):
        return sbom.document(self.file("bootstrap", content), triple)

    def tree(self, triple, edges):
        command = ["cargo", "tree", "--locked", "-p", "fanfold-lambda", "-e", edges, "--target", triple, "--prefix", "none"]
        printed = subprocess.check_output(command, cwd=ROOT, text=True)
        return {" ".join(line.split()[:2]) for line in printed.splitlines()}

    def test_exactly_what_is_linked_is_listed(self):
        for triple in package.TRIPLES.values():
            # Macros run in the compiler; what only they need is not linked either.
            linked = self.tree(triple, "normal,no-proc-macro")
            unlinked = self.tree(triple, "normal") - linked
            listed = json.loads(self.document(triple=triple))
            crates = {f"{crate['name']} v{crate['version']}" for crate in listed["components"] if crate["name"] != "std"}
            self.assertEqual(crates | {"fanfold-lambda v0.1.0"}, linked)
            self.assertTrue(any(name.startswith("syn v") for name in unlinked))
            self.assertFalse(crates & unlinked)

    def test_it_is_as_the_standard_says(self):
        # https://cyclonedx.org/docs/1.6/json: what is required, and the form of what is there.
        listed = json.loads(self.document())
        self.assertEqual((listed["bomFormat"], listed["specVersion"], listed["version"]), ("CycloneDX", "1.6", 1))
        self.assertRegex(listed["serialNumber"], r"^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        function, crates = listed["metadata"]["component"], listed["components"]
        self.assertEqual((function["type"], function["name"]), ("application", "bootstrap"))
        allowed = {"type", "bom-ref", "name", "version", "licenses", "purl", "cpe", "hashes", "externalReferences"}
        for crate in (function, *crates):
            self.assertLessEqual({"type", "bom-ref", "name", "version", "licenses"}, set(crate))
            self.assertLessEqual(set(crate), allowed)
            # An SPDX expression has no slash.
            self.assertRegex(crate["licenses"][0]["expression"], r"^[\w.+() -]+$")
            for found in crate.get("hashes", []):
                self.assertRegex(f"{found['alg']} {found['content']}", "^SHA-256 [0-9a-f]{64}$")
            for found in crate.get("externalReferences", []):
                self.assertRegex(f"{found['type']} {found['url']}", r"^vcs https?://\S+$")
            # Ours are not on crates.io, and Rust's own library has no package.
            ours = crate["name"].startswith("fanfold") or crate["name"] in ("bootstrap", "std")
            self.assertEqual(crate.get("purl"), None if ours else f"pkg:cargo/{crate['name']}@{crate['version']}")
            self.assertTrue(ours or crate["hashes"], crate)
        references = [crate["bom-ref"] for crate in (function, *crates)]
        self.assertEqual(len(references), len(set(references)))
        self.assertCountEqual([entry["ref"] for entry in listed["dependencies"]], references)
        for entry in listed["dependencies"]:
            self.assertLessEqual(set(entry.get("dependsOn", [])), set(references))

    def test_it_depends_on_what_is_linked_and_on_nothing_else(self):
        first = self.document()
        self.assertEqual(first, self.document())
        self.assertNotIn(str(ROOT), first)
        ids = {json.loads(self.document(content, triple))["serialNumber"] for content in "ab" for triple in package.TRIPLES.values()}
        self.assertEqual(len(ids), 4)

    def compare(self, image):
        package_zip = self.file("bootstrap.zip")
        package_zip.write_bytes(package.zipped(self.file("bootstrap", image)))
        with mock.patch.object(sys, "argv", ["sbom.py", str(package_zip)]), contextlib.redirect_stdout(io.StringIO()) as printed:
            sbom.main()
        return printed.getvalue()

    def test_a_crate_that_the_executable_names_is_listed(self):
        image = "\0/registry/src/index-1/serde_json-1.0.1/src/de.rs\0/registry/src/index-1/a-b-2.0.0-rc.1/src/lib.rs\0"
        executable = self.file("bootstrap", image)
        crates = [{"name": "serde_json", "version": "1.0.1"}, {"name": "a-b", "version": "2.0.0-rc.1"}]
        function = {"hashes": [sbom.sha256(executable.read_bytes())]}
        for found in (crates, crates[:1]):
            self.file("bootstrap.cdx.json", json.dumps({"metadata": {"component": function}, "components": found}))
            if found == crates:
                self.assertIn("2 components, of which the executable names 2", self.compare(image))
                continue
            with self.assertRaisesRegex(Failure, "lacks what is linked: a-b 2.0.0-rc.1$"):
                self.compare(image)
        with self.assertRaisesRegex(Failure, "the list of another executable"):
            self.compare(image + "more")


class LockTest(Scratch):
    def test_without_the_registry_all_else_is_pinned_and_the_lock_file_stays(self):
        terraform = self.file("terraform", "#!/bin/sh\ncase $2 in get) exit 0 ;; esac\n"
                                           "echo 'Warning: a\n\nError: no such host'\nexit 1\n")
        terraform.chmod(0o755)
        with mock.patch.dict("os.environ", TERRAFORM=str(terraform)):
            problem, = lock.lock_provider()
        self.assertRegex(problem, "^infra/.terraform.lock.hcl stays as it was; `make lock` writes it where .*:\nError: no such host$")

    def test_a_version_without_a_file_for_a_platform_is_told(self):
        uv = self.file("uv", "#!/bin/sh\ncase \"$*\" in *aarch64-apple-darwin*' 3.14 '*) echo no wheels; exit 1 ;; esac\n")
        uv.chmod(0o755)
        self.assertEqual(list(lock.installable(uv, "uv", toolbox.REQUIREMENTS / "uv.txt")),
                         ["uv cannot be installed on aarch64-apple-darwin with Python 3.14:\nno wheels"])

    def test_an_unknown_name_is_refused(self):
        with mock.patch.object(sys, "argv", ["lock.py", "none"]), self.assertRaisesRegex(Failure, "there is no none: give .*uv"):
            lock.main()


class ProviderTest(Scratch):
    OF_REGISTRY = 'hashes = [\n  "h1:a",\n  "zh:b",\n]\n'
    OF_MIRROR = 'hashes = [\n  "h1:a",\n]\n'

    def init(self, lock_file, config):
        """The lock file after an initialisation of which Terraform accepts only the lock file that it makes itself."""
        path = self.file("infra/.terraform.lock.hcl", lock_file)
        program = self.file("terraform", f"#!/bin/sh\nenv >'{self.scratch}/seen'\n[ ! -e '{path}' ] || exit 1\necho own >'{path}'\n")
        program.chmod(0o755)
        with mock.patch.object(terraform, "LOCK_FILE", path), mock.patch.object(terraform, "cli_config", return_value=config), \
                mock.patch.dict(os.environ, TERRAFORM=str(program)), contextlib.redirect_stdout(io.StringIO()) as self.printed:
            terraform.Terraform(self.scratch / "work").init()
        return path.read_text()

    def test_a_lock_file_of_the_registry_is_never_given_up_for_a_provider_of_the_registry(self):
        with self.assertRaisesRegex(Failure, "terraform init failed"):
            self.init(self.OF_REGISTRY, "")
        self.assertEqual((self.scratch / "infra/.terraform.lock.hcl").read_text(), self.OF_REGISTRY)
        self.assertNotIn("MAY_BREAK", (self.scratch / "seen").read_text())

    def test_a_mirror_may_have_another_copy_of_it_which_is_said(self):
        self.assertEqual(self.init(self.OF_REGISTRY, "filesystem_mirror {"), "own\n")
        self.assertIn("do not commit it", self.printed.getvalue())

    def test_a_lock_file_of_another_machine_is_made_anew(self):
        for config in ("", "filesystem_mirror {"):
            self.assertEqual(self.init(self.OF_MIRROR, config), "own\n")
            self.assertEqual(self.printed.getvalue(), "")


if __name__ == "__main__":
    unittest.main()

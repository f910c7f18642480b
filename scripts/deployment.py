#!/usr/bin/env python3
"""Applies and destroys a deployment with Terraform, and records what is deployed for the command.

Settings come from the environment, as the Makefile exports them: SCOPE, PIPELINE, PIPELINES, VARIANTS,
KEY_FIELD, SCHEMA, CHUNK_SIZE, WRITE_MODE, RESULTS, STALL_AFTER, GIVE_UP_AFTER, ALARM_EMAIL, KMS_KEY_ARN, ARCH,
PROTECT_DATA, TF_MIRROR. One that is unset or empty keeps the default that infra/variables.tf gives.
Any other variable of infra/variables.tf can be set as TF_VAR_name.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from toolbox import Failure, locked, run

INFRA = next(folder / "infra" for folder in Path(__file__).resolve().parents if (folder / "infra" / "main.tf").is_file())
LOCK_FILE = INFRA / ".terraform.lock.hcl"

# The usual places of providers for all users of a machine, and how many levels below to look.
MIRROR_PLACES = [("~/.terraform.d", 1), ("~/.local/share/terraform", 1), ("/usr/share", 2), ("/usr/local/share", 2),
                 ("/opt", 2), ("~", 1)]

# The lines of Terraform's progress that are shown for an emulator: those of ten seconds or more.
SLOW = r"complete after (\d+m|\d\d)"

# Seconds after which it is said what Terraform still waits for.
PATIENCE = 30

# How long Terraform waits for another deployment of the same state to end.
LOCK_TIMEOUT = "-lock-timeout=15m"

# Settings that are passed unchanged as Terraform's variables.
PLAIN_SETTINGS = {
    "ALARM_EMAIL": "alarm_email",
    "ARCH": "architecture",
    "CHUNK_SIZE": "chunk_size",
    "GIVE_UP_AFTER": "give_up_after",
    "KEY_FIELD": "key_field",
    "KMS_KEY_ARN": "kms_key_arn",
    "PROTECT_DATA": "protect_data",
    "RESULTS": "results",
    "STALL_AFTER": "stall_after",
    "WRITE_MODE": "write_mode",
}


# What PIPELINES may set for a pipeline.
PIPELINE_SETTINGS = ["variant", "chunk_size", "key_field", "record_schema", "results", "write_mode"]


def setting(name):
    return os.environ.get(name, "").strip()


# --- providers -------------------------------------------------------------------------------------------------------


def wanted_provider():
    """The provider's source and version constraint, as versions.tf says: ("hashicorp/aws", (5, 100))."""
    text = (INFRA / "versions.tf").read_text()
    source = re.search(r'source\s*=\s*"([^"]+)"', text)
    version = re.search(r'version\s*=\s*"~>\s*(\d+)\.(\d+)"', text)
    if not source or not version:
        raise Failure("infra/versions.tf names no provider with a version such as \"~> 5.100\"")
    return source.group(1), (int(version.group(1)), int(version.group(2)))


def this_platform():
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"


def providers_in(directory):
    """The addresses (host/namespace/name) for which a mirror has a version that fits this platform."""
    source, (major, minor) = wanted_provider()
    found = []
    try:
        hosts = [host.name for host in os.scandir(directory) if "." in host.name and host.is_dir()]
    except OSError:
        return found
    for host in hosts:
        here = Path(directory, host, source)
        unpacked = [path.parent.name for path in here.glob(f"*/{this_platform()}")]
        packed = [path.name.split("_")[1] for path in here.glob(f"terraform-provider-*_{this_platform()}.zip")]
        for version in unpacked + packed:
            numbers = re.match(r"(\d+)\.(\d+)\.", version)
            if numbers and int(numbers.group(1)) == major and int(numbers.group(2)) >= minor:
                found.append(f"{host}/{source}")
                break
    return found


def directories_below(root, depth):
    """A directory and those below it, nearest first."""
    level = [Path(root).expanduser()]
    yield from level
    for _ in range(depth):
        level = [Path(entry.path) for directory in level for entry in entries(directory)]
        yield from level


def entries(directory):
    try:
        with os.scandir(directory) as found:
            return sorted((entry for entry in found if entry.is_dir()), key=lambda entry: entry.name)
    except OSError:
        return []


def find_mirror(places=None):
    for root, depth in places or MIRROR_PLACES:
        for directory in directories_below(root, depth):
            if providers_in(directory):
                return directory
    return None


def cli_config():
    """The text of Terraform's CLI configuration: the user's own, with a provider mirror if there is one."""
    named = setting("TF_CLI_CONFIG_FILE")
    own = Path(named) if named else Path("~/.terraformrc").expanduser()
    text = own.read_text() if own.is_file() else ""
    mirror = setting("TF_MIRROR")
    if mirror:
        mirror = Path(mirror).expanduser().resolve()
        if not providers_in(mirror):
            source, (major, minor) = wanted_provider()
            raise Failure(f"TF_MIRROR={mirror} holds no {source} {major}.{minor} or newer for {this_platform()}")
        text = re.sub(r"provider_installation\s*{(?:[^{}]|{[^{}]*})*}", "", text)
    elif "provider_installation" not in text:
        mirror = find_mirror()
    if not mirror or "provider_installation" in text:
        return text
    here = json.dumps(providers_in(mirror))
    return (
        f"{text}\nprovider_installation {{\n"
        f"  filesystem_mirror {{\n    path    = {json.dumps(str(mirror))}\n    include = {here}\n  }}\n"
        f"  direct {{\n    exclude = {here}\n  }}\n}}\n"
    )


# --- terraform -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def one_interrupt_for(process):
    """Passes the first interrupt on, so that Terraform ends what it began and writes its state, and drops the others.

    A second one would let Terraform end at once, and forget what it had made. It runs in a session of its own, so that the
    terminal sends it nothing.
    """
    passed = []

    def on_signal(number, _):
        if not passed:
            passed.append(number)
            print("\nending; Terraform finishes what it began and writes its state", file=sys.stderr, flush=True)
            process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield passed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Terraform:
    """Runs Terraform on infra/, and keeps everything it writes in a work directory."""

    def __init__(self, work):
        self.work = Path(work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        config = self.work / "terraform.rc"
        text = cli_config()
        config.write_text(text)
        self.environment = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_DATA_DIR": str(self.work / "terraform"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            # There is no lock file in the repository: each platform creates its own.
            "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1",
        }
        if "provider_installation" not in text and "plugin_cache_dir" not in text:
            # One download for all work directories.
            cache = self.work.parent / "terraform-plugins"
            cache.mkdir(exist_ok=True)
            self.environment.setdefault("TF_PLUGIN_CACHE_DIR", str(cache))

    def command(self, *arguments):
        return [setting("TERRAFORM") or "terraform", f"-chdir={INFRA}", *arguments]

    def stream(self, *arguments, variables=None, keep=None, accept=(0,)):
        """Runs Terraform with its output on the terminal, or only the lines that `keep` matches."""
        environment = {**self.environment, **(variables or {})}
        first, *rest = arguments
        # Colours are for a terminal; elsewhere their codes would precede what `keep` looks for.
        plain = [] if keep is None and sys.stdout.isatty() else ["-no-color"]
        command = self.command(first, *plain, *rest)
        output = subprocess.PIPE if keep else None
        with (
            subprocess.Popen(command, env=environment, stdout=output, text=True, start_new_session=True) as process,
            one_interrupt_for(process) as interrupted,
        ):
            waited_since = time.monotonic()
            for line in process.stdout or []:
                waits = "Still " in line and time.monotonic() - waited_since >= PATIENCE
                if waits or re.search(keep, line):
                    waited_since = time.monotonic()
                    print(re.sub(r" \[id=.*\]$", "", line.rstrip()), flush=True)
            code = process.wait()
        if interrupted:
            raise KeyboardInterrupt
        if code not in accept:
            raise Failure(f"terraform {arguments[0]} failed")
        return code

    def test(self, file):
        """Runs a file of tests, prints failures, and returns whether all passed."""
        done = subprocess.run(
            self.command("test", "-no-color", f"-filter={file.relative_to(INFRA)}"),
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        passed = done.returncode == 0
        print(f"{file.name}: {done.stdout.strip().splitlines()[-1]}" if passed else done.stdout, flush=True)
        return passed

    def init(self):
        # One at a time: the lock file is in infra/, whichever environment it is for.
        with locked(self.work.parent / "terraform-init.lock"):
            done = self.init_once()
            if done.returncode != 0 and LOCK_FILE.exists():
                # It is from another platform, or another source of providers.
                LOCK_FILE.unlink()
                done = self.init_once()
        if done.returncode != 0:
            raise Failure(
                f"terraform init failed:\n{done.stdout.strip()}\n"
                "Without access to Terraform's registry, name a directory that holds providers with TF_MIRROR="
            )

    def init_once(self):
        return subprocess.run(
            self.command("init", "-input=false", "-no-color"),
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )


def read_state(file):
    """A state file's content, empty if there is none. Its format has been the same since Terraform 0.12.

    A deployment that is killed while Terraform writes the file leaves it damaged: it is restored from the backup that
    Terraform keeps beside it.
    """
    if not file.is_file():
        return {}
    backup = file.with_name(file.name + ".backup")
    state, earlier = parsed(file), parsed(backup)
    if state is None:
        if earlier is None:
            raise Failure(
                f"{file} is damaged, and there is no backup of it. If nothing is deployed, remove the file;"
                " a local AWS forgets everything with `make stop`"
            )
        print(f"{file} was damaged; restored from {backup.name}", file=sys.stderr)
        shutil.copyfile(backup, file)
        state = earlier
    if state.get("version", 4) != 4:
        raise Failure(f"{file} has a format that is not known here: {state['version']}")
    return state


def parsed(file):
    """A JSON object from a file; None if there is none in it."""
    try:
        state = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def deployed_in(state):
    """What is deployed according to a state, or None."""
    return read_state(state).get("outputs", {}).get("deployment", {}).get("value")


def known_variants():
    return list(json.loads((INFRA / "variants.json").read_text()))


def read_pipelines(file):
    """The pipelines that a file defines, by name; paths of schemas in it are relative to it."""
    told = f"PIPELINES={file}"
    try:
        pipelines = json.loads(Path(file).read_text())
    except OSError as problem:
        raise Failure(f"{told} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise Failure(f"{told} is not JSON: {problem}") from None
    if not isinstance(pipelines, dict) or not pipelines or not all(isinstance(of, dict) for of in pipelines.values()):
        raise Failure(f'{told} must hold a JSON object of pipelines by name, as in {{"orders": {{"variant": "ranged"}}}}')
    for name, definition in pipelines.items():
        for unknown in set(definition) - set(PIPELINE_SETTINGS):
            raise Failure(f"{told}: pipeline {name} has no setting {unknown}; there is {', '.join(PIPELINE_SETTINGS)}")
        if definition.get("record_schema") is not None:
            schema = Path(file).resolve().parent / str(definition["record_schema"])
            if not schema.is_file():
                raise Failure(f"{told}: the record_schema of pipeline {name} names no file: {schema}")
            definition["record_schema"] = str(schema)
    return pipelines


def deployed_pipelines(deployed):
    """The definitions of the deployed pipelines by name. A deployment of an earlier version has only variants."""
    deployed = deployed or {}
    earlier = {variant: {"variant": variant} for variant in deployed.get("variants", {})}
    return earlier | {name: pipeline["definition"] for name, pipeline in deployed.get("pipelines", {}).items()}


def asked_pipelines(deployed):
    """The pipelines to deploy; none if none were requested, so that Terraform deploys its default."""
    if setting("PIPELINES"):
        if setting("VARIANTS"):
            raise Failure("PIPELINES and VARIANTS both say what to deploy: give one of them")
        return read_pipelines(setting("PIPELINES"))
    known = deployed_pipelines(deployed)
    asked = {}
    for name in (setting("VARIANTS") or setting("PIPELINE")).replace(",", " ").split():
        if name not in known and name not in known_variants():
            raise Failure(
                f"{name} is neither a variant ({', '.join(known_variants())}) nor a pipeline that is deployed"
                f" ({', '.join(sorted(known)) or 'none'}): define it in a file and name that with PIPELINES="
            )
        asked[name] = known.get(name, {"variant": name})
    if setting("VARIANTS") and not setting("KEEP_VARIANTS"):
        return asked
    # Other deployed pipelines stay.
    return known | asked if asked else {}


def variables(options, deployed):
    """The given settings as Terraform's variables."""
    given = {"scope": setting("SCOPE"), "package": str(Path(options.package).resolve()) if options.package else ""}
    pipelines = asked_pipelines(deployed)
    if pipelines:
        given["pipelines"] = json.dumps(pipelines, sort_keys=True)
    if setting("SCHEMA"):
        schema = Path(setting("SCHEMA")).resolve()
        if not schema.is_file():
            raise Failure(f"SCHEMA={setting('SCHEMA')} names no file")
        given["record_schema"] = str(schema)
    for name, variable in PLAIN_SETTINGS.items():
        given[variable] = setting(name)
    if options.emulator:
        given["protect_data"] = "false"
        given["s3_path_style"] = "true"
        given["alarms"] = "false"
    return {f"TF_VAR_{name}": value for name, value in given.items() if value}


def refuse_other_region(deployed):
    asked = setting("AWS_REGION") or setting("AWS_DEFAULT_REGION")
    if deployed and asked and deployed.get("region") not in (None, asked):
        raise Failure(
            f"SCOPE={setting('SCOPE')} is deployed in {deployed['region']}, not in {asked}:"
            " set AWS_REGION to that, or deploy under another SCOPE"
        )


def attributes_in(state, kind, name):
    """An attribute of all resources of a kind."""
    resources = [r for r in read_state(state).get("resources", []) if r["type"] == kind]
    return [instance["attributes"].get(name) for resource in resources for instance in resource["instances"]]


def status_of(url):
    """The HTTP status of a HEAD request, None if nothing answers."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return None


def meet_emulator(state):
    """Checks that the emulator answers, and removes a state whose buckets it does not know.

    It was then restarted and is empty. Terraform would find that out as well, but in a minute.
    """
    endpoint = setting("AWS_ENDPOINT_URL").rstrip("/")
    if status_of(endpoint) is None:
        raise Failure(f"nothing answers at {endpoint}: run `make start` first")
    buckets = attributes_in(state, "aws_s3_bucket", "bucket")
    if buckets and all(status_of(f"{endpoint}/{bucket}") == 404 for bucket in buckets):
        state.unlink()


def write_output(options, deployed):
    file = Path(options.output).resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    if options.emulator:
        # So that the command finds it without a setting.
        deployed = {**deployed, "endpoint": setting("AWS_ENDPOINT_URL")}
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(deployed, indent=2) + "\n")
    draft.replace(file)


# --- commands --------------------------------------------------------------------------------------------------------


def apply(options):
    terraform = Terraform(options.work)
    state = Path(options.state).resolve()
    state.parent.mkdir(parents=True, exist_ok=True)
    if options.emulator:
        meet_emulator(state)
    terraform.init()
    deployed = deployed_in(state)
    refuse_other_region(deployed)
    given = variables(options, deployed)
    plan = terraform.work / "plan"
    changes = terraform.stream(
        "plan", "-input=false", LOCK_TIMEOUT, "-detailed-exitcode", f"-state={state}", f"-out={plan}", "-compact-warnings",
        variables=given, accept=(0, 2), keep=r"^Plan:|^No changes" if options.emulator else None,
    )
    if changes:
        # Most of the time is spent waiting for queues to settle, so many are created at once.
        if options.emulator and not deployed:
            print("takes about a minute, by the time Terraform gives new queues to settle", flush=True)
        terraform.stream(
            "apply", "-input=false", LOCK_TIMEOUT, "-parallelism=30", f"-state={state}", str(plan),
            variables=given, keep=SLOW + r"|^Apply complete" if options.emulator else None,
        )
    write_output(options, deployed_in(state))


def destroy(options):
    terraform = Terraform(options.work)
    state = Path(options.state).resolve()
    if options.emulator:
        meet_emulator(state)
    if not state.is_file():
        print(f"nothing is deployed as SCOPE={setting('SCOPE')}")
        return
    deployed = deployed_in(state)
    refuse_other_region(deployed)
    if any(attributes_in(state, "aws_dynamodb_table", "deletion_protection_enabled")):
        # Terraform would remove everything else before it fails at the tables.
        raise Failure("the data is protected; to give it up, first run `make deploy` with PROTECT_DATA=false")
    terraform.init()
    if not options.package or not Path(options.package).is_file():
        options.package = INFRA / "versions.tf"  # a destroy needs only the name of a file
    arguments = ["destroy", "-input=false", LOCK_TIMEOUT, "-parallelism=30", f"-state={state}"]
    if options.emulator or setting("CONFIRM") == "yes":
        arguments.append("-auto-approve")
    elif not sys.stdin.isatty():
        raise Failure("a destroy in AWS asks first; without a terminal, say CONFIRM=yes")
    given = variables(options, deployed)
    terraform.stream(*arguments, variables=given, keep=SLOW + r"|^Destroy complete" if options.emulator else None)
    state.unlink(missing_ok=True)
    Path(options.output).unlink(missing_ok=True)


def output(options):
    state = Path(options.state).resolve()
    if options.emulator:
        meet_emulator(state)
    deployed = deployed_in(state)
    if deployed is None:
        raise Failure(f"nothing is deployed as SCOPE={setting('SCOPE')}: run `make deploy` first")
    write_output(options, deployed)


def check(options):
    """Checks what can be checked without a deployment."""
    terraform = Terraform(options.work)
    terraform.stream("fmt", "-check", "-diff", "-recursive")
    terraform.init()
    terraform.stream("validate")
    # Each run of a test waits for the provider to start, so several files run at once, the longest first.
    files = sorted(INFRA.glob("tests/*.tftest.hcl"), key=lambda file: file.stat().st_size, reverse=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failed = [file.name for file, passed in zip(files, pool.map(terraform.test, files)) if not passed]
    if failed:
        raise Failure(f"terraform test failed: {', '.join(failed)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["apply", "destroy", "output", "check"])
    parser.add_argument("--work", required=True, help="directory for what Terraform writes")
    parser.add_argument("--state", help="state file")
    parser.add_argument("--output", help="file that describes the deployment")
    parser.add_argument("--package", help="zip of the functions")
    parser.add_argument("--emulator", action="store_true", help="AWS_ENDPOINT_URL names an emulator")
    options = parser.parse_args()
    return {"apply": apply, "destroy": destroy, "output": output, "check": check}[options.command](options)


if __name__ == "__main__":
    run(main)

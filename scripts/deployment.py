#!/usr/bin/env python3
"""Applies and destroys a deployment with Terraform, and records what is deployed for the command.

Settings come from the environment, as the Makefile exports them: SCOPE, PIPELINE, PIPELINES, VARIANTS,
KEY_FIELD, SCHEMA, CHUNK_SIZE, FORMAT, LIMITS, INPUT_PREFIX, INPUT_SUFFIX, WRITE_MODE, RESULTS, PROCESSORS, BOOTSTRAP, FAIR_BY,
TOLERATE, OUTPUT_EXPIRY_DAYS, RECORDS_API, RECORDS_BY, RECORDS_CONCURRENCY, REPORTS, SCATTER_CONCURRENCY, STALL_AFTER, GIVE_UP_AFTER, API, API_JWT, UPLOADER_ARNS, WEBHOOKS, ALARM_EMAIL, KMS_KEY_ARN, ARCH, PROTECT_DATA, TF_MIRROR;
STATE_BUCKET and STATE_REGION for a state in a bucket. Any other variable of infra/variables*.tf can be set as TF_VAR_name. One
that is unset or empty stays as it was in the last deployment; in the first one, and if RESET names it, it has the default of
infra/variables.tf.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import concurrent.futures
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import backend
import guard
from settings import (INFRA, SETTINGS, as_environment, basic_variables, check_bootstrap, check_press, given_settings, kept_settings,
                      records_of_pipelines, reporting, setting, told, variables)
from terraform import SLOW, Terraform, Unsettled
from toolbox import Failure, run

# How long Terraform waits for another deployment of the same state to end.
LOCK_TIMEOUT = "-lock-timeout=15m"


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


def outputs_in(state):
    """Terraform's outputs in a state, each an object with its value."""
    return read_state(state).get("outputs", {})


def deployed_in(state):
    """What is deployed according to a state, or None."""
    return outputs_in(state).get("deployment", {}).get("value")


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


@contextlib.contextmanager
def alone(state):
    """Waits until no other deployment of the same state is under way, so that a plan is not outdated when it is applied."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with open(state.with_name(state.name + ".lock"), "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another deployment of the same SCOPE to end", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def carry_out(terraform, options, state, given, *flags):
    """Plans and applies, once more if AWS had not yet taken note of what was made the first time."""
    try:
        plan_and_apply(terraform, options, state, given, *flags)
    except Unsettled:
        if "-destroy" in flags:
            raise
        print("AWS has not taken note yet of all that was made; going on from there, once", flush=True)
        plan_and_apply(terraform, options, state, given)


def plan_and_apply(terraform, options, state, given, *flags):
    """Plans, and applies the same plan if nothing that is stored is lost by it, or if that is confirmed."""
    plan = terraform.work / "plan"
    common = ["-input=false", LOCK_TIMEOUT, *([] if terraform.remote else [f"-state={state}"])]
    changes = terraform.stream(
        "plan", *common, *flags, "-detailed-exitcode", f"-out={plan}",
        variables=given, accept=(0, 2), keep=r"^Plan:|^No changes" if options.emulator else None,
    )
    if not changes:
        return
    deployed = deployed_in(state)
    if state.is_file():
        guard.allow(terraform.show(plan), (deployed or {}).get("region") or setting("AWS_REGION"), options.emulator)
    if "-destroy" in flags and not options.emulator:
        ask()
    # On an emulator most of the time is spent waiting for queues to settle, so many are created at once. AWS throttles changes,
    # and takes time to spread each: Terraform's own number of ten gives it that.
    if options.emulator and not deployed:
        print("takes about a minute, by the time Terraform gives new queues to settle", flush=True)
    terraform.stream(
        "apply", *common, f"-parallelism={30 if options.emulator else 10}", str(plan),
        variables=given, keep=SLOW + r"|^Apply complete" if options.emulator else None,
    )


def ask():
    """Asks whether a deployment in AWS is to be removed, since it cannot be brought back."""
    if setting("CONFIRM") == "yes":
        return
    if not sys.stdin.isatty():
        raise Failure("a destroy in AWS asks first; without a terminal, say CONFIRM=yes")
    if input("Remove all of this? Only yes is accepted: ") != "yes":
        raise Failure("nothing was removed")


def check_settings(command, given):
    """Has the command check what each pipeline would be given, with the code by which its functions refuse to start."""
    if not command:
        return
    if not command.is_file():
        raise Failure(f"{command} is missing, which checks the settings: run `make build` first")
    refused = []
    for name, asked in records_of_pipelines(given).items():
        done = subprocess.run(
            [str(command), "check", "--json", *(f"--{option}={value}" for option, value in asked.items())],
            # Terraform reads paths from there too. What the environment says is in the variables already.
            cwd=INFRA, env={name: value for name, value in os.environ.items() if name not in SETTINGS},
            capture_output=True, text=True, check=False,
        )
        if done.returncode != 0:
            refused += [f"pipeline {name}: {problem}" for problem in problems_in(done)]
    if refused:
        raise Failure("\n  ".join(["nothing was deployed, because no function could start with this:", *refused]))


def problems_in(done):
    """What the command found; all that it said, if it could not say that in JSON."""
    try:
        return json.loads(done.stdout)["problems"]
    except (KeyError, TypeError, ValueError):
        return [done.stderr.strip() or f"the check ended with status {done.returncode}"]


def opened(options, state):
    """Terraform, and the state as it is now."""
    terraform = Terraform(options.work)
    if options.emulator:
        meet_emulator(state)
    where = backend.place(state)
    if where:
        backend.use(terraform, where, state, options.emulator)
    return terraform


def apply(options):
    state = Path(options.state).resolve()
    with alone(state):
        terraform = opened(options, state)
        outputs = outputs_in(state)
        refuse_other_region(deployed_in(state))
        given = given_settings()
        kept = told(given, kept_settings(outputs))
        if kept:
            print(kept, flush=True)
        given = variables(options, outputs, given)
        check_bootstrap(given)
        check_press(given, options.press)
        check_settings(options.fanfold, given)
        if not terraform.remote:
            terraform.init()
        carry_out(terraform, options, state, given)
        if terraform.remote:
            backend.refresh(terraform, state)
        write_output(options, deployed_in(state))


def destroy(options):
    state = Path(options.state).resolve()
    with alone(state):
        terraform = opened(options, state)
        if not state.is_file():
            print(f"nothing is deployed as SCOPE={setting('SCOPE')}")
            return
        refuse_other_region(deployed_in(state))
        if any(attributes_in(state, "aws_dynamodb_table", "deletion_protection_enabled")):
            # Terraform would remove everything else before it fails at the tables.
            raise Failure("the data is protected; to give it up, first run `make deploy` with PROTECT_DATA=false")
        if not terraform.remote:
            terraform.init()
        if not options.package or not Path(options.package).is_file():
            options.package = INFRA / "versions.tf"  # a destroy needs only the name of a file
        carry_out(terraform, options, state, as_environment(basic_variables(options)), "-destroy")
        state.unlink(missing_ok=True)
        Path(options.output).unlink(missing_ok=True)


def output(options):
    state = Path(options.state).resolve()
    if backend.place(state):
        with alone(state):
            opened(options, state)
    elif options.emulator:
        meet_emulator(state)
    deployed = deployed_in(state)
    if deployed is None:
        raise Failure(f"nothing is deployed as SCOPE={setting('SCOPE')}: run `make deploy` first")
    write_output(options, deployed)


def reports(options):
    """Prints the pipelines that make reports, of what would be deployed: for them, the function that prints is built."""
    state = Path(options.state).resolve()
    if backend.place(state) and not state.is_file():
        # What is said meanwhile is no pipeline.
        with alone(state), contextlib.redirect_stdout(sys.stderr):
            opened(options, state)
    for name in reporting(variables(options, outputs_in(state), given_settings())):
        print(name)


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
    parser.add_argument("command", choices=["apply", "destroy", "output", "reports", "check"])
    parser.add_argument("--work", type=lambda work: Path(work).resolve(), required=True, help="directory for what Terraform writes")
    parser.add_argument("--state", help="state file")
    parser.add_argument("--output", help="file that describes the deployment")
    parser.add_argument("--package", help="zip of the functions")
    parser.add_argument("--press", help="zip of the function that prints reports, if any pipeline makes some")
    parser.add_argument("--command", dest="fanfold", type=lambda path: Path(path).resolve(), help="the command, to check settings with before they are applied")
    parser.add_argument("--emulator", action="store_true", help="AWS_ENDPOINT_URL names an emulator")
    options = parser.parse_args()
    return {"apply": apply, "destroy": destroy, "output": output, "reports": reports, "check": check}[options.command](options)


if __name__ == "__main__":
    run(main)

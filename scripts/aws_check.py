#!/usr/bin/env python3
"""Checks on an account what is assumed of AWS and no emulator can show, writes a report, and removes what it made.

Runs with the emulator's Python, which has botocore. Credentials come from the environment or a profile, as for Terraform.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import botocore.exceptions
import botocore.session

import aws_report
from aws_checks import CHECKS, COPIED, RANGED
from aws_report import FAILED, MOST_SECONDS, PASSED, UNDECIDED, Trial, entry
from aws_site import Site
from deployment import read_state
from settings import SETTINGS, setting
from toolbox import Failure, run

INTERRUPTED = "it was interrupted"
# Seconds that a deployment may take, and that are kept for removing all.
TO_DEPLOY, TO_REMOVE = 600, 600
# No batch costs more, whatever goes wrong: a file that would is refused. A large file of rows with different keys would cost so much.
LIMITS = json.dumps({"dollars": 0.8})
# With less of a processor than by default, so that large-file tries what that is enough for.
MEMORY = json.dumps({"scatter": 512, "gather": 512})
# The sizes that the promised dollars are for, which nobody can exceed by mistake.
MOST_RECORDS, MOST_BYTES = 200_000, 1 << 30
# Settings of the user's deployments that these do not have. The architecture is that of the package.
NOT_OURS = (set(SETTINGS) - {"ARCH"}) | {
    "CONFIRM", "KEEP_VARIANTS", "PIPELINE", "PIPELINES", "RESET", "STATE_BUCKET", "STATE_REGION", "VARIANT", "VARIANTS"}
DEPLOYMENT = Path(__file__).resolve().with_name("deployment.py")


class TimeUp(BaseException):
    """A check took longer than it may. No Exception, so that nothing under way takes it for a failure of a request."""


@contextlib.contextmanager
def within(seconds):
    """Raises TimeUp in what is still under way after so many seconds."""

    def ring(*_):
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def not_to_be_interrupted():
    """Goes on after Ctrl-C, and says so: what is removed half-way stays for ever."""

    def on_signal(*_):
        print("\nstill removing what was made; it ends by itself", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupted(*_):
    raise KeyboardInterrupt


def carried_out(command, environment):
    """Runs a command, and returns its status. If it is not waited for, it is asked to end, and does so in order."""
    # A session of its own: Terraform's first interrupt comes from here, not twice from the terminal.
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise


class Deployments:
    """What was deployed for the checks, each under a scope of its own with a state of its own."""

    def __init__(self, options, scope, scratch, client):
        self.options, self.scope, self.scratch, self.client = options, scope, scratch, client
        self.begun, self.made_key = [], None
        self.seconds = {"deploying": 0.0, "removing": 0.0}

    def command(self, what, scope, *arguments):
        work = self.options.work / scope.rstrip("-")
        options = ["--work", work, "--state", self.state(scope), "--output", work / "deployment.json",
                   "--package", self.options.package, *["--emulator"] * self.options.emulator]
        return [sys.executable, str(DEPLOYMENT), what, *map(str, options), *map(str, arguments)]

    def state(self, scope):
        return self.options.states / f"{scope}terraform.tfstate"

    def environment(self, scope, **settings):
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS and not name.startswith("TF_VAR_")}
        return {**kept, "SCOPE": scope, **settings}

    def site(self, suffix="", **settings):
        """Makes a deployment and returns it."""
        scope = self.scope + suffix
        self.begun.append(scope)
        print(f"deploying {settings['VARIANTS']} as {scope}", flush=True)
        given = self.environment(scope, PROTECT_DATA="false", LIMITS=LIMITS, TF_VAR_memory=MEMORY, **settings)
        with self.timed("deploying"):
            status = carried_out(self.command("apply", scope, "--command", self.options.command), given)
        if status:
            raise Failure(f"{scope} could not be deployed; what Terraform said is above")
        return Site(self.options.work / scope.rstrip("-") / "deployment.json", self.options.command, self.scratch)

    @contextlib.contextmanager
    def timed(self, what):
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] += time.monotonic() - began

    def key(self):
        """The ARN of the key that KMS_KEY_ARN names, or of a new one."""
        if setting("KMS_KEY_ARN"):
            return setting("KMS_KEY_ARN")
        account, region, kms = self.options.account, self.options.region, self.client("kms")
        policy = json.dumps(key_policy(account["partition"], account["number"], region))
        print("making a key", flush=True)
        made = kms.create_key(Description=f"fanfold aws-check, {self.scope}", Policy=policy)["KeyMetadata"]
        self.made_key = made["KeyId"]
        return made["Arn"]

    def remove(self):
        """Removes everything, and returns what remains, each with how to remove it."""
        remains = []
        with not_to_be_interrupted(), self.timed("removing"):
            for scope in reversed(self.begun):
                print(f"removing {scope}", flush=True)
                remains += self.removed(scope)
            if self.made_key:
                remains += self.key_removed(remains)
        return remains

    def removed(self, scope):
        # Once more, since a bucket gets what functions were just writing, and AWS takes note late of what is gone.
        for _ in range(2):
            if not carried_out(self.command("destroy", scope), self.environment(scope, CONFIRM="yes")):
                for rest in (".backup", ".lock"):
                    Path(f"{self.state(scope)}{rest}").unlink(missing_ok=True)
                return []
        how = f"`make {self.options.goal} SCOPE={scope} CONFIRM=yes destroy`"
        try:
            left = [resource for resource in read_state(self.state(scope)).get("resources", []) if resource.get("mode") == "managed"]
        except Failure as problem:
            return [f"what {scope} made, of which is not known what it is ({problem}); remove it with {how}"]
        kinds = sorted({resource["type"] for resource in left})
        return [f"{len(left)} resources of {scope} ({', '.join(kinds) or 'unknown'}); remove them with {how}"]

    def key_removed(self, remains):
        how = "`aws kms schedule-key-deletion --pending-window-in-days 7 --key-id`"
        if remains:
            return [f"the key with the description \"fanfold aws-check, {self.scope}\"; when all else is removed: {how} and its id"]
        try:
            # A key waits at least seven days, for which nothing is charged:
            # https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
            self.client("kms").schedule_key_deletion(KeyId=self.made_key, PendingWindowInDays=7)
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as problem:
            return [f"the key with the description \"fanfold aws-check, {self.scope}\" ({problem}): {how} and its id"]
        return []


def key_policy(partition, account, region):
    """The policy that a key needs, as the variable kms_key_arn in infra/variables.tf describes it."""

    def allow(principal, *actions):
        return {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"}

    return {"Version": "2012-10-17", "Statement": [
        allow({"AWS": f"arn:{partition}:iam::{account}:root"}, "kms:*"),
        allow({"Service": "s3.amazonaws.com"}, "kms:GenerateDataKey", "kms:Decrypt"),
        allow({"Service": ["cloudwatch.amazonaws.com", "sns.amazonaws.com"]}, "kms:GenerateDataKey*", "kms:Decrypt"),
        allow({"Service": f"logs.{region}.amazonaws.com"}, "kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*",
              "kms:GenerateDataKey*", "kms:Describe*"),
    ]}


# --- the checks ------------------------------------------------------------------------------------------------------


def tried(check, trial, seconds):
    """Runs a check for so many seconds at most, and returns what the report says about it."""
    print(f"\n{check.name}: {check.title}", flush=True)
    began = time.monotonic()
    try:
        if seconds <= 0:
            verdict, reason = UNDECIDED, "no time was left for it"
        else:
            with within(seconds):
                verdict, reason = check.run(trial)
    except TimeUp:
        verdict, reason = UNDECIDED, f"it was not over after {seconds:.0f} seconds"
    except Exception as problem:  # whatever it is, the others still run
        verdict, reason = UNDECIDED, f"it could not go on: {str(problem) or type(problem).__name__}"
    print(f"{verdict}: {reason}", flush=True)
    return entry(check, verdict, reason, trial, time.monotonic() - began)


def try_all(checks, trial_of, end, found):
    """Runs the checks one after another until a moment, and adds what they found to a list, even if it is interrupted."""
    for check in checks:
        trial = trial_of()
        began = time.monotonic()
        try:
            found.append(tried(check, trial, min(check.seconds, end - began)))
        except KeyboardInterrupt:
            found.append(entry(check, UNDECIDED, INTERRUPTED, trial, time.monotonic() - began))
            raise


def on_a_deployment(checks, make, found, began, deployments=None, sizes=None):
    """Runs the checks on what `make` deploys; returns what ended them early, if anything did, and what remains."""
    problem, remains = "", []
    before = signal.signal(signal.SIGTERM, interrupted)
    try:
        with within(TO_DEPLOY):
            site = make()
        try_all(checks, lambda: Trial(site, sizes, deployments), began + MOST_SECONDS - TO_REMOVE, found)
    except KeyboardInterrupt:
        problem = INTERRUPTED
    except TimeUp:
        problem = f"the deployment was not over after {TO_DEPLOY} seconds"
    except Failure as failure:
        problem = str(failure)
    finally:
        signal.signal(signal.SIGTERM, before)
        if deployments:
            remains = deployments.remove()
    for check in checks[len(found):]:
        found.append(entry(check, UNDECIDED, f"it was not begun, since {problem}", None, 0))
    return problem, remains


def told(options, scope, checks):
    """What is about to be made, where, and what it may cost."""
    where = f"region {options.region} of account {options.account['number']}" if not options.emulator else f"the emulator at {setting('AWS_ENDPOINT_URL')}"
    lines = [f"This checks {where}. It makes two deployments, {scope} with {COPIED} and {RANGED} and {scope}key- with"
             f" {COPIED}, and a key of KMS unless KMS_KEY_ARN names one; it submits files to them, and removes all in the end.",
             f"It costs at most ${aws_report.budget(checks):.2f} by list prices, and takes at most"
             f" {MOST_SECONDS // 60} minutes, mostly far less:"]
    lines += [f"  {check.name:16} at most ${check.dollars:.2f} and {check.seconds / 60:.0f} minutes: {check.title}" for check in checks]
    lines.append(f"Should it be killed: make {options.goal} SCOPE={scope} CONFIRM=yes destroy, and the same with SCOPE={scope}key-")
    left = sorted(file.name.removesuffix("terraform.tfstate") for file in options.states.glob("check-*terraform.tfstate"))
    lines += [f"An earlier check left {other}: make {options.goal} SCOPE={other} CONFIRM=yes destroy" for other in left]
    return "\n".join(lines)


def ask():
    """Asks whether to go on, since it costs money."""
    if setting("CONFIRM") == "yes":
        return
    if not sys.stdin.isatty():
        raise Failure("a check of an account asks first; without a terminal, say CONFIRM=yes")
    if input("Go on? Only yes is accepted: ") != "yes":
        raise Failure("nothing was made")


def region_of(session):
    region = setting("AWS_REGION") or setting("AWS_DEFAULT_REGION") or session.get_config_variable("region")
    if not region:
        raise Failure("no region: set AWS_REGION")
    return region


def account_of(session, region):
    """Whose account it is, in which partition."""
    try:
        identity = session.create_client("sts", region_name=region).get_caller_identity()
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as problem:
        raise Failure(f"AWS does not say whose account it is: {problem}") from None
    return {"number": identity["Account"], "partition": identity["Arn"].split(":")[1]}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", type=lambda path: Path(path).resolve(), required=True, help="the executable fanfold")
    parser.add_argument("--package", type=Path, help="zip of the functions")
    parser.add_argument("--states", type=Path, help="folder of Terraform's states")
    parser.add_argument("--work", type=lambda path: Path(path).resolve(), default=Path("target/aws-check").resolve(), help="folder of the report")
    parser.add_argument("--deployment", type=Path, help="runs the checks on this deployment, and makes and removes none")
    parser.add_argument("--emulator", action="store_true", help="AWS_ENDPOINT_URL names an emulator")
    parser.add_argument("--target", default="AWS", help="what is checked, for the report")
    parser.add_argument("--goal", default="ENV=aws", help="how make is told where it is")
    parser.add_argument("--commit", default="unknown", help="which version of fanfold this is")
    parser.add_argument("--records", type=at_most(MOST_RECORDS), default=MOST_RECORDS, help="for a new table")
    parser.add_argument("--output-bytes", type=at_most(64 << 20), default=9 << 20, help="of an output in parts")
    parser.add_argument("--bytes", type=at_most(MOST_BYTES), default=MOST_BYTES, help="of a large file, as 24MiB")
    parser.add_argument("--only", type=names_of_checks, default=[], help="names of checks, with commas between them")
    parser.add_argument("--must-pass", type=names_of_checks, default=[], help="fails unless these pass")
    return parser.parse_args()


def at_most(most):
    """Reads a number, perhaps with a unit of bytes, that is not above another."""

    def number(text):
        found = re.fullmatch(r"(\d+)(|KiB|MiB|GiB)", text)
        value = int(found[1]) << {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[found[2]] if found else 0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {most}")
        return value

    return number


def names_of_checks(text):
    names, known = text.split(","), [check.name for check in CHECKS]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no check {name}; there is {', '.join(known)}")
    return names


def main():
    options = arguments()
    checks = [check for check in CHECKS if not options.only or check.name in options.only]
    session, began = botocore.session.get_session(), time.monotonic()
    options.region = region_of(session)
    options.account = account_of(session, options.region)
    found, deployments = [], None
    with tempfile.TemporaryDirectory() as scratch:
        if options.deployment:
            problem, remains = on_a_deployment(
                checks, lambda: Site(options.deployment, options.command, Path(scratch)), found, began, sizes=options)
        else:
            scope = f"check-{secrets.token_hex(2)}-"
            print(told(options, scope, checks), flush=True)
            if not options.emulator:
                ask()
            began = time.monotonic()
            deployments = Deployments(options, scope, Path(scratch), lambda service: session.create_client(service, region_name=options.region))
            problem, remains = on_a_deployment(
                checks, lambda: deployments.site(VARIANTS=f"{COPIED} {RANGED}"), found, began, deployments, options)
    head = {"target": options.target, "date": aws_report.today(), "commit": options.commit, "region": options.region,
            "architecture": setting("ARCH") or "x86_64", "account": options.account["number"], "problem": problem,
            "seconds": round(time.monotonic() - began, 1)}
    if deployments:
        head["secondsOf"] = {what: round(seconds, 1) for what, seconds in deployments.seconds.items()}
    aws_report.write(options.work, aws_report.report(head, found, remains))
    return concluded(options, found, problem, remains)


def concluded(options, found, problem, remains):
    """Says how it ended; returns the exit status."""
    counts = {verdict: sum(each["verdict"] == verdict for each in found) for verdict in (PASSED, FAILED, UNDECIDED)}
    print(f"\n{', '.join(f'{count} {verdict}' for verdict, count in counts.items())}; the report is {os.path.relpath(options.work / 'report.md')}")
    if problem:
        print(f"fanfold: {problem}", file=sys.stderr)
    for what in remains:
        print(f"fanfold: not removed: {what}", file=sys.stderr)
    missed = [each["name"] for each in found if each["name"] in options.must_pass and each["verdict"] != PASSED]
    if missed:
        print(f"fanfold: not passed: {', '.join(missed)}", file=sys.stderr)
    if problem == INTERRUPTED and not remains:
        return 130
    return 1 if counts[FAILED] or problem or remains or missed else 0


if __name__ == "__main__":
    run(main)

#!/usr/bin/env python3
"""Checks what a review would: the infrastructure with checkov, the dependencies with cargo-deny.

    infra    infra/ follows checkov's rules, or says on the spot why not
    crates   licences, bans and sources are those that deny.toml allows, and no dependency is known to be vulnerable. Where
             the list of advisories cannot be fetched, this says so; with --advisories, it fails

Neither needs a deployment or an account. Each tool is pinned here and installed under target/ when it is first used.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import re
import subprocess
from pathlib import Path

from toolbox import Failure, cargo_tool, pins, python_with, run, without_credentials

CARGO_DENY = "0.20.2"

# Seconds that the list of advisories may take.
PATIENCE = 45

INFRA = next(folder / "infra" for folder in Path(__file__).resolve().parents if (folder / "infra" / "main.tf").is_file())
ROOT = INFRA.parent
# The packages that binaries are made of; each workspace has what it allows in its own deny.toml.
WORKSPACES = [".", "crates/report"]


def check_infra(options):
    python = python_with("checkov", options.target / "checkov")
    command = [str(python), "-m", "checkov.main", "--directory", str(INFRA), "--framework", "terraform",
               "--skip-download", "--quiet", "--compact"]
    # The caller's variables could make it use its online services.
    own = {name: value for name, value in without_credentials().items() if not name.startswith(("BC_", "CKV_", "PRISMA_"))}
    done = subprocess.run(command, cwd=ROOT, env={**own, "LOG_LEVEL": "ERROR"}, capture_output=True, text=True)
    summary = re.search(r"^Passed checks: (\d+), Failed checks: (\d+), Skipped checks: (\d+)(.*)$", done.stdout, re.M)
    # It passes in spite of a file that it cannot read, but counts it.
    if done.returncode != 0 or not summary or summary.group(1) == "0" or summary.group(4):
        raise Failure(
            f"checkov {pins('checkov')['checkov']} objects to infra/:\n{(done.stdout + done.stderr).strip()}\n"
            "Mend it, or justify it within the resource: #checkov:skip=ID:reason"
        )
    print(f"checkov: {summary.group(1)} checks passed, {summary.group(3)} skipped with a reason")


def check_crates(options):
    tool = cargo_tool("cargo-deny", CARGO_DENY, options.target / "tools")
    reason = unreachable(tool)
    if reason and options.advisories:
        raise Failure(f"cannot fetch the known vulnerabilities: {reason}")
    checks = ["licenses", "bans", "sources"] + ([] if reason else ["advisories"])
    for workspace in WORKSPACES:
        done = deny(tool, "check", "--hide-inclusion-graph", *checks, workspace=workspace)
        if done.returncode != 0:
            raise Failure(f"cargo-deny {CARGO_DENY} objects to the dependencies of {workspace}:\n{done.stdout.strip()}")
        twice = re.findall(r"duplicate entries for crate '([^']+)'", done.stdout)
        told = f"cargo-deny: {workspace}: {done.stdout.strip().splitlines()[-1]}"
        print(told + (f"; in two versions: {', '.join(twice)}" if twice else ""))
        if reason:
            check_known_advisories(tool, reason, workspace)


def check_known_advisories(tool, reason, workspace):
    """Checks those that were fetched before, or says that none were checked."""
    done = deny(tool, "--offline", "check", "--hide-inclusion-graph", "advisories", workspace=workspace)
    if "advisories FAILED" in done.stdout:
        raise Failure(f"cargo-deny {CARGO_DENY} objects to the dependencies:\n{done.stdout.strip()}")
    checked = "only those fetched before were checked" if "advisories ok" in done.stdout else "NONE WERE CHECKED"
    print(f"cargo-deny: {workspace}: the known vulnerabilities cannot be fetched, {checked}: {reason}")


def unreachable(tool):
    """Why the list of known vulnerabilities cannot be fetched, if it cannot."""
    try:
        done = deny(tool, "fetch", "db", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"no answer in {PATIENCE} s"
    said = [line for line in done.stdout.splitlines() if line.strip()]
    return None if done.returncode == 0 else (said or ["it ended without a word"])[-1]


def deny(tool, *arguments, workspace=".", timeout=None):
    # Git must not ask for a password where its way to GitHub is barred.
    environment = {**without_credentials(), "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run([str(tool), "--locked", "--workspace", *arguments], cwd=ROOT / workspace, env=environment, timeout=timeout,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["infra", "crates"], nargs="+")
    parser.add_argument("--target", type=Path, default=ROOT / "target", help="directory for the tools")
    parser.add_argument("--advisories", action="store_true", help="fail if the list of known vulnerabilities cannot be fetched")
    options = parser.parse_args()
    for what in options.what:
        {"infra": check_infra, "crates": check_crates}[what](options)


if __name__ == "__main__":
    run(main)

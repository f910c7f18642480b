#!/usr/bin/env python3
"""Pins all that is installed: the files from PyPI by their hashes, and Terraform's provider.

    scripts/requirements/NAME.in     what a program needs, written by hand
    scripts/requirements/NAME.txt    all that this brings, with the hashes of every platform's files, written by uv
    infra/.terraform.lock.hcl        the provider, with the hashes of every platform

What is pinned stays as long as it fits; --upgrade takes the newest that fits. The provider's hashes come from Terraform's
registry alone, so that where it cannot be reached only the rest is written, and the exit status is 1.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from settings import setting
from terraform import INFRA, LOCK_FILE
from toolbox import REQUIREMENTS, Failure, oldest_python, python_with, run, wheels, without_credentials

# What fanfold is built and deployed on: Terraform's names, and uv's.
PLATFORMS = {
    "linux_amd64": "x86_64-unknown-linux-gnu",
    "linux_arm64": "aarch64-unknown-linux-gnu",
    "darwin_amd64": "x86_64-apple-darwin",
    "darwin_arm64": "aarch64-apple-darwin",
}

NEWEST_PYTHON = (3, 14)


def compile_all(names, options):
    """Writes the requirements of each name, and says what cannot be installed somewhere."""
    uv = python_with("uv", options.target / "uv").with_name("uv")
    problems = []
    for name in names:
        requirements = REQUIREMENTS / f"{name}.txt"
        try:
            compile_one(uv, name, requirements, options.upgrade)
            pins = re.findall("^[a-z]", requirements.read_text(), re.M)
            print(f"{requirements.relative_to(INFRA.parent)}: {len(pins)} pins", flush=True)
            problems += installable(uv, name, requirements)
        except Failure as failure:
            problems.append(str(failure))
    return problems


def compile_one(uv, name, requirements, upgrade):
    oldest = ".".join(map(str, oldest_python(name)))
    # For all platforms and versions of Python at once, with markers where they differ, and from wheels alone.
    command = [uv, "pip", "compile", "--quiet", "--universal", "--generate-hashes", *wheels(name),
               "--python-version", oldest, "--custom-compile-command", "make lock", "--no-python-downloads"]
    command += ["--upgrade"] if upgrade else []
    done = quiet([*command, f"{name}.in", "--output-file", requirements.name])
    if done.returncode != 0:
        raise Failure(f"cannot pin {name}:\n{done.stdout.strip()}")


def installable(uv, name, requirements):
    """Where these requirements cannot be installed: a version may have no file for a platform or a Python."""
    for platform in PLATFORMS.values():
        for python in (oldest_python(name), NEWEST_PYTHON):
            version = ".".join(map(str, python))
            command = [uv, "pip", "compile", "--quiet", "--no-deps", *wheels(name), "--no-python-downloads",
                       "--python-platform", platform, "--python-version", version, requirements.name]
            done = quiet([*command, "--output-file", os.devnull])
            if done.returncode != 0:
                yield f"{name} cannot be installed on {platform} with Python {version}:\n{done.stdout.strip()}"


def quiet(command, **options):
    options = {"cwd": REQUIREMENTS, "env": without_credentials(), **options}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)


def lock_provider():
    """Writes Terraform's lock file, and says why if it cannot."""
    terraform = [setting("TERRAFORM") or "terraform", f"-chdir={INFRA}"]
    platforms = [f"-platform={platform}" for platform in PLATFORMS]
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "TF_DATA_DIR": scratch, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        for arguments in (["get", "-no-color"], ["providers", "lock", "-no-color", *platforms]):
            try:
                done = quiet([*terraform, *arguments], env=environment)
            except OSError as error:
                return [f"cannot run Terraform: {error}"]
            if done.returncode != 0:
                # After warnings about what Terraform's own configuration lacks.
                reason = done.stdout[max(done.stdout.find("Error: "), 0):].strip()
                return [f"{LOCK_FILE.relative_to(INFRA.parent)} stays as it was; `make lock` writes it where Terraform's"
                        f" registry can be reached:\n{reason}"]
    print(f"{LOCK_FILE.relative_to(INFRA.parent)}: {', '.join(PLATFORMS)}")
    if quiet(["git", "check-ignore", "--quiet", str(LOCK_FILE)]).returncode == 0:
        print("It holds for all platforms: take it out of .gitignore, and commit both")
    return []


def main():
    known = sorted(path.stem for path in REQUIREMENTS.glob("*.in"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"only these of: {', '.join(known)}, provider")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    parser.add_argument("--target", type=Path, default=INFRA.parent / "target", help="directory for the tools")
    options = parser.parse_args()
    unknown = set(options.names) - {*known, "provider"}
    if unknown:
        raise Failure(f"there is no {', '.join(sorted(unknown))}: give {', '.join(known)} or provider")
    names = options.names or [*known, "provider"]
    problems = compile_all([name for name in names if name != "provider"], options)
    problems += lock_provider() if "provider" in names else []
    for problem in problems:
        print(f"fanfold: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    run(main)

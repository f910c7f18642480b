#!/usr/bin/env python3
"""Builds the zip of the functions: the executable `bootstrap`, and nothing else; and beside it the list of what is linked.

For functions that run on this machine, the executable is the release build as it is. For Lambda's runtime provided.al2023,
the same objects are linked by cargo-lambda, whose zig links against the glibc of that runtime instead of this machine's;
for another architecture or on another system, cargo-lambda compiles everything.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import io
import os
import subprocess
import zipfile
from pathlib import Path

import sbom
from toolbox import Failure, python_with, run, without_credentials

GLIBC = "2.34"
TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}

# Zig's names of the targets.
ZIG_TARGETS = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def build_for_lambda(options):
    """The executable for provided.al2023."""
    python = python_with("cargo-lambda", options.venv)
    triple = TRIPLES[options.arch]
    target_dir = Path(options.target_dir).resolve()
    environment = {
        **without_credentials(),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        # cargo-lambda 1.9.2 fails if this is an argument.
        "CARGO_TARGET_DIR": str(target_dir),
    }
    common = ["--locked", "--release", "--package", "fanfold-lambda", "--bin", "bootstrap"]
    if options.host == triple:
        # Only the last step differs from an ordinary build, so only that is repeated. A linker in Cargo's
        # configuration would count as another configuration of every crate, and compile them all a second time.
        linker = write_linker(target_dir, python.parent, options.arch)
        command = ["cargo", "rustc", *common, "--target", triple, "--", "-C", f"linker={linker}"]
        built = target_dir / triple / "release" / "bootstrap"
    else:
        # Its optimisations are panic=abort, with which one bad message would end the whole function, and link-time
        # optimisation, which takes minutes.
        command = [str(python.parent / "cargo-lambda"), "lambda", "build", *common, "--disable-optimizations",
                   "--target", f"{triple}.{GLIBC}", "--lambda-dir", str(target_dir / "lambda")]
        built = target_dir / "lambda" / "bootstrap" / "bootstrap"
    if subprocess.run(command, env=environment).returncode != 0:
        raise Failure(f"cannot build the functions for {options.arch}")
    return built


def write_linker(target_dir, tools, arch):
    script = target_dir / f"link-{arch}"
    text = (
        "#!/bin/sh\n"
        f"PATH='{tools}':\"$PATH\"\n"
        f"exec cargo-lambda zig cc -- -g -fno-sanitize=all -target {ZIG_TARGETS[arch]}.{GLIBC} \"$@\"\n"
    )
    if not script.is_file() or script.read_text() != text:
        script.write_text(text)
        script.chmod(0o755)
    return script


def zipped(executable):
    """A zip whose bytes depend only on the executable, so that an unchanged one is not deployed again."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, executable.read_bytes())
    return buffer.getvalue()


def holds(archive, executable):
    """Whether an archive already contains this executable."""
    try:
        with zipfile.ZipFile(archive) as found:
            return found.read("bootstrap") == executable.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile):
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--binary", type=Path, help="zip this executable as it is")
    parser.add_argument("--arch", choices=sorted(TRIPLES), help="build for Lambda, for this architecture")
    parser.add_argument("--host", help="the triple this machine's compiler builds for")
    parser.add_argument("--target-dir", default="target")
    parser.add_argument("--venv", default="target/cargo-lambda", help="virtual environment for cargo-lambda")
    options = parser.parse_args()
    executable = options.binary or build_for_lambda(options)
    if not executable.is_file():
        raise Failure(f"there is no {executable}")
    listed = sbom.document(executable, TRIPLES.get(options.arch))
    if not holds(options.zip, executable):
        options.zip.parent.mkdir(parents=True, exist_ok=True)
        draft = options.zip.with_suffix(".new")
        draft.write_bytes(zipped(executable))
        draft.replace(options.zip)
    sbom.path_beside(options.zip).write_text(listed)
    print(f"{options.zip}: {options.zip.stat().st_size / 1e6:.1f} MB, linked from what {sbom.path_beside(options.zip).name} lists")


if __name__ == "__main__":
    run(main)

#!/usr/bin/env python3
"""Builds the zip of the functions: the executable `bootstrap`, and nothing else; and beside it the list of what is linked.

For functions that run on this machine, the executable is the release build as it is. For Lambda's runtime provided.al2023,
the same objects are linked by cargo-lambda, whose zig links against the glibc of that runtime instead of this machine's;
for another architecture or on another system, cargo-lambda compiles everything.

An executable of somebody else, with a processor of its own, is checked instead of built. What is linked into it is not known here,
so that no list lies beside its package.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import io
import os
import struct
import subprocess
import zipfile
from pathlib import Path

import glibc
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


def check_own(executable, arch, for_lambda):
    """Refuses an executable that the functions could not start."""
    told = f"BOOTSTRAP={executable}"
    if not executable.is_file():
        raise Failure(f"{told} names no file in {Path.cwd()}")
    image = executable.read_bytes()
    try:
        built_for, newest = glibc.machine(image), glibc.newest_glibc(image)
    except (Failure, struct.error, IndexError, ValueError) as problem:
        raise Failure(f"{told} is no executable for Lambda: {problem}") from None
    # https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html: a program, or one that can lie anywhere
    kind, = struct.unpack_from("<H", image, 0x10)
    if kind not in (2, 3):
        raise Failure(f"{told} is no executable: name the program that is linked, not an object file")
    if built_for != arch:
        raise Failure(f"{told} is built for {built_for}, and the functions are for {arch}: build it for that, or deploy with ARCH=")
    if for_lambda and newest > tuple(map(int, GLIBC.split("."))):
        raise Failure(
            f"{told} needs glibc {'.'.join(map(str, newest))}, and Lambda has {GLIBC}: link it against that, as"
            " `cargo lambda build --release` does"
        )


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


def write(archive, executable):
    """Writes the zip, unless it holds this executable already."""
    if not holds(archive, executable):
        archive.parent.mkdir(parents=True, exist_ok=True)
        draft = archive.with_suffix(".new")
        draft.write_bytes(zipped(executable))
        draft.replace(archive)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--binary", type=Path, help="zip this executable as it is")
    parser.add_argument("--own", type=Path, help="check this executable, which is not built here, and zip it")
    parser.add_argument("--for-lambda", action="store_true", help="it has to run there, not on this machine")
    parser.add_argument("--arch", choices=sorted(TRIPLES), help="build for Lambda, for this architecture")
    parser.add_argument("--host", help="the triple this machine's compiler builds for")
    parser.add_argument("--target-dir", default="target")
    parser.add_argument("--venv", default="target/cargo-lambda", help="virtual environment for cargo-lambda")
    options = parser.parse_args()
    if options.own:
        check_own(options.own, options.arch, options.for_lambda)
        sbom.path_beside(options.zip).unlink(missing_ok=True)
        write(options.zip, options.own)
        print(f"{options.zip}: {options.zip.stat().st_size / 1e6:.1f} MB, from {options.own}")
        return
    executable = options.binary or build_for_lambda(options)
    if not executable.is_file():
        raise Failure(f"there is no {executable}")
    listed = sbom.document(executable, TRIPLES.get(options.arch))
    write(options.zip, executable)
    sbom.path_beside(options.zip).write_text(listed)
    print(f"{options.zip}: {options.zip.stat().st_size / 1e6:.1f} MB, linked from what {sbom.path_beside(options.zip).name} lists")


if __name__ == "__main__":
    run(main)

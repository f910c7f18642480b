#!/usr/bin/env python3
"""Builds the zip of the functions: the executable `bootstrap`, and nothing else; and beside it the list of what is linked.

With --press, it is that of the function that prints reports: another executable, with a template of the user's beside it if one is given.

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

# Where the workspaces are, their packages, executables and features: that of the functions, and that of the one that prints reports. With
# `testing`, which adds the suites of the stores and changes nothing, nothing is compiled again that was compiled for tests; nothing of it
# is linked, since nothing calls it.
FUNCTIONS = (".", "fanfold-lambda", "bootstrap", "fanfold/default,fanfold/testing,fanfold-http/testing")
PRESS = ("crates/report", "fanfold-report", "fanfold-report", "")

# What a template is called beside the executable.
TEMPLATE = "report.typ"

# Zig's names of the targets.
ZIG_TARGETS = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def build_for_lambda(options, workspace, crate, program, features):
    """The executable of a package for provided.al2023."""
    python = python_with("cargo-lambda", options.venv)
    triple = TRIPLES[options.arch]
    target_dir = Path(options.target_dir).resolve()
    environment = {
        **without_credentials(),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        # cargo-lambda 1.9.2 fails if this is an argument.
        "CARGO_TARGET_DIR": str(target_dir),
    }
    common = ["--locked", "--release", "--manifest-path", f"{workspace}/Cargo.toml", "--package", crate, "--bin", program, *(["--features", features] if features else [])]
    if options.host == triple:
        # Only the last step differs from an ordinary build, so only that is repeated. A linker in Cargo's
        # configuration would count as another configuration of every crate, and compile them all a second time.
        linker = write_linker(target_dir, python.parent, options.arch)
        command = ["cargo", "rustc", *common, "--target", triple, "--", "-C", f"linker={linker}"]
        built = target_dir / triple / "release" / program
    else:
        # Its optimisations are panic=abort, with which one bad message would end the whole function, and link-time
        # optimisation, which takes minutes.
        command = [str(python.parent / "cargo-lambda"), "lambda", "build", *common, "--disable-optimizations",
                   "--target", f"{triple}.{GLIBC}", "--lambda-dir", str(target_dir / "lambda")]
        built = target_dir / "lambda" / program / "bootstrap"
    if subprocess.run(command, env=environment).returncode != 0:
        raise Failure(f"cannot build {crate} for {options.arch}")
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


def files(executable, template=None):
    """What is in a package, by its name: the content and the mode."""
    return {"bootstrap": (executable.read_bytes(), 0o755)} | ({TEMPLATE: (template.read_bytes(), 0o644)} if template else {})


def zipped(executable, template=None):
    """A zip whose bytes depend only on what is in it, so that an unchanged one is not deployed again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, (content, mode) in files(executable, template).items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def holds(archive, executable, template=None):
    """Whether an archive already contains this executable and this template, and nothing else."""
    try:
        with zipfile.ZipFile(archive) as found:
            return {name: found.read(name) for name in found.namelist()} == {
                name: content for name, (content, _) in files(executable, template).items()}
    except (OSError, zipfile.BadZipFile):
        return False


def write(archive, executable, template=None):
    """Writes the zip, unless it holds this executable and this template already."""
    if not holds(archive, executable, template):
        archive.parent.mkdir(parents=True, exist_ok=True)
        draft = archive.with_suffix(".new")
        draft.write_bytes(zipped(executable, template))
        draft.replace(archive)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--zip", type=Path, help="write the package of the functions")
    target.add_argument("--press", type=Path, help="write the package of the function that prints reports")
    parser.add_argument("--template", type=Path, help="what it prints by, instead of the template that is built in")
    parser.add_argument("--binary", type=Path, help="zip this executable as it is")
    parser.add_argument("--own", type=Path, help="check this executable, which is not built here, and zip it")
    parser.add_argument("--for-lambda", action="store_true", help="it has to run there, not on this machine")
    parser.add_argument("--arch", choices=sorted(TRIPLES), help="build for Lambda, for this architecture")
    parser.add_argument("--host", help="the triple this machine's compiler builds for")
    parser.add_argument("--target-dir", default="target")
    parser.add_argument("--venv", default="target/cargo-lambda", help="virtual environment for cargo-lambda")
    options = parser.parse_args()
    if options.template and not options.press:
        parser.error("--template goes with --press")
    if options.own:
        check_own(options.own, options.arch, options.for_lambda)
        sbom.path_beside(options.zip).unlink(missing_ok=True)
        write(options.zip, options.own)
        print(f"{options.zip}: {options.zip.stat().st_size / 1e6:.1f} MB, from {options.own}")
        return
    archive, (workspace, crate, program, features) = (options.press, PRESS) if options.press else (options.zip, FUNCTIONS)
    if options.template and not options.template.is_file():
        raise Failure(f"REPORT_TEMPLATE={options.template} names no file in {Path.cwd()}")
    executable = options.binary or build_for_lambda(options, workspace, crate, program, features)
    if not executable.is_file():
        raise Failure(f"there is no {executable}")
    listed = sbom.document(executable, TRIPLES.get(options.arch), workspace, crate)
    write(archive, executable, options.template)
    sbom.path_beside(archive).write_text(listed)
    print(f"{archive}: {archive.stat().st_size / 1e6:.1f} MB, linked from what {sbom.path_beside(archive).name} lists"
          f"{f', with {options.template}' if options.template else ''}")


if __name__ == "__main__":
    run(main)

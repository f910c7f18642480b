"""Installs pinned programs from PyPI and crates.io under the build directory.

Each program from PyPI gets a virtual environment of its own, with exactly the files whose hashes are in requirements/;
`make lock` writes those.
"""

import contextlib
import fcntl
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"

# The names of variables that may hold credentials; the script without_credentials has the same.
CREDENTIALS = """
    AWS_* AZURE_* ARM_* CLOUDSDK_* GOOGLE_* TF_TOKEN_* VAULT_* SSH_AUTH_SOCK
    *_TOKEN *_SECRET *_PASSWORD *_CREDENTIALS *_API_KEY *_ACCESS_KEY *_SECRET_KEY *_PRIVATE_KEY *_AUTH_CONFIG
""".split()

# What PyPI has as source alone, by the name of its requirements: pip builds it on the user's machine.
SOURCE_ALONE = {"spark": "pyspark"}

# Where dependencies come from may ask for these.
OF_DOWNLOADS = ("CARGO_REGISTRIES_*", "PIP_*", "UV_*")


class Failure(Exception):
    """A reason to stop that the user can act on; it is printed without a traceback."""


def run(main):
    """Calls main and turns a Failure into its message and exit status 1, and Ctrl-C into 130."""
    try:
        try:
            if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            code = main()
        finally:
            # While Python ends, one more would be shown with a traceback.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except Failure as failure:
        print(f"fanfold: {failure}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


@contextlib.contextmanager
def uninterrupted():
    """Lets Ctrl-C wait until what must not be left half-way is done."""
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@contextlib.contextmanager
def locked(path):
    """Holds an exclusive lock on a file, so that two runs do not build the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def without_credentials():
    """The environment for a program of others, which no credentials of the caller must reach.

    A build runs the code of every dependency, and a tool that of its authors.
    """
    return {name: value for name, value in os.environ.items() if _matches(name, OF_DOWNLOADS) or not _matches(name, CREDENTIALS)}


def _matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def oldest_python(name):
    """The oldest Python that a program from PyPI is pinned for."""
    return {"parquet-writers": (3, 11), "spark": (3, 11)}.get(name, (3, 10))


def pins(name):
    """The versions that requirements/NAME.in asks for, by package."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (REQUIREMENTS / f"{name}.in").read_text(), re.M))


def wheels(name):
    """The options by which pip and uv take wheels alone: a package that is built runs its code with what that needs, unpinned."""
    return ["--only-binary", ":all:", *(["--no-binary", SOURCE_ALONE[name]] if name in SOURCE_ALONE else [])]


def python_with(name, directory):
    """The interpreter of a virtual environment with what requirements/NAME.txt pins, which is created if necessary."""
    names = ", ".join(f"{package} {version}" for package, version in pins(name).items())
    if sys.version_info[:2] < oldest_python(name):
        wanted = ".".join(map(str, oldest_python(name)))
        raise Failure(
            f"Python {wanted} or newer is needed for {names}, this is {sys.version.split()[0]};"
            " name another one with PYTHON=python3.12"
        )
    directory = Path(directory).resolve()
    python = directory / "bin" / "python"
    requirements = REQUIREMENTS / f"{name}.txt"
    installed = directory / requirements.name
    with locked(directory.with_suffix(".lock")):
        if not _holds(python, installed, requirements):
            print(f"installing {names} into {os.path.relpath(directory)}", file=sys.stderr)
            shutil.rmtree(directory, ignore_errors=True)
            _checked([sys.executable, "-m", "venv", str(directory)], "cannot make a virtual environment")
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *wheels(name)]
            # All that is needed is pinned, so there is nothing to resolve.
            pip += ["--no-deps", "--require-hashes", "--requirement", str(requirements)]
            _checked(pip, f"cannot install {names} from PyPI")
            # Last, so that an installation that was interrupted does not count.
            shutil.copyfile(requirements, installed)
    return python


def _holds(python, installed, requirements):
    """Whether a virtual environment was made from these requirements, and still works."""
    try:
        same = installed.read_bytes() == requirements.read_bytes()
        return same and subprocess.run([str(python), "-c", ""], env=without_credentials(), capture_output=True).returncode == 0
    except OSError:
        return False


def cargo_tool(crate, version, directory):
    """The executable of the crate of that name and version, which is built if necessary."""
    directory = Path(directory).resolve()
    tool = directory / "bin" / crate
    with locked(directory.with_suffix(".lock")):
        if _version_of(tool) != f"{crate} {version}":
            print(f"building {crate} {version} into {os.path.relpath(directory)}", file=sys.stderr)
            build = directory / "build"
            # Without optimisation, which saves two thirds of the time; such a tool has little to do.
            command = ["cargo", "install", "--locked", "--debug", "--force", "--quiet", "--root", str(directory)]
            variables = {"CARGO_TARGET_DIR": str(build), "CARGO_PROFILE_DEV_DEBUG": "0"}
            _checked([*command, "--version", version, crate], f"cannot build {crate} {version} from crates.io", variables)
            shutil.rmtree(build, ignore_errors=True)
    return tool


def _version_of(tool):
    try:
        return subprocess.run([str(tool), "--version"], env=without_credentials(), capture_output=True, text=True).stdout.strip()
    except OSError:
        return None


def _checked(command, complaint, variables=None):
    environment = {**without_credentials(), **(variables or {})}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure(f"{complaint}:\n{done.stdout.strip()}")


def main():
    """Prints the Python that has the programs of a name: NAME DIRECTORY."""
    name, directory = sys.argv[1:]
    print(python_with(name, directory))


if __name__ == "__main__":
    run(main)

"""Installs pinned programs from PyPI and crates.io under the build directory.

Each program from PyPI gets a virtual environment of its own.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


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


def python_with(package, version, directory, python_at_least=(3, 9)):
    """The interpreter of a virtual environment with package==version, which is created if necessary."""
    return python_with_all({package: version}, directory, python_at_least)


def python_with_all(versions, directory, python_at_least=(3, 9)):
    """The interpreter of a virtual environment with these versions of packages, which is created if necessary."""
    names = ", ".join(f"{package} {version}" for package, version in versions.items())
    if sys.version_info[:2] < python_at_least:
        wanted = ".".join(map(str, python_at_least))
        raise Failure(
            f"Python {wanted} or newer is needed for {names}, this is {sys.version.split()[0]};"
            " name another one with PYTHON=python3.12"
        )
    directory = Path(directory).resolve()
    python = directory / "bin" / "python"
    with locked(directory.with_suffix(".lock")):
        if not _holds(python, versions):
            print(f"installing {names} into {os.path.relpath(directory)}", file=sys.stderr)
            shutil.rmtree(directory, ignore_errors=True)
            _checked([sys.executable, "-m", "venv", str(directory)], "cannot make a virtual environment")
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            pinned = [f"{package}=={version}" for package, version in versions.items()]
            _checked([*pip, *pinned], f"cannot install {names} from PyPI")
    return python


def _holds(python, versions):
    probe = f"import importlib.metadata as m; raise SystemExit(any(m.version(p) != v for p, v in {versions!r}.items()))"
    try:
        return subprocess.run([str(python), "-c", probe], capture_output=True).returncode == 0
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
            environment = {**os.environ, "CARGO_TARGET_DIR": str(build), "CARGO_PROFILE_DEV_DEBUG": "0"}
            _checked([*command, "--version", version, crate], f"cannot build {crate} {version} from crates.io", environment)
            shutil.rmtree(build, ignore_errors=True)
    return tool


def _version_of(tool):
    try:
        return subprocess.run([str(tool), "--version"], capture_output=True, text=True).stdout.strip()
    except OSError:
        return None


def _checked(command, complaint, environment=None):
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure(f"{complaint}:\n{done.stdout.strip()}")

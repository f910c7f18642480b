"""Python programs from PyPI, each pinned, in a virtual environment of their own under the build directory."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path


class Failure(Exception):
    """A reason to stop that the user can act on: printed without a traceback."""


def run(main):
    """Calls main and turns a Failure into its message and exit status 1."""
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"fanfold: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def locked(path):
    """Holds an exclusive lock on a file, so that two runs do not build the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def python_with(package, version, directory, python_at_least=(3, 9)):
    """The interpreter of a virtual environment that holds package==version, made if it is not there."""
    if sys.version_info[:2] < python_at_least:
        wanted = ".".join(map(str, python_at_least))
        raise Failure(
            f"{package} needs Python {wanted} or newer, this is {sys.version.split()[0]};"
            " name another one with PYTHON=python3.12"
        )
    directory = Path(directory).resolve()
    python = directory / "bin" / "python"
    with locked(directory.with_suffix(".lock")):
        if not _holds(python, package, version):
            print(f"installing {package} {version} into {os.path.relpath(directory)}", file=sys.stderr)
            shutil.rmtree(directory, ignore_errors=True)
            _checked([sys.executable, "-m", "venv", str(directory)], "cannot make a virtual environment")
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            _checked([*pip, f"{package}=={version}"], f"cannot install {package} {version} from PyPI")
    return python


def _holds(python, package, version):
    probe = f"import importlib.metadata as m; raise SystemExit(m.version({package!r}) != {version!r})"
    try:
        return subprocess.run([str(python), "-c", probe], capture_output=True).returncode == 0
    except OSError:
        return False


def _checked(command, complaint):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure(f"{complaint}:\n{done.stdout.strip()}")

"""Runs Terraform on infra/, with the providers that this machine has."""

import contextlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from settings import INFRA, setting
from toolbox import Failure, locked

LOCK_FILE = INFRA / ".terraform.lock.hcl"

# The usual places of providers for all users of a machine, and how many levels below to look.
MIRROR_PLACES = [("~/.terraform.d", 1), ("~/.local/share/terraform", 1), ("/usr/share", 2), ("/usr/local/share", 2),
                 ("/opt", 2), ("~", 1)]

# The lines of Terraform's progress that are shown for an emulator: those of ten seconds or more.
SLOW = r"complete after (\d+m|\d\d)"

# Seconds after which it is said what Terraform still waits for.
PATIENCE = 30

# Seconds that Terraform may take to end after an interrupt, when it has nothing to write.
HASTE = 0.4


# --- providers -----------------------------------------------------------------------------------------------------


def wanted_provider():
    """The provider's source and version constraint, as versions.tf says: ("hashicorp/aws", (5, 100))."""
    text = (INFRA / "versions.tf").read_text()
    source = re.search(r'source\s*=\s*"([^"]+)"', text)
    version = re.search(r'version\s*=\s*"~>\s*(\d+)\.(\d+)"', text)
    if not source or not version:
        raise Failure("infra/versions.tf names no provider with a version such as \"~> 5.100\"")
    return source.group(1), (int(version.group(1)), int(version.group(2)))


def this_platform():
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{platform.system().lower()}_{machine}"


def providers_in(directory):
    """The addresses (host/namespace/name) for which a mirror has a version that fits this platform."""
    source, (major, minor) = wanted_provider()
    found = []
    try:
        hosts = [host.name for host in os.scandir(directory) if "." in host.name and host.is_dir()]
    except OSError:
        return found
    for host in hosts:
        here = Path(directory, host, source)
        unpacked = [path.parent.name for path in here.glob(f"*/{this_platform()}")]
        packed = [path.name.split("_")[1] for path in here.glob(f"terraform-provider-*_{this_platform()}.zip")]
        for version in unpacked + packed:
            numbers = re.match(r"(\d+)\.(\d+)\.", version)
            if numbers and int(numbers.group(1)) == major and int(numbers.group(2)) >= minor:
                found.append(f"{host}/{source}")
                break
    return found


def directories_below(root, depth):
    """A directory and those below it, nearest first."""
    level = [Path(root).expanduser()]
    yield from level
    for _ in range(depth):
        level = [Path(entry.path) for directory in level for entry in entries(directory)]
        yield from level


def entries(directory):
    try:
        with os.scandir(directory) as found:
            return sorted((entry for entry in found if entry.is_dir()), key=lambda entry: entry.name)
    except OSError:
        return []


def find_mirror(places=None):
    for root, depth in places or MIRROR_PLACES:
        for directory in directories_below(root, depth):
            if providers_in(directory):
                return directory
    return None


def cli_config():
    """The text of Terraform's CLI configuration: the user's own, with a provider mirror if there is one."""
    named = setting("TF_CLI_CONFIG_FILE")
    own = Path(named) if named else Path("~/.terraformrc").expanduser()
    text = own.read_text() if own.is_file() else ""
    mirror = setting("TF_MIRROR")
    if mirror:
        mirror = Path(mirror).expanduser().resolve()
        if not providers_in(mirror):
            source, (major, minor) = wanted_provider()
            raise Failure(f"TF_MIRROR={mirror} holds no {source} {major}.{minor} or newer for {this_platform()}")
        text = re.sub(r"provider_installation\s*{(?:[^{}]|{[^{}]*})*}", "", text)
    elif "provider_installation" not in text:
        mirror = find_mirror()
    if not mirror or "provider_installation" in text:
        return text
    here = json.dumps(providers_in(mirror))
    return (
        f"{text}\nprovider_installation {{\n"
        f"  filesystem_mirror {{\n    path    = {json.dumps(str(mirror))}\n    include = {here}\n  }}\n"
        f"  direct {{\n    exclude = {here}\n  }}\n}}\n"
    )


def lock_is_of_registry(path):
    """Whether the lock file has the hashes that the registry signs, of the packages for all platforms.

    Terraform then takes no other provider: https://developer.hashicorp.com/terraform/language/files/dependency-lock
    """
    return path.is_file() and '"zh:' in path.read_text()


# --- terraform -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(command, writes, **options):
    """Terraform as a process, and a list that is not empty once it was interrupted.

    The first interrupt is passed on, so that Terraform ends what it began and writes its state; the others are dropped: a
    second one would let it end at once, and forget what it had made. It runs in a session of its own, so that the terminal
    sends it nothing. If it writes nothing, it is ended soon.
    """
    process, interrupted, passed = None, [], []

    def pass_on():
        if not interrupted or passed or process is None:
            return
        passed.append(True)
        process.send_signal(signal.SIGINT)
        if not writes:
            ending = threading.Timer(HASTE, end_group, [process])
            ending.daemon = True
            ending.start()

    def on_signal(number, _):
        if not interrupted:
            interrupted.append(number)
            if writes:
                print("\nending; Terraform finishes what it began and writes its state", file=sys.stderr, flush=True)
            pass_on()

    # Before it is there, so that no interrupt leaves it behind.
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with subprocess.Popen(command, start_new_session=True, **options) as process:
            pass_on()
            yield process, interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_group(process):
    """Ends a process that was not waited for, and all that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Unsettled(Failure):
    """AWS did not know yet of a change that another one depends on. The same deployment again makes it good."""


# What AWS answers then. S3 asks whether it may send to a queue whose new policy may not have spread, and refuses a change of a
# bucket while another is under way: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
UNSETTLED = re.compile("Unable to validate the following destination configurations|OperationAborted")


class Complaints(threading.Thread):
    """Passes on what Terraform writes to standard error, and keeps it."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.lines = stream, []
        self.start()

    def run(self):
        for line in self.stream:
            print(line, end="", file=sys.stderr, flush=True)
            self.lines.append(line)

    def text(self):
        """All of it, without the colours, the frame and the line breaks that Terraform puts into it."""
        plain = re.sub(r"\x1b\[[0-9;]*m|[│╷╵]", "", "".join(self.lines))
        return " ".join(plain.split())


class Terraform:
    """Runs Terraform on infra/, and keeps everything it writes in a work directory."""

    def __init__(self, work):
        self.root, self.lock_file, self.remote = INFRA, LOCK_FILE, False
        self.work = Path(work).resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        config = self.work / "terraform.rc"
        text = cli_config()
        config.write_text(text)
        self.environment = {
            # An empty variable is one that is not given.
            **{name: value for name, value in os.environ.items() if value.strip() or not name.startswith("TF_VAR_")},
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_DATA_DIR": str(self.work / "terraform"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        self.mirrored = "_mirror" in text
        if not lock_is_of_registry(self.lock_file):
            # Then each platform makes a lock file of its own, of a provider in the plugin cache as well.
            self.environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        if "provider_installation" not in text and "plugin_cache_dir" not in text:
            # One download for all work directories.
            cache = self.work.parent / "terraform-plugins"
            cache.mkdir(exist_ok=True)
            self.environment.setdefault("TF_PLUGIN_CACHE_DIR", str(cache))

    def keep_state_with(self, root):
        """Has Terraform work in this folder, whose configuration names a backend for the state."""
        self.root, self.lock_file, self.remote = root, root / LOCK_FILE.name, True
        self.environment["TF_DATA_DIR"] = str(self.work / "terraform-remote")

    def command(self, *arguments):
        return [setting("TERRAFORM") or "terraform", f"-chdir={self.root}", *arguments]

    def pull(self):
        """The state in the backend, as text; empty if there is none, or nothing in it."""
        text = self.said("state", "pull").strip()
        state = json.loads(text or "{}")
        return text if state.get("resources") or state.get("outputs") else ""

    def push(self, state):
        """Puts a state into the backend, where none is."""
        self.said("state", "push", str(state))

    def stream(self, *arguments, variables=None, keep=None, accept=(0,)):
        """Runs Terraform with its output on the terminal, or only the lines that `keep` matches."""
        environment = {**self.environment, **(variables or {})}
        first, *rest = arguments
        # Colours are for a terminal; elsewhere their codes would precede what `keep` looks for.
        plain = [] if keep is None and sys.stdout.isatty() else ["-no-color"]
        command = self.command(first, *plain, *rest)
        output = subprocess.PIPE if keep else None
        writes = first in ("apply", "destroy")
        errors = subprocess.PIPE if writes else None
        with started(command, writes, env=environment, stdout=output, stderr=errors, text=True) as (process, interrupted):
            complaints = Complaints(process.stderr or [])
            waited_since = time.monotonic()
            for line in process.stdout or []:
                waits = "Still " in line and time.monotonic() - waited_since >= PATIENCE
                if waits or re.search(keep, line):
                    waited_since = time.monotonic()
                    print(re.sub(r" \[id=.*\]$", "", line.rstrip()), flush=True)
            code = process.wait()
            complaints.join()
        if interrupted:
            raise KeyboardInterrupt
        if code not in accept:
            unsettled = UNSETTLED.search(complaints.text())
            raise (Unsettled if unsettled else Failure)(f"terraform {arguments[0]} failed")
        return code

    def show(self, plan):
        """What a plan that was written to a file says, as Terraform's JSON."""
        return json.loads(self.said("show", "-json", str(plan)))

    def said(self, *arguments):
        """What Terraform prints."""
        done = subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"terraform {arguments[0]} failed:\n{done.stderr.strip()}")
        return done.stdout

    def test(self, file):
        """Runs a file of tests, prints failures, and returns whether all passed."""
        done = subprocess.run(
            self.command("test", "-no-color", f"-filter={file.relative_to(INFRA)}"),
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        passed = done.returncode == 0
        print(f"{file.name}: {done.stdout.strip().splitlines()[-1]}" if passed else done.stdout, flush=True)
        return passed

    def init(self):
        # One at a time: the lock file is in infra/, whichever environment it is for.
        with locked(self.work.parent / "terraform-init.lock"):
            done = self.init_once()
            of_registry = lock_is_of_registry(self.lock_file)
            # One that the registry's hashes are not in is from another mirror or platform. One that they are in holds for all
            # platforms, but not for a mirror's copy of the provider that lacks a file of it.
            if done.returncode != 0 and self.lock_file.exists() and (self.mirrored or not of_registry):
                if of_registry:
                    print(f"the mirror's provider is not the one in {self.lock_file.name}, which is written anew: do not commit it", flush=True)
                self.lock_file.unlink()
                done = self.init_once()
        if done.returncode != 0:
            raise Failure(
                f"terraform init failed:\n{done.stdout.strip()}\n"
                "Without access to Terraform's registry, name a directory that holds providers with TF_MIRROR="
            )

    def init_once(self):
        return subprocess.run(
            # Terraform compares a backend with that of the last time, and would ask what to do about another one.
            self.command("init", "-input=false", "-no-color", *["-reconfigure"] * self.remote),
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

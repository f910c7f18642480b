#!/usr/bin/env python3
"""Starts and stops MiniStack, a local AWS that runs functions as processes of this machine.

Everything that an instance writes is in its state directory, so that several can run side by side:

    emulator.json   process, port, endpoint and log of the running instance
    emulator.lock   held by the instance for as long as it lives
    emulator.log    what it printed
    emulator/       its data, gone when it ends
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from toolbox import Failure, python_with, run, uninterrupted, without_credentials

HOST = "127.0.0.1"


class Instance:
    """One state directory and the emulator that may run on it."""

    def __init__(self, state):
        self.state = Path(state).resolve()
        self.lock = self.state / "emulator.lock"
        self.log = self.state / "emulator.log"
        self.data = self.state / "emulator"
        self.facts = self.state / "emulator.json"

    def take_lock(self):
        """The open lock file, or None while an instance is alive.

        The emulator inherits it, so that the lock distinguishes a living instance from a
        process that happens to have the id of a dead one.
        """
        self.state.mkdir(parents=True, exist_ok=True)
        handle = open(self.lock, "a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            return None
        return handle

    def running(self):
        """The facts about the running instance, or None."""
        if not self.lock.exists():
            return None
        handle = self.take_lock()
        if handle is not None:
            handle.close()
            return None
        try:
            return json.loads(self.facts.read_text())
        except (OSError, ValueError):
            return {}

    def wait_for_facts(self, key, deadline):
        """The facts once `key` is set: "pid" when the process exists, "ready" when it answers."""
        while time.monotonic() < deadline:
            facts = self.running()
            if facts is None or facts.get(key):
                return facts
            time.sleep(0.1)
        raise Failure(f"another start of the emulator in {shown(self.state)} does not come to an end")

    def write_facts(self, facts):
        draft = self.facts.with_suffix(".new")
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.replace(self.facts)

    def log_tail(self, lines=15):
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def shown(path):
    """The path as the user would type it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def port_is_free(port):
    # Both checks: on macOS, a bind succeeds even if another process listens on all addresses.
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def environment(instance, port, throttle=False, auth=False):
    """The emulator's environment, which its functions inherit, without any of the caller's AWS settings and credentials."""
    kept = {name: value for name, value in without_credentials().items() if not name.startswith("LAMBDA_")}
    kept["FANFOLD_THROTTLE"] = "1" if throttle else ""
    kept["AUTH"] = "true" if auth else "false"
    local = ",".join(filter(None, [HOST, "localhost", os.environ.get("NO_PROXY", os.environ.get("no_proxy"))]))
    temporary = instance.data / "tmp"
    temporary.mkdir(parents=True)
    kept.update(
        GATEWAY_PORT=str(port),
        BIND_HOST=HOST,
        # Pinned, so that queue URLs are the same for the functions, Terraform and the command.
        MINISTACK_HOST=HOST,
        # Functions call back to this address.
        AWS_ENDPOINT_URL=f"http://{HOST}:{port}",
        STATE_DIR=str(instance.data / "state"),
        S3_DATA_DIR=str(instance.data / "s3"),
        TMPDIR=str(temporary),
        PERSIST_STATE="0",
        LAMBDA_EXECUTOR="local",
        # Listeners on fixed ports that a second instance could not open.
        SFTP_ENABLED="0",
        IOT_MTLS_ENABLED="0",
        # Never the containers of another emulator.
        DOCKER_HOST="unix:///nonexistent",
        LOG_LEVEL=os.environ.get("MINISTACK_LOG_LEVEL", "INFO"),
        PYTHONUNBUFFERED="1",
        NO_PROXY=local,
        no_proxy=local,
    )
    return kept


def answers(endpoint):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            endpoint + "/_ministack/ready", timeout=2
        ) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError, ValueError):
        return False


def start(options):
    if not 0 <= options.port <= 65535:
        raise Failure(f"PORT={options.port} is not a port: give a number from 0 to 65535")
    instance = Instance(options.state)
    deadline = time.monotonic() + options.timeout
    lock = instance.take_lock()
    if lock is None:
        facts = instance.wait_for_facts("ready", deadline)
        if facts is not None:
            return reuse(instance, facts, options.port)
        lock = instance.take_lock()
        if lock is None:
            raise Failure(f"another start of the emulator is under way in {shown(instance.state)}")
    with lock:
        instance.facts.unlink(missing_ok=True)
        python = python_with("ministack", options.venv)
        attempts = 5 if options.port == 0 else 1
        for attempt in range(1, attempts + 1):
            try:
                return launch(instance, lock, python, options.port or free_port(), options)
            except PortTaken as taken:
                if attempt == attempts:
                    raise Failure(str(taken)) from None


class PortTaken(Exception):
    def __init__(self, port):
        super().__init__(
            f"port {port} of {HOST} is taken by another program; choose another with PORT=,"
            f" for example PORT={port + 1}, or use what runs there with ENDPOINT=http://{HOST}:{port}"
        )


def reuse(instance, facts, port):
    if port not in (0, facts["port"]):
        raise Failure(
            f"the emulator already runs on port {facts['port']}; end it with `make stop`"
            f" or leave out PORT={port}"
        )
    print(f"local AWS already runs at {facts['endpoint']} (log: {shown(instance.log)})")


def launch(instance, lock, python, port, options):
    if not port_is_free(port):
        raise PortTaken(port)
    # Left by an instance that was not stopped: its tables were in memory, so the rest is useless.
    shutil.rmtree(instance.data, ignore_errors=True)
    endpoint = f"http://{HOST}:{port}"
    deadline = time.monotonic() + options.timeout
    process = None
    try:
        # One that runs without its facts could not be stopped.
        with uninterrupted():
            process = emulator_process(instance, lock, python, port, options)
            facts = {"pid": process.pid, "port": port, "endpoint": endpoint, "log": str(instance.log), "ready": False}
            instance.write_facts(facts)
        while not answers(endpoint):
            if process.poll() is not None:
                if "already in use" in instance.log_tail():
                    raise PortTaken(port)
                raise Failure(f"the emulator ended at once, its log says:\n{instance.log_tail()}")
            if time.monotonic() > deadline:
                raise Failure(
                    f"the emulator does not answer at {endpoint} after {options.timeout:g} s, its log says:"
                    f"\n{instance.log_tail()}"
                )
            time.sleep(0.1)
        instance.write_facts({**facts, "ready": True})
    except BaseException:
        with uninterrupted():
            abandon(process)
            instance.facts.unlink(missing_ok=True)
        raise
    print(f"local AWS runs at {endpoint} (log: {shown(instance.log)})")


def emulator_process(instance, lock, python, port, options):
    with open(instance.log, "wb") as log:
        return subprocess.Popen(
            [str(python), str(Path(__file__).resolve().with_name("local_aws.py"))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=instance.data,
            env=environment(instance, port, options.throttle, options.auth),
            # A session of its own, so that Ctrl-C in the terminal does not reach it, and its functions share its group.
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )


def abandon(process):
    """Ends an emulator that nobody uses yet, at once."""
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end(pid, is_gone):
    """Ends the emulator, and then the rest of its group: the functions that it ran."""
    for sign, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            break
        if wait_until(is_gone, patience):
            break
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, sign)
        except (ProcessLookupError, PermissionError):
            return
        wait_until(lambda: not group_lives(pid), 2)


def group_lives(group):
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def stop(options):
    instance = Instance(options.state)
    facts = instance.running()
    if facts is not None:
        facts = instance.wait_for_facts("pid", time.monotonic() + options.timeout)
    if facts is None:
        instance.facts.unlink(missing_ok=True)
        print("no local AWS runs")
        return
    end(facts["pid"], lambda: instance.running() is None)
    instance.facts.unlink(missing_ok=True)
    shutil.rmtree(instance.data, ignore_errors=True)
    print(f"local AWS at {facts['endpoint']} ended")


def status(options):
    instance = Instance(options.state)
    facts = instance.running()
    if not facts:
        print("no local AWS runs")
        return 3
    print(json.dumps(facts, indent=2))


def interpreter(options):
    """Prints the path of the Python that has MiniStack, and with it botocore and a YAML parser."""
    print(python_with("ministack", options.venv))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["start", "stop", "status", "python"])
    parser.add_argument("--state", default="target/local", help="directory of the instance")
    parser.add_argument("--venv", default="target/ministack", help="virtual environment to run it from")
    parser.add_argument("--port", type=int, default=4566, help="0 takes a free one")
    parser.add_argument("--throttle", action="store_true", help="the functions' requests can be throttled, see throttle.py")
    parser.add_argument("--auth", action="store_true", help="requests are authorised, see rights.py")
    parser.add_argument("--timeout", type=float, default=90, help="seconds to wait for the first answer")
    options = parser.parse_args()
    commands = {"start": start, "stop": stop, "status": status, "python": interpreter}
    return commands[options.command](options)


if __name__ == "__main__":
    run(main)

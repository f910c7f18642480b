#!/usr/bin/env python3
"""Interrupts `make demo` at random moments, as Ctrl-C in a terminal does, and checks what is left each time.

Every third try begins without a local AWS, so that some meet its start and a whole deployment; the others go on with what the
interrupted ones left. Prints a row for each and a table of all. It needs what `make demo` needs, runs on a port and under a
SCOPE of its own, and takes some minutes; so it is not part of `make test`.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from toolbox import Failure, run

ROOT = Path(__file__).resolve().parent.parent
RECORDS = 1000  # of examples/orders.csv
LATE = 3  # seconds

# What was going on, by the last of these that was printed.
STEPS = [
    ("build", r"\A"),
    ("start", r"Finished .* target"),
    ("package", r"local AWS (already )?runs"),
    ("plan", r"bootstrap\.zip: "),
    ("apply", r"^Plan: "),
    ("submit", r"^No changes|^Apply complete"),
    ("batch", r"^batch "),
    ("download", r"^state  "),
]


def step_of(said):
    return [name for name, sign in STEPS if re.search(sign, said, re.M)][-1]


class Tries:
    def __init__(self, options, scratch):
        self.scratch = scratch
        self.make = ["make", f"PORT={options.port}", f"SCOPE={options.scope}"]

    def quietly(self, *goals):
        done = subprocess.run([*self.make, *goals], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Failure(f"make {' '.join(goals)} failed after an interrupt:\n{done.stdout}")

    def demo(self, number, moment=None):
        """Runs it, interrupted at a moment in seconds: status, what it said, seconds that the interrupt took."""
        out, log = self.scratch / f"out{number}", self.scratch / f"log{number}"
        with open(log, "w") as to:
            # As a foreground job of a terminal: a group of its own, which gets the signal as a whole.
            process = subprocess.Popen([*self.make, "demo", f"OUTPUT={out}"], cwd=ROOT, stdin=subprocess.DEVNULL,
                                       stdout=to, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            process.wait(moment)
            took = None
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            pressed = time.monotonic()
            process.wait()
            took = time.monotonic() - pressed
        wait_for_group(process.pid)
        return process.returncode, log.read_text(), took, out

    def interrupted(self, number, moment):
        load = os.getloadavg()[0]
        status, said, took, out = self.demo(number, moment)
        faults = [] if took is not None or status == 0 else [f"it failed by itself: {said[-500:]}"]
        # While Python itself starts, no script can prevent it; it says then that it was in line 0.
        if "Traceback" in re.sub(r'Traceback .*\n  File "\S+", line 0, in <module>\nKeyboardInterrupt\n', "", said):
            faults.append(f"a traceback: {said[-1500:]}")
        faults += faults_of(out)
        step = step_of(said) if took is not None else "ended"
        if took is not None and took > 1 and step != "apply":
            faults.append(f"it took {took:.1f} s at a load of {load:.1f}")
        again = re.search(r"`fanfold (status [^`]* --wait[^`]*)`", said)
        after = self.come_back(again.group(1).split(), out, faults) if again else "-"
        return {"moment": moment, "step": step, "status": status, "took": took, "load": load, "after": after,
                "faults": faults, "said": said}

    def come_back(self, arguments, out, faults):
        """Does what the interrupted command said, and tells what came of it."""
        command = next(ROOT.glob("target/*/release/fanfold"))
        deployment = {**os.environ, "FANFOLD_DEPLOYMENT": str(ROOT / "target/local/deployment.json")}
        done = subprocess.run([command, *arguments], cwd=ROOT, env=deployment, capture_output=True, text=True)
        if done.returncode == 1 and "--key" in arguments and "nothing was uploaded" in done.stderr:
            return "not uploaded"
        missing = not (out / "summary.json").is_file()
        if done.returncode != 0 or missing or faults_of(out):
            faults.append(f"fanfold {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return "went on"


def wait_for_group(group):
    """A process that outlives `make` is none of the terminal's any more, but it must end."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.01)
    raise Failure(f"processes of the group {group} do not end")


def faults_of(out):
    """What is wrong with the outputs that are there: each is whole, or not there."""
    faults = []
    for path in sorted(out.iterdir()) if out.is_dir() else []:
        if path.name == "summary.json":
            whole = json.loads(path.read_text())["records"]["total"] == RECORDS
        elif path.name == "results.csv":
            with open(path, newline="") as rows:
                whole = sum(1 for _ in csv.reader(rows)) == RECORDS + 1
        else:
            whole = False
        if not whole:
            faults.append(f"{path.name} was left by halves")
    return faults


def table(rows):
    print("\n| interrupted during | times | slowest | status of make | then |\n|---|---|---|---|---|")
    for step in [name for name, _ in STEPS] + ["ended"]:
        these = [row for row in rows if row["step"] == step]
        if not these:
            continue
        slowest = max((row["took"] for row in these if row["took"] is not None), default=None)
        counted = [sorted({str(row[name]) for row in these}) for name in ("status", "after")]
        print(f"| {step} | {len(these)} | {'-' if slowest is None else f'{slowest:.2f} s'} | "
              f"{', '.join(counted[0])} | {', '.join(counted[1])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--port", type=int, default=4766)
    parser.add_argument("--scope", default="interrupted-")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--late", action="store_true", help="only towards the end, when the file is submitted")
    parser.add_argument("--keep", action="store_true", help="leave the local AWS running")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    scratch = Path(tempfile.mkdtemp(prefix="fanfold-interrupts-"))
    tries, rows = Tries(options, scratch), []
    tries.quietly("demo")
    began = time.monotonic()
    tries.quietly("demo")
    whole = time.monotonic() - began
    print(f"an uninterrupted demo takes {whole:.1f} s on what is deployed; logs are in {scratch}", flush=True)
    for number in range(options.count):
        if number % 3 == 2 and not options.late:
            tries.quietly("stop")
        row = tries.interrupted(number, chance.uniform(whole - LATE if options.late else 0, whole))
        rows.append(row)
        took = "by itself" if row["took"] is None else f"{row['took']:.2f} s"
        print(f"{number + 1:3} after {row['moment']:5.2f} s, {row['step']:8}: {took}, status {row['status']}, "
              f"load {row['load']:.1f}, {row['after']}", *row["faults"], flush=True)
    # Nothing that was left is in the way.
    tries.quietly("demo")
    if not options.keep:
        tries.quietly("stop")
    table(rows)
    faults = [fault for row in rows for fault in row["faults"]]
    if faults:
        raise Failure(f"{len(faults)} faults, see above")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    run(main)

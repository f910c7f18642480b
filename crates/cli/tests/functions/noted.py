"""What the functions of the end-to-end tests do, and where they note it: the files of a folder, each of one task.

A record says in its field `mode` what the function does, and in `wrong` in how many tries it does that; in later ones all is well.
"""

import json
import os
import signal
import time
from pathlib import Path

FOLDER = Path(os.environ["NOTES"])


def note(kind, task, **what):
    """Adds a line to the file of a task. A line is written at once, so that those of several processes do not mix."""
    with open(FOLDER / kind / task, "a") as file:
        file.write(json.dumps(what) + "\n")


def acts(record, attempt):
    """What a function does with a record in this try."""
    return record["mode"] if attempt <= int(record["wrong"]) else "good"


def misbehave(modes):
    """Does what concerns a whole call, if one of its records says so."""
    if "raises" in modes:
        raise ValueError("no such price")
    if "slow" in modes:
        time.sleep(60)
    if "dies" in modes:
        os.kill(os.getpid(), signal.SIGKILL)


def is_open(name):
    """Whether a test has turned the switch of this name."""
    return (FOLDER / "switches" / name).exists()

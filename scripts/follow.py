"""Says by a connection that it waits for a report, and prints each document that comes, as a line, until the last one. Runs with what
requirements/websockets.txt pins, in whose place callers use `lines`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from toolbox import Failure

SILENCE = 60
PAUSE = 2


def follow(url, report):
    """Each document as its text. A gateway closes a connection by which nothing is said for ten minutes."""
    from websockets.sync.client import connect

    with connect(url, proxy=None) as connection:
        while True:
            connection.send(json.dumps({"subscribe": report}))
            try:
                while True:
                    text = connection.recv(timeout=SILENCE)
                    told = json.loads(text)
                    # A gateway tells of a function that failed in words of its own.
                    if "state" not in told and "problem" not in told:
                        time.sleep(PAUSE)
                        break
                    yield text
                    if is_last(told):
                        return
            except TimeoutError:
                continue


def is_last(told):
    return "problem" in told or told["end"] is not None or told["state"] == "DELETED"


def lines(python, url, report):
    """What `follow` yields, by a process of the interpreter that has the library."""
    command = [str(python), str(Path(__file__).resolve()), url, report]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}) as process:
        yield from process.stdout
    if process.returncode != 0:
        raise Failure(f"the connection for report {report} ended with status {process.returncode}")


if __name__ == "__main__":
    for line in follow(*sys.argv[1:]):
        print(line, flush=True)

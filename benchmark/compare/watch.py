"""Processes of an engine: which they are, the memory that they take together, and their sudden end."""

import os
import signal
import threading
from pathlib import Path

# Seconds between two looks.
LOOK = 0.1


def processes(name, prefix):
    """The ids of all processes whose environment has a variable of that name whose value begins so."""
    wanted, found = f"{name}={prefix}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(line.startswith(wanted) for line in (process / "environ").read_bytes().split(b"\0")):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended, or is somebody else's
    return found


def memory(process):
    """Bytes of a process's memory: of what it shares with others, its part (https://docs.kernel.org/filesystems/proc.html)."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended
    return 0


def kill(found):
    """Ends processes as a machine does that fails."""
    for process in found:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(found)


class Watch(threading.Thread):
    """Notes the most memory that processes take at once."""

    def __init__(self, found):
        super().__init__(daemon=True)
        self.found, self.most, self.over = found, 0, threading.Event()

    def run(self):
        while not self.over.wait(LOOK):
            self.most = max(self.most, sum(map(memory, self.found())))

    def end(self):
        self.over.set()
        self.join()
        return self.most

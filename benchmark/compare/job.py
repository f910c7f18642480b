"""Runs a peer in a process of its own: once for each line of the standard input, a JSON object of what the peer is to work on.

    python job.py PEER

It answers each line with one: {} once the work is done, or {"error": "..."}.
"""

import importlib
import json
import os
import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parent / "peers"


def main():
    # What Spark and Lithops start finds the code of the user like this process.
    os.environ["PYTHONPATH"] = str(PEERS)
    sys.path.insert(0, str(PEERS))
    # Answers have the output for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        try:
            peer.run(**json.loads(line))
            answer = {}
        except Exception as error:  # whatever a peer fails with is its outcome
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the Parquet files that the tests of crates/parquet read, each with the rows that must come out of it.

The writers are pyarrow, pandas, DuckDB and polars; they are installed under the build directory when this first runs.
Nothing is done if the files are those that this script and the writers' versions would make.
"""

import argparse
import hashlib
import shutil
import subprocess
from pathlib import Path

from toolbox import REQUIREMENTS, Failure, locked, python_with, run, without_credentials

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "crates" / "parquet" / "tests" / "write_files.py"
WRITERS = REQUIREMENTS / "parquet-writers.txt"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", type=Path, default=ROOT / "target", help="directory for the writers and the files")
    options = parser.parse_args()
    output = options.target.resolve() / "parquet-files"
    made_from = hashlib.sha256(SCRIPT.read_bytes() + WRITERS.read_bytes()).hexdigest()
    stamp = output / "made-from"
    with locked(output.with_suffix(".lock")):
        if not stamp.is_file() or stamp.read_text() != made_from:
            python = python_with(WRITERS.stem, options.target / "parquet-writers")
            draft = output.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            # Some writers take the zone of the machine for that of a time without one.
            done = subprocess.run([str(python), str(SCRIPT), str(draft)], env={**without_credentials(), "TZ": "UTC"},
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                raise Failure(f"cannot write the Parquet files of the tests:\n{done.stdout.strip()}")
            (draft / stamp.name).write_text(made_from)
            shutil.rmtree(output, ignore_errors=True)
            draft.rename(output)
    print(output)


if __name__ == "__main__":
    run(main)

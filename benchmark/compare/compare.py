#!/usr/bin/env python3
"""Has each engine work through the same files on one local AWS, checks what became of each record, and writes docs/COMPARISON.md and .svg.

A file is worked through cold (nothing of the engine runs), warm (again, REPEAT times), with one record that DynamoDB refuses, with a sudden
end of all that works once half of the requests are made, and twice at once, as by a trigger that is delivered twice.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))

import engines
import page
import site_of
import toolbox
import watch
from file import Found, File
from toolbox import Failure

# Seconds between two looks at whether an engine is done, and how long it may take.
LOOK = 0.1
PATIENCE = 150
# What an engine has to ask for until half of the items are written: by 25 in a request.
ITEMS_PER_REQUEST = 25
WRITES = "dynamodb.BatchWriteItem"


class Run:
    """One engine and one file."""

    def __init__(self, site, engine, file):
        self.site, self.engine, self.file = site, engine, file
        self.seconds, self.said, self.killed, self.restarts = None, "", 0, 0

    def go(self, twice=False, killed=False):
        self.site.forget_requests()
        looking = watch.Watch(self.engine.processes)
        looking.start()
        began = time.monotonic()
        self.engine.start(self.file, **({"twice": True} if twice else {}))
        if killed:
            self.kill(began)
        self.said = self.wait(began)
        self.seconds = time.monotonic() - began
        self.memory = looking.end()
        self.requests = self.site.requests()
        self.engine.settle()
        missing, different = self.file.wrong_items(self.site.dynamodb, self.engine.items)
        results = self.engine.results(self.file)
        wrong = None if results is None else self.file.wrong_results(results)
        self.found = Found(missing, different, self.file.wrong_counts(self.engine.counted), wrong)
        return self

    def kill(self, began):
        half = len(self.file.rows) / ITEMS_PER_REQUEST / 2
        while self.site.requests().get(WRITES, 0) < half:
            if self.engine.ended() is not None or time.monotonic() - began > PATIENCE:
                raise Failure(f"{self.engine.label} was to be killed at half of its requests, and did not come so far: {self.said}")
            time.sleep(LOOK)
        self.killed = watch.kill(self.engine.processes())
        if self.killed == 0:
            raise Failure(f"no process of {self.engine.label} was found to be killed")

    def wait(self, began):
        """What was said in the end. Who works by being started is started once more if it was killed."""
        while True:
            said = self.engine.ended()
            if said is not None and (said == "" or not self.killed or self.restarts):
                return said
            if said is not None:
                self.restarts += 1
                self.engine.again()
            if time.monotonic() - began > PATIENCE:
                self.engine.cool()
                return f"it did not end within {PATIENCE} s"
            time.sleep(LOOK)

    def told(self):
        return {"engine": self.engine.name, "label": self.engine.label, "lines": self.engine.lines, "records": len(self.file.rows),
                "seconds": round(self.seconds, 2), "memory": self.memory, "requests": self.requests, "said": self.said[:200],
                "killed": self.killed, "restarts": self.restarts, **vars(self.found)}


def scenarios(site, engine, options):
    """Each scenario of an engine with what was told of it."""
    tag = f"{int(time.time()):x}"
    file = lambda name, **how: File(f"{engine.name}-{name}-{tag}", options.records, options.seed, **how)
    engine.cool()
    yield "cold", Run(site, engine, file("cold")).go()
    for number in range(options.repeat):
        yield "warm", Run(site, engine, file(f"warm{number}")).go()
    yield "twice", Run(site, engine, file("twice")).go(twice=True)
    yield "killed", Run(site, engine, file("killed")).go(killed=True)
    engine.cool()
    yield "poison", Run(site, engine, file("poison", poisoned=True)).go()
    engine.cool()


def keep(options, rows):
    """Keeps what was measured until now, from which the page can be written again."""
    told = {name: getattr(options, name) for name in ("records", "repeat", "target", "commit")}
    (options.work / "comparison.json").write_text(json.dumps({"options": told, "rows": rows}, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--command", type=Path, help="the command fanfold")
    parser.add_argument("--benchmark", type=Path, help="the program benchmark, which has the loop in Rust")
    parser.add_argument("--deployment", type=Path)
    parser.add_argument("--spark", type=Path, help="the Python with PySpark")
    parser.add_argument("--work", type=Path, help="folder for what was measured")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variants", default="chunked,ranged,notification,sns,sfn", help="those of fanfold")
    parser.add_argument("--engines", default="", help="only those of these names")
    parser.add_argument("--target", default="MiniStack")
    parser.add_argument("--commit", default="unknown")
    parser.add_argument("--measured", type=Path, help="write the page from what was kept there, and measure nothing")
    parser.add_argument("--docs", type=Path, help="folder to write the page to; without it, what was measured is kept alone")
    options = parser.parse_args()
    if options.measured:
        kept = json.loads(options.measured.read_text())
        vars(options).update(kept["options"])
        page.write(kept["rows"], options)
        return 0
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ["FANFOLD_DEPLOYMENT"] = str(options.deployment)
    site = site_of.Site(json.loads(options.deployment.read_text()))
    site.prepare()
    pythons = {"compare": sys.executable, "spark": options.spark}
    variants = [name for name in options.variants.split(",") if name]
    all_engines = engines.all_of(site, options.command, options.benchmark.resolve(), pythons, variants)
    chosen = [engine for engine in all_engines if not options.engines or engine.name in options.engines.split(",")]
    rows = []
    for engine in chosen:
        if hasattr(engine, "deploy"):
            engine.deploy()
        for scenario, run in scenarios(site, engine, options):
            row = {"scenario": scenario, **run.told()}
            rows.append(row)
            keep(options, rows)
            print(f"{row['label']:24} {scenario:7} {row['seconds']:7.2f} s {row['memory'] >> 20:5} MB {sum(row['requests'].values()):7} requests"
                  f"  missing {row['missing']} different {row['different']} counted {row['counted']:+} results {row['results']}"
                  f"  killed {row['killed']} restarts {row['restarts']} {row['said']}", flush=True)
    if options.docs:
        page.write(rows, options)
    wrong = [row for row in rows if row["engine"].startswith("fanfold") and (row["missing"], row["different"], row["counted"], row["results"]) != (0, 0, 0, 0)]
    if wrong:
        raise Failure(f"fanfold was wrong {len(wrong)} times")
    return 0


if __name__ == "__main__":
    toolbox.run(main)

"""Stops a plan of Terraform that would delete what is stored, unless that is confirmed."""

import json
import re
import subprocess
from pathlib import Path

from settings import INFRA, setting
from toolbox import Failure, python_with

# What holds data: how it is called, the attribute with its name, what it holds.
STORES = {"aws_dynamodb_table": ("table", "name", "item"), "aws_s3_bucket": ("bucket", "bucket", "object")}


def doomed(plan):
    """The tables and buckets that a plan deletes or replaces, each with the reason.

    Not the bucket of the functions' package, which is built, not stored.
    """
    return [
        store_of(resource)
        for resource in plan.get("resource_changes", [])
        if resource["type"] in STORES and "delete" in resource["change"]["actions"]
        and not resource["address"].startswith("module.package.")
    ]


def store_of(resource):
    kind, name, unit = STORES[resource["type"]]
    before = resource["change"]["before"]
    reason, remedy = why(resource)
    return {
        "kind": kind,
        "name": before[name],
        "unit": unit,
        "protected": bool(before.get("deletion_protection_enabled")) if kind == "table" else not before.get("force_destroy"),
        "reason": reason,
        "remedy": remedy,
    }


def why(resource):
    """Why a store goes, and what would keep it."""
    change = resource["change"]
    pipeline = re.match(r'module\.pipeline\["([^"]+)"\]', resource["address"])
    if "create" in change["actions"]:
        values = [(".".join(map(str, path)), at(change["before"], path), at(change["after"], path))
                  for path in change.get("replace_paths", [])]
        told = " and ".join(f"{name} changes from {before} to {after}" for name, before, after in values)
        keys = [before for name, before, _ in values if name == "hash_key"]
        return f"replaced, because {told or 'it cannot be changed'}", f"the key field {keys[0]}" if keys else "its settings"
    if resource.get("action_reason") in ("delete_because_no_module", "delete_because_each_key") and pipeline:
        return f"removed, because pipeline {pipeline[1]} is not among those to deploy", f"pipeline {pipeline[1]}"
    if resource.get("action_reason") and resource["address"].startswith("module.sockets"):
        return "removed, because nobody can connect any more to wait for reports", "API=true and a pipeline that makes reports"
    if resource.get("action_reason"):
        # The table that a processor writes to; any other goes with the variant.
        processor = {"items": "items", "counters": "aggregate"}.get(resource.get("name"))
        remedy = f"{processor} among the pipeline's PROCESSORS" if processor else "the pipeline's variant"
        return "removed, because its pipeline has no use for it any more", remedy
    return "removed", None


def at(value, path):
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return "another"
    return value


def count(stores, region, emulator):
    """What each of the stores holds, as contents.py says it."""
    try:
        python = python_with("ministack", INFRA.parent / "target" / "ministack")
    except Failure as problem:
        return [{"problem": str(problem)}] * len(stores)
    command = [str(python), str(Path(__file__).resolve().with_name("contents.py"))]
    command += (["--region", region] if region else []) + (["--emulator"] if emulator else [])
    done = subprocess.run(command, input=json.dumps(stores), text=True, capture_output=True)
    if done.returncode != 0:
        return [{"problem": (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]}] * len(stores)
    return json.loads(done.stdout)


def quantity(store, found):
    if "problem" in found:
        return f"an unknown number of {store['unit']}s ({found['problem']})"
    return f"{'more than ' if found['more'] else ''}{found['count']:,} {store['unit']}{'' if found['count'] == 1 else 's'}"


def allow(plan, region, emulator):
    """Returns if nothing that is stored is lost by a plan, or if it is confirmed; otherwise says what would be lost."""
    stores = doomed(plan)
    if not stores:
        return
    counts = count(stores, region, emulator)
    filled = [store for store, found in zip(stores, counts) if found.get("count") != 0]
    lines = [f"  {store['kind']} {store['name']} with {quantity(store, found)}: {store['reason']}"
             for store, found in zip(stores, counts) if store in filled]
    # Terraform would carry out a part of the plan before AWS refuses these: a table even if it is empty.
    held = [store["name"] for store in stores if store["protected"] and (store["kind"] == "table" or store in filled)]
    if held:
        raise Failure("\n".join([
            f"this would delete data that is protected, in {', '.join(held)}:", *lines,
            "Nothing was changed. To give it up, first run `make deploy` with PROTECT_DATA=false and all else as it was",
        ]))
    if filled and setting("CONFIRM") != "yes":
        remedies = dict.fromkeys(store["remedy"] for store in filled if store["remedy"])
        keep = f"To keep it, stay with {', '.join(remedies)}; to" if remedies else "To"
        last = f"Nothing was changed. {keep} give it up, say CONFIRM=yes"
        raise Failure("\n".join(["this would delete what is stored:", *lines, last]))
    for line in lines:
        print(f"deleting{line[1:]}", flush=True)

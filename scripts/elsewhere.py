#!/usr/bin/env python3
"""Runs the end-to-end tests on an emulator that runs already, except those that need what LocalStack lacks.

Its functions have to be processes of this machine: some tests kill them, and pipelines send to what tests start here. It deploys pipelines of
its own, and removes them once all tests have passed, or when it runs again; besides, it deletes the buckets, queues, tables and topics named
`contract`, `contract.fifo` or `contract-…`, and the parameter `hooks`, which are the tests' own. Runs with the emulator's Python, which has
botocore; HOST and FEATURES are those of the Makefile.
"""

import interrupts  # noqa: F401, I001: before all others

import argparse
import json
import os
import re
import subprocess
from pathlib import Path

import botocore.exceptions
import botocore.session

import functions
from settings import SETTINGS
from toolbox import Failure, run

SCRIPTS = Path(__file__).resolve().parent
# The names of what tests make themselves.
OWN = re.compile(r"contract(\.fifo|-.*)?")

# An emulator takes any.
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

# Pipelines that cannot be deployed there, and why.
WITHOUT = {"sfn": "its Distributed Map has express workers and lists failed chunks alone; LocalStack takes standard ones, and no WriterConfig"}

NO_FUNCTIONS = "calls functions of users in Python, which such an emulator cannot run"
NO_RECORDS = "needs who signed a request for a record (docs/EMULATORS.md)"
NO_API = "needs an HTTP or a WebSocket API, which LocalStack lacks"
# Tests by the first letters of their names, and why they are left out.
LEFT_OUT = {
    "invoke::": NO_FUNCTIONS,
    "counted::": NO_FUNCTIONS,
    "records::": NO_RECORDS,
    "billing::events_are_kept_that_are_sent_one_at_a_time": NO_RECORDS,
    "map::": "is about `sfn`",
    "acts::": NO_API,
    "page::the_function_lets_in_what_is_signed_alone": NO_API,
    "page::the_same_goes_through_the_function": NO_API,
    "reports::a_report_is_the_same_whoever_makes_it_and_however_it_is_fetched": NO_API,
    "reports::a_report_of_all_assets_is_one_of_those_that_were_counted": NO_API,
    "waiting::a_client_that_is_killed_learns_of_the_end_when_it_comes_back": NO_API,
    "waiting::a_report_is_the_same_document_by_every_way": NO_API,
    "waiting::events_are_told_by_the_address_of_a_function": NO_API,
    "waiting::nobody_connects_or_is_told_who_may_not": NO_API,
}


def pipelines(text):
    """The pipelines of the tests that can be deployed: without functions of users, and without an API."""
    kept = {}
    for name, parts in json.loads(text).items():
        calls = any(isinstance(processor, dict) and "invoke" in processor for processor in parts.get("processors", []))
        if name not in WITHOUT and not calls:
            kept[name] = {setting: value for setting, value in parts.items() if not setting.startswith("records_")}
    return kept


def left_out(tests):
    """Those of the tests that are left out, with the reason of each."""
    found = {test: why for test in tests for start, why in LEFT_OUT.items() if test.startswith(start)}
    if gone := [start for start in LEFT_OUT if not any(test.startswith(start) for test in tests)]:
        raise Failure(f"{Path(__file__).name} leaves out what is no test: {', '.join(gone)}")
    return found


def told(tests, skipped):
    """How many tests are left out for which reason."""
    reasons = {why: sum(other == why for other in skipped.values()) for why in skipped.values()}
    lines = [f"{len(tests) - len(skipped)} of {len(tests)} tests; left out are", *(f"  {many}: {why}" for why, many in reasons.items())]
    return "\n".join([*lines, *(f"  and the pipeline {name}: {why}" for name, why in WITHOUT.items())])


def clear(clients):
    """Deletes what tests made themselves in an earlier run."""
    s3, sqs, tables, sns = clients("s3"), clients("sqs"), clients("dynamodb"), clients("sns")
    for bucket in (bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if OWN.fullmatch(bucket["Name"])):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        s3.delete_bucket(Bucket=bucket)
    for url in sqs.list_queues(QueueNamePrefix="contract").get("QueueUrls", []):
        if OWN.fullmatch(url.rpartition("/")[2]):
            sqs.delete_queue(QueueUrl=url)
    for page in tables.get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            if OWN.fullmatch(table):
                tables.delete_table(TableName=table)
    for page in sns.get_paginator("list_topics").paginate():
        for topic in page["Topics"]:
            if OWN.fullmatch(topic["TopicArn"].rpartition(":")[2]):
                sns.delete_topic(TopicArn=topic["TopicArn"])


def environment(endpoint, work):
    """The environment of the tests' deployment and of the tests, without settings of the user's own."""
    own = {*SETTINGS} - {"ARCH"}
    kept = {name: value for name, value in os.environ.items() if name not in own and not name.startswith("TF_VAR_")}
    return kept | {
        "AWS_ENDPOINT_URL": endpoint, **KEYS, "AWS_REGION": functions.REGION, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SCOPE": "test-", "CHUNK_SIZE": "50", "PIPELINES": str(work / "pipelines.json"), "CONFIRM": "yes",
        "PIPELINE": "", "VARIANTS": "", "RESET": "",
        # As scripts/test has them.
        "TF_VAR_timeout": "{scatter=30,process=10,gather=30,bury=10,sweep=20,consolidate=60}", "TF_VAR_stall_after": "120", "TF_VAR_give_up_after": "3600",
        "FANFOLD_TEST_ENDPOINT": endpoint, "FANFOLD_TEST_DEPLOYMENT": str(work / "deployment.json"), "FANFOLD_TEST_NOTES": str(work / "notes"),
        "FANFOLD_TEST_WITHOUT": " ".join(WITHOUT),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("endpoint", help="of the emulator")
    parser.add_argument("--work", type=Path, required=True, help="folder for the state of Terraform")
    parser.add_argument("--package", type=Path, required=True, help="zip of the functions")
    parser.add_argument("--press", type=Path, required=True, help="zip of the function that prints reports")
    parser.add_argument("--command", type=Path, required=True, help="the executable fanfold")
    parser.add_argument("--only", default="", help="run only tests whose names contain this")
    options = parser.parse_args()
    work, endpoint = options.work.resolve(), options.endpoint.rstrip("/")
    work.mkdir(parents=True, exist_ok=True)
    keys = {name.lower(): key for name, key in KEYS.items()}
    session = botocore.session.get_session()
    clients = lambda service: session.create_client(service, functions.REGION, endpoint_url=endpoint, **keys)
    try:
        clear(clients)
        clients("ssm").put_parameter(Name=functions.SECRET[0], Value=functions.SECRET[1], Type="SecureString", Overwrite=True)
    except botocore.exceptions.BotoCoreError as problem:
        raise Failure(f"no emulator answers at {endpoint}: {problem}") from None
    except botocore.exceptions.ClientError as problem:
        raise Failure(f"the emulator at {endpoint} has to have s3, sqs, sns, dynamodb and ssm: {problem}") from None
    (work / "pipelines.json").write_text(json.dumps(pipelines(functions.pipelines(functions.PIPELINES.read_text())), indent=2))

    variables = environment(endpoint, work) | {"FANFOLD_TEST_BIN": str(options.command.resolve())}
    goal = lambda command: subprocess.run(command, env=variables).returncode
    packages = ["--package", str(options.package), "--press", str(options.press)]
    deployment = lambda act, *more: goal(
        [os.environ.get("PYTHON", "python3"), str(SCRIPTS / "deployment.py"), act, "--work", str(work), "--state", str(work / "terraform.tfstate"),
         "--output", str(work / "deployment.json"), "--emulator", *packages, *more])
    # Of a run whose tests failed: they expect an empty deployment.
    if (work / "terraform.tfstate").exists() and deployment("destroy"):
        raise Failure("what an earlier run deployed was not removed")
    if deployment("apply", "--command", str(options.command)):
        raise Failure("the pipelines of the tests were not deployed")

    cargo = ["cargo", "test", "--locked", "--release", "--target", os.environ["HOST"], "--target-dir", "target", "--workspace",
             "--features", os.environ["FEATURES"], "--test", "end_to_end", "--"]
    listed = subprocess.run([*cargo, "--list", "--format", "terse"], env=variables, stdout=subprocess.PIPE, text=True)
    if listed.returncode:
        raise Failure("the end-to-end tests cannot be built")
    tests = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
    skipped = left_out(tests)
    print(told(tests, skipped), flush=True)
    # Most of them wait.
    if goal([*cargo, "--test-threads", "6", *(part for test in skipped for part in ("--skip", test)), *([options.only] if options.only else [])]):
        raise Failure(f"tests failed; what is deployed stays at {endpoint}")
    if deployment("destroy"):
        raise Failure("what is deployed was not removed")
    clear(clients)
    clients("ssm").delete_parameter(Name=functions.SECRET[0])


if __name__ == "__main__":
    run(main)

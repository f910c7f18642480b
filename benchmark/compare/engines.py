"""What works through a file: jobs that are started for it, a Distributed Map, and fanfold. All have the same interface:

    start(file)      uploads the file and has it worked on; start again, to do what a user does after a failure, with `again`
    ended()          None as long as it is worked on, then "" or what was said of a failure
    processes()      the ids of the processes that work
    cool()           ends what stays from one file to the next
    results(file)    the text of the results, or None
    counted(group)   the count and the sum of a group of items
"""

import hashlib
import io
import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from decimal import Decimal
from pathlib import Path

import site_of as site
import watch

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
MARK = "FANFOLD_COMPARED"
# Seconds that messages may be left: those of workers that were killed come back after 30.
SETTLED = 60


def lines_of(files):
    """Lines of code: those that are neither empty, nor comments, nor documentation."""
    count = 0
    for file in files:
        quoted = False
        for line in (PEERS / file).read_text().splitlines():
            line = line.strip()
            marks = line.count('"""')
            inside, quoted = quoted, quoted ^ (marks == 1)
            count += bool(line) and not line.startswith(("#", "//")) and not marks and not inside
    return count


class Peer:
    """What is common to those that are no pipelines of fanfold: buckets, tables, and counters that are added to."""

    def __init__(self, site_of_all):
        self.site = site_of_all
        self.items = site.ITEMS

    def put(self, file):
        self.key = f"{file.name}.csv"
        self.site.s3.put_object(Bucket=site.INPUT, Key=self.key, Body=file.bytes)

    def settle(self):
        """Waits until nothing is under way any more: what was started has ended."""

    def work(self):
        return {"bucket": site.INPUT, "key": self.key, "output": site.OUTPUT, "items": site.ITEMS, "counters": site.COUNTERS}

    def results(self, file):
        try:
            return self.site.s3.get_object(Bucket=site.OUTPUT, Key=f"{file.name}.csv/results.csv")["Body"].read().decode()
        except self.site.s3.exceptions.NoSuchKey:
            return ""

    def counted(self, group):
        row = self.site.dynamodb.get_item(TableName=site.COUNTERS, Key={"group": {"S": group}}, ConsistentRead=True).get("Item")
        return (int(row["count"]["N"]), Decimal(row["sum"]["N"])) if row else (0, Decimal(0))


class Job(Peer):
    """A program that is started on this machine, and stays for the next file unless it is ended."""

    def __init__(self, site_of_all, name, label, command, files):
        super().__init__(site_of_all)
        self.name, self.label, self.command, self.lines = name, label, command, lines_of(files)
        self.running, self.second = None, None

    def launch(self):
        variables = {**os.environ, **site.KEYS, "AWS_ENDPOINT_URL": self.site.endpoint, MARK: self.name, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
                     "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        return Running(subprocess.Popen(self.command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, start_new_session=True, cwd=HERE))

    def start(self, file, twice=False):
        self.put(file)
        self.again()
        if twice:
            self.second = self.launch()
            self.second.ask(self.work())

    def again(self):
        # One that was killed may be a moment late to be over.
        if self.running is None or self.running.gone or self.running.is_over():
            self.running = self.launch()
        self.running.ask(self.work())

    def ended(self):
        both = [running.answer() for running in (self.running, self.second) if running]
        if None in both:
            return None
        if self.second:
            self.second.end()
            self.second = None
        return "; ".join(filter(None, both))

    def processes(self):
        return watch.processes(MARK, self.name)

    def cool(self):
        watch.kill(self.processes())
        self.running = self.second = None


class Running:
    """A process that is given work by lines and answers by lines."""

    def __init__(self, process):
        self.process, self.answers, self.said, self.told, self.gone = process, queue.Queue(), [], None, False
        threading.Thread(target=self.read, daemon=True).start()
        threading.Thread(target=self.hear, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line).get("error", ""))
        self.gone = True
        self.answers.put(f"it ended: {' '.join(self.said[-1:])}")

    def hear(self):
        for line in self.process.stderr:
            self.said.append(line.strip())

    def ask(self, work):
        self.told = None
        self.process.stdin.write(json.dumps(work) + "\n")
        self.process.stdin.flush()

    def answer(self):
        if self.told is None:
            try:
                self.told = self.answers.get_nowait()
            except queue.Empty:
                return None
        return self.told

    def is_over(self):
        return self.process.poll() is not None

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


class DistributedMap(Peer):
    """A state machine over the uploaded file, as AWS's guide builds one."""

    name, label = "distributed-map", "Distributed Map"
    function, machine = "compared-map", "compared-map"

    def __init__(self, site_of_all):
        super().__init__(site_of_all)
        self.lines = lines_of(["distributed_map/handler.py", "record.py", "distributed_map/machine.json"])
        self.states, self.executions = site_of_all.client("stepfunctions"), []

    def deploy(self):
        iam, functions = self.site.client("iam"), self.site.client("lambda")
        role = iam.create_role(RoleName=self.function, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            for file in ("distributed_map/handler.py", "record.py"):
                archive.write(PEERS / file, Path(file).name)
        arn = functions.create_function(
            FunctionName=self.function, Runtime="python3.13", Handler="handler.handle", Role=role, Timeout=60, MemorySize=512,
            Code={"ZipFile": code.getvalue()}, Environment={"Variables": {"ITEMS": site.ITEMS, "COUNTERS": site.COUNTERS}})["FunctionArn"]
        definition = (PEERS / "distributed_map" / "machine.json").read_text().replace("FUNCTION", arn)
        self.arn = self.states.create_state_machine(name=self.machine, definition=definition, roleArn=role)["stateMachineArn"]

    def start(self, file, twice=False):
        self.put(file)
        self.again()
        if twice:
            self.executions += [self.begin()]

    def begin(self):
        asked = json.dumps({"bucket": site.INPUT, "key": self.key})
        return self.states.start_execution(stateMachineArn=self.arn, name=uuid.uuid4().hex, input=asked)["executionArn"]

    def again(self):
        self.executions = [self.begin()]

    def ended(self):
        told = [self.states.describe_execution(executionArn=arn) for arn in self.executions]
        if any(one["status"] == "RUNNING" for one in told):
            return None
        return "; ".join(f"{one['status']}: {one.get('error', '')}" for one in told if one["status"] != "SUCCEEDED")

    def processes(self):
        return watch.processes("AWS_LAMBDA_FUNCTION_NAME", self.function)

    def cool(self):
        watch.kill(self.processes())

    def results(self, file):
        return None


class Fanfold:
    """A pipeline of fanfold, whose work begins with the upload."""

    # Its line of benchmark/compare/pipelines.json, and the schema that this names.
    lines = 1 + lines_of([HERE.parents[1] / "examples" / "orders.schema.json"])

    def __init__(self, site_of_all, variant, command):
        self.site, self.name, self.label, self.command = site_of_all, f"fanfold-{variant}", f"fanfold, {variant}", command
        self.pipeline, self.parts = variant, site_of_all.deployment["pipelines"][variant]
        self.items, self.queue = self.parts["items_table"], site_of_all.client("sqs")

    def start(self, file, twice=False):
        bucket, key = self.parts["input_bucket"], f"{file.name}.csv"
        put = self.site.s3.put_object(Bucket=bucket, Key=key, Body=file.bytes)
        # As src/model/ids.rs names it.
        digest = hashlib.sha256("".join(f"{part}\0" for part in (bucket, key, put["VersionId"], "")).encode()).hexdigest()
        self.batch = f"{file.name}-{digest[:12]}"
        if twice:
            told = {"key": key, "versionId": put["VersionId"], "size": len(file.bytes), "eTag": put["ETag"].strip('"'), "sequencer": "0"}
            event = {"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": site.REGION, "eventTime": "2026-01-01T00:00:00.000Z",
                     "eventName": "ObjectCreated:Put", "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": bucket}, "object": told}}
            self.queue.send_message(QueueUrl=self.parts["queues"]["scatter"], MessageBody=json.dumps({"Records": [event]}))

    def again(self):
        raise AssertionError("fanfold is not started again")

    def ended(self):
        try:
            told = self.site.s3.get_object(Bucket=self.parts["output_bucket"], Key=f"{self.batch}/summary.json")["Body"].read()
        except self.site.s3.exceptions.NoSuchKey:
            return None
        summary = json.loads(told)
        return "" if summary["error"] is None else str(summary["error"])

    def processes(self):
        return watch.processes("AWS_LAMBDA_FUNCTION_NAME", self.parts["functions"]["process"].removesuffix("process"))

    def cool(self):
        watch.kill(self.processes())

    def results(self, file):
        try:
            return self.site.s3.get_object(Bucket=self.parts["output_bucket"], Key=f"{self.batch}/results.csv")["Body"].read().decode()
        except self.site.s3.exceptions.NoSuchKey:
            return ""

    def settle(self):
        """Waits until no message is left: a second start may be noticed after the batch has ended."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        ends = time.monotonic() + SETTLED
        for stage in ("scatter", "process", "gather"):
            asked = {"QueueUrl": self.parts["queues"][stage], "AttributeNames": names}
            while any(int(many) for many in self.queue.get_queue_attributes(**asked)["Attributes"].values()) and time.monotonic() < ends:
                time.sleep(0.1)

    def counted(self, group):
        told = subprocess.run([self.command, "counters", group, "--json", "--pipeline", self.pipeline], capture_output=True, text=True, check=True)
        row = json.loads(told.stdout, parse_float=Decimal)
        return row["count"], Decimal(str(row["sum"].get("price", 0)))


def all_of(site_of_all, command, benchmark, pythons, variants):
    """All engines, fanfold's first."""
    python = lambda venv, peer: [str(pythons[venv]), str(HERE / "job.py"), peer]
    loop = HERE.parent / "src" / "peer" / "work.rs"
    return [
        *[Fanfold(site_of_all, variant, command) for variant in variants],
        DistributedMap(site_of_all),
        Job(site_of_all, "lithops", "Lithops on this machine", python("compare", "lithops_job"), ["lithops_job.py", "record.py"]),
        Job(site_of_all, "spark", "Spark on this machine", python("spark", "pyspark_job"), ["pyspark_job.py", "record.py"]),
        Job(site_of_all, "python", "Python loop", python("compare", "python_loop"), ["python_loop.py", "record.py"]),
        Job(site_of_all, "rust", "Rust loop", [str(benchmark), "loop"], [str(loop)]),
    ]

"""A deployment that is checked: clients for it, the command, and files made of rows."""

import contextlib
import json
import subprocess
import time
from datetime import datetime

import botocore.config
import botocore.exceptions
import botocore.session

from aws_report import price
from toolbox import Failure

HEADER = b"itemNo,price,note\n"
# How many items of calls the ledger has of each stage of a batch, as crates/aws/src/ledger/attributes.rs says.
CALL_SHARDS = 8
STAGES = ["scatter", "process", "gather"]
# What S3 says of an object or a version that is not there; of a HEAD, which has no body, only the status is known.
ABSENT = ("404", "NoSuchKey", "NoSuchVersion")


class Site:
    def __init__(self, deployment, command, scratch):
        self.file, self.command, self.scratch = deployment.resolve(), command.resolve(), scratch
        self.deployment = json.loads(deployment.read_text())
        self.region = self.deployment["region"]
        # Keys of uploads, so that several runs on one deployment do not meet.
        self.name = f"check{time.time_ns() // 1_000_000:x}"

    def client(self, service):
        endpoint = self.deployment.get("endpoint")
        config = botocore.config.Config(s3={"addressing_style": "path" if endpoint else "auto"})
        return botocore.session.get_session().create_client(service, self.region, endpoint_url=endpoint, config=config)

    def parts(self, pipeline):
        return self.deployment["pipelines"][pipeline]

    # --- the command ---

    def fanfold(self, pipeline, *arguments):
        """What the command prints as JSON, whatever its status says about a batch."""
        return self.together(pipeline, [arguments])[0]

    def together(self, pipeline, commands):
        """The same of several at the same time. All are ended if one of them cannot be waited for."""
        processes = []
        try:
            for arguments in commands:
                processes.append(subprocess.Popen(
                    [str(self.command), *arguments, "--pipeline", pipeline, "--json", "--deployment", str(self.file)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            return [self.answer(process, arguments) for process, arguments in zip(processes, commands)]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    @staticmethod
    def answer(process, arguments):
        said, complaint = process.communicate()
        try:
            return json.loads(said)
        except ValueError:
            raise Failure(f"fanfold {arguments[0]} ended with status {process.returncode}: {complaint.strip()}") from None

    def submit(self, pipeline, path, *arguments):
        """Submits a file and returns its summary."""
        return self.fanfold(pipeline, "submit", str(path), "--wait", *arguments)

    # --- files ---

    def rows(self, name, first, records, width, keys):
        """Rows of so many bytes each, that with its end of line included, which have so many keys between them."""
        rows = []
        for n in range(first, first + records):
            row = f"{self.name}-{name}-{n % keys:07},{n % 1000}.25,"
            rows.append(f"{row}{'x' * (width - len(row) - 1)}\n")
        return "".join(rows).encode()

    @contextlib.contextmanager
    def csv(self, name, records, width, keys=None):
        """A file of so many records, while it is needed."""
        path = self.scratch / f"{self.name}-{name}.csv"
        try:
            with open(path, "wb") as file:
                file.write(HEADER)
                for first in range(0, records, 10_000):
                    file.write(self.rows(name, first, min(10_000, records - first), width, keys or records))
            yield path
        finally:
            path.unlink(missing_ok=True)

    # --- what AWS says ---

    def calls(self, pipeline, batch):
        """The requests of a batch by service and operation, as its functions counted them."""
        keys = [{"pk": {"S": f"CALLS#{batch}#{stage}#{shard}"}} for stage in STAGES for shard in range(CALL_SHARDS)]
        table, client = self.parts(pipeline)["ledger_table"], self.client("dynamodb")
        found = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})["Responses"][table]
        requests = {}
        for item in found:
            for name, value in item.items():
                if "." in name:
                    requests[name] = requests.get(name, 0) + int(value["N"])
        return requests

    def dollars(self, pipeline, summary, units):
        """What a batch cost, if its items took so many write units and its functions ran all the time, which is the most."""
        parameters = self.parts(pipeline)["parameters"]
        workers = min(parameters["concurrency"], summary["chunks"]["total"] or 0)
        seconds = 2 * elapsed(summary) + workers * elapsed(summary, end="gatherStartedAt")
        return price(self.calls(pipeline, summary["batchId"]), units, seconds * parameters["memory_mb"] / 1024)

    def letters(self, pipeline):
        """How many messages each dead-letter queue and the queue for people hold."""
        parts, client = self.parts(pipeline), self.client("sqs")
        held = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = {}
        for stage, url in {**parts["dead_letter_queues"], "parked": parts["parked_queue"]}.items():
            attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=held)["Attributes"]
            counts[stage] = sum(int(attributes.get(name, 0)) for name in held)
        return {stage: count for stage, count in counts.items() if count}

    def logged(self, function, since):
        """What a function logged since a moment, in seconds since 1970; nothing if it did not yet."""
        client = self.client("logs")
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{function}", startTime=int(since * 1000))
        try:
            return [event["message"] for page in pages for event in page.get("events", [])]
        except client.exceptions.ResourceNotFoundException:
            return []


def until(look, every=1.0):
    """What `look` returns once that is something. AWS announces none of what is looked for; a check ends in time."""
    while not (found := look()):
        time.sleep(every)
    return found


def once_there(call, **place):
    """What S3 answers about an object that was written, which it may say for 15 minutes is not there:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html
    """

    def answer():
        try:
            return call(**place)
        except botocore.exceptions.ClientError as problem:
            if code_of(problem) in ABSENT:
                return None
            raise

    return until(answer)


def moment(text):
    """A timestamp of a summary, in seconds since 1970."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def elapsed(summary, begin="startedAt", end="finishedAt"):
    """The seconds between two moments of a batch; 0 if one of them is unknown."""
    if not summary.get(begin) or not summary.get(end):
        return 0.0
    return max(0.0, moment(summary[end]) - moment(summary[begin]))


def faults(summary, records):
    """What is wrong with a batch of so many records, of which none may fail; empty if nothing is."""
    told = {"state": summary["state"], **{name: summary["records"][name] for name in ("total", "succeeded", "failed")},
            "failed chunks": summary["chunks"]["failed"]}
    wanted = {"state": "SUCCEEDED", "total": records, "succeeded": records, "failed": 0, "failed chunks": 0}
    if told == wanted:
        return ""
    return f"the summary says {told}, error {summary.get('error')}, first failures {summary.get('failures', [])[:2]}"


def code_of(problem):
    """AWS's code for a refusal, such as NoSuchVersion."""
    return problem.response["Error"]["Code"] if isinstance(problem, botocore.exceptions.ClientError) else ""

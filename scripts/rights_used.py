"""What functions do seldom, brought about on a local AWS so that they need their rights for it."""

import hashlib
import json
import subprocess
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import botocore.exceptions

from toolbox import Failure

ROWS = 120
STAGES = ("scatter", "process", "gather")


@dataclass(frozen=True)
class Batch:
    id: str
    key: str
    version: str


class Line:
    """One pipeline, its queues and its functions."""

    def __init__(self, site, name):
        self.site, self.name = site, name
        self.parts = site.deployment["pipelines"][name]
        self.in_input = self.parts["definition"]["variant"] == "ranged"
        self.queues, self.letters = self.parts["queues"], self.parts["dead_letter_queues"]
        self.sqs, self.s3, self.functions = site.client("sqs"), site.client("s3"), site.client("lambda")

    def role(self, stage):
        return self.parts["functions"][stage]

    def announcement(self):
        """The call by which scatter lets workers know of chunks, and on what."""
        topic = self.parts["topic_arn"]
        return ("sns:Publish", topic) if topic else ("sqs:SendMessage", f"*:{self.role('process')}")

    def upload(self, label, **how):
        """Uploads a file of records and returns its batch."""
        key = f"{label}-{uuid.uuid4().hex[:8]}.csv"
        return self.put(key, "itemNo,price,group\n" + "".join(f"{key}-{n},{n}.5,{label}\n" for n in range(ROWS)), **how)

    def put(self, key, text, **how):
        """Puts a file under a key and returns its batch."""
        bucket = self.parts["input_bucket"]
        version = self.s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), **how)["VersionId"]
        # As src/model/ids.rs names it.
        digest = hashlib.sha256("".join(f"{part}\0" for part in (bucket, key, version, "")).encode()).hexdigest()
        stem = key.rpartition("/")[2].rpartition(".")[0]
        return Batch(f"{stem}-{digest[:12]}", key, version)

    @contextmanager
    def paused(self, *stages):
        """Keeps functions from receiving messages."""
        mappings = [mapping["UUID"] for stage in stages
                    for mapping in self.functions.list_event_source_mappings(FunctionName=self.role(stage))["EventSourceMappings"]]
        self.enable(mappings, False)
        try:
            yield
        finally:
            self.enable(mappings, True)

    @contextmanager
    def without(self, stage, action, resource):
        """Takes a right from a function."""
        self.site.taken.append((self.role(stage), action, resource))
        iam, named = self.site.client("iam"), {"RoleName": self.role(stage), "PolicyName": stage}
        document = iam.get_role_policy(**named)["PolicyDocument"]
        denied = {"Sid": "Taken", "Effect": "Deny", "Action": [action], "Resource": [resource]}
        iam.put_role_policy(**named, PolicyDocument=json.dumps({**document, "Statement": [*document["Statement"], denied]}))
        try:
            yield
        finally:
            iam.put_role_policy(**named, PolicyDocument=json.dumps(document))

    def enable(self, mappings, enabled):
        for mapping in mappings:
            self.functions.update_event_source_mapping(UUID=mapping, Enabled=enabled)

    def take(self, stage, batch, many=1):
        """Receives this many messages about a batch, or about its file, and deletes them; others come again later."""
        url, about = self.queues[stage], batch.key if stage == "scatter" else batch.id
        taken, deadline = [], time.monotonic() + 60
        while len(taken) < many:
            if time.monotonic() > deadline:
                raise Failure(f"{url}: {len(taken)} messages about {about} instead of {many}")
            received = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, WaitTimeSeconds=20).get("Messages", [])
            for message in received:
                if about in message["Body"]:
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    taken.append(message["Body"])
        return taken

    def send(self, url, body):
        ordered = {"MessageGroupId": uuid.uuid4().hex, "MessageDeduplicationId": uuid.uuid4().hex} if url.endswith(".fifo") else {}
        self.sqs.send_message(QueueUrl=url, MessageBody=body, **ordered)

    def sealed(self, batch):
        """Waits until scatter has sealed a batch, so that no longer scatter itself can see it complete and tell gather."""
        table, deadline = self.site.client("dynamodb"), time.monotonic() + 60
        key = {"TableName": self.parts["ledger_table"], "Key": {"pk": {"S": f"BATCH#{batch.id}"}}, "ConsistentRead": True}
        while "scatteredAt" not in table.get_item(**key).get("Item", {}):
            if time.monotonic() > deadline:
                raise Failure(f"{self.name}: {batch.id} is not sealed")
            time.sleep(0.1)  # DynamoDB offers nothing with which a client could await an attribute.

    def ended(self, batch):
        """Waits until a batch has a summary."""
        if not self.ends_within(batch, 120):
            raise Failure(f"{self.name}: {batch.id} does not end")

    def ends_within(self, batch, seconds):
        """Whether a batch has a summary before this time is over."""
        return self.writes_within(f"{batch.id}/summary.json", seconds)

    def writes_within(self, key, seconds):
        """Whether an output is there before this time is over."""
        try:
            waiter = self.s3.get_waiter("object_exists")
            waiter.wait(Bucket=self.parts["output_bucket"], Key=key, WaiterConfig={"Delay": 0.25, "MaxAttempts": 4 * seconds})
        except botocore.exceptions.WaiterError:
            return False
        return True

    def called(self, stage, action, resource="*"):
        """Waits until a function has made such a call, now or before."""
        self.site.await_call(self.role(stage), action, resource, since=0)

    def sweep(self, **patience):
        """Runs sweep with this patience."""
        self.configure("sweep", **{name: str(value) for name, value in patience.items()})
        self.functions.invoke(FunctionName=self.role("sweep"), Payload=b"{}")

    def sweep_until_sent(self, stage):
        """Runs sweep until it has sent a message to a stage."""
        self.sweep_until_called("sqs:SendMessage", f"*:{self.role(stage)}*", STALL_AFTER=1, GIVE_UP_AFTER=3600)

    def sweep_until_called(self, action, resource="*", **patience):
        """Runs sweep until it has made such a call."""
        call = (self.role("sweep"), action, resource)
        since = self.site.many(*call)
        for _ in range(60):
            self.sweep(**patience)
            if self.site.made(*call, since=since, seconds=1):
                return
        raise Failure(f"{self.name}: sweep did not call {action} on {resource}")

    def gathered_before(self, batch):
        """Makes a batch one that gather once took and did not close: sweep then looks for its summary."""
        self.site.client("dynamodb").update_item(
            TableName=self.parts["ledger_table"],
            Key={"pk": {"S": f"BATCH#{batch.id}"}},
            UpdateExpression="ADD gatherAttempts :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def sweep_until_ended(self, batch):
        """Runs sweep until it has given a batch up and its summary is written."""
        for _ in range(60):
            self.sweep(STALL_AFTER=1, GIVE_UP_AFTER=1)
            found = self.s3.list_objects_v2(Bucket=self.parts["output_bucket"], Prefix=f"{batch.id}/summary.json")
            if found["KeyCount"]:
                return
            time.sleep(0.5)  # S3 offers nothing with which a client could await an object.
        raise Failure(f"{self.name}: sweep did not end {batch.id}")

    def delete(self, batch):
        """Deletes the file of a batch, and what was copied of it."""
        self.s3.delete_object(Bucket=self.parts["input_bucket"], Key=batch.key, VersionId=batch.version)
        work = self.parts["work_bucket"]
        for entry in self.s3.list_objects_v2(Bucket=work, Prefix=f"{batch.id}/").get("Contents", []):
            self.s3.delete_object(Bucket=work, Key=entry["Key"])

    def variables(self, stage):
        return self.functions.get_function_configuration(FunctionName=self.role(stage))["Environment"]["Variables"]

    def configure(self, stage, **variables):
        now = self.variables(stage)
        if {**now, **variables} != now:
            self.functions.update_function_configuration(FunctionName=self.role(stage), Environment={"Variables": {**now, **variables}})

    def redrive(self, batch):
        command = [self.site.command, "redrive", batch.id, "--pipeline", self.name, "--json"]
        done = subprocess.run(command, env={"FANFOLD_DEPLOYMENT": str(self.site.file)}, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def chunks(line):
    return ROWS if line.parts["definition"]["variant"] in ("sync", "async") else -(-ROWS // line.parts["parameters"]["chunk_size"])


def exercise(site, name):
    """Lets a pipeline meet messages that are unreadable, given up or lost, and files that are gone."""
    line = Line(site, name)
    for stage in STAGES:
        # Its function gives it up, and bury parks it.
        line.send(line.queues[stage], json.dumps({"v": 99, "stage": stage}))
    failed = give_up_chunks(line)
    give_up_file(line)
    patience = {name: line.variables("sweep")[name] for name in ("STALL_AFTER", "GIVE_UP_AFTER")}
    try:
        lose_messages(line, failed)
    finally:
        line.configure("sweep", **patience)
    lose_files(line)
    leave_out(line)
    write_in_order(line)
    gather_again(line)


def give_up_chunks(line):
    """Workers give up every chunk of a file: bury ends them, and their records can be redriven."""
    with line.paused("process"):
        batch = line.upload("buried")
        for body in line.take("process", batch, chunks(line)):
            line.send(line.letters["process"], body)
        line.ended(batch)
    return batch


def count_late(site, name):
    """Workers decide chunks and cannot count them: bury does when it ends them, and so does sweep."""
    line = Line(site, name)
    patience = {name: line.variables("sweep")[name] for name in ("STALL_AFTER", "GIVE_UP_AFTER")}
    call = (line.role("process"), "dynamodb:BatchWriteItem", f"*:table/{line.parts['counters_table']}")
    try:
        for stage in ("bury", "sweep"):
            since = line.site.many(*call, allowed=False)
            with line.without("process", *call[1:]):
                batch = line.upload("uncounted")
                line.site.await_call(*call, since=since + chunks(line) - 1, allowed=False)
                with line.paused("process"):
                    for body in line.take("process", batch, chunks(line)):
                        if stage == "bury":
                            line.send(line.letters["process"], body)
                    if stage == "sweep":
                        line.sweep_until_called(*call[1:], STALL_AFTER=1, GIVE_UP_AFTER=1)
                    line.ended(batch)
    finally:
        line.configure("sweep", **patience)


def give_up_file(line):
    """Scatter gives up a file: bury ends its batch."""
    with line.paused("scatter"):
        batch = line.upload("unscattered")
        line.send(line.letters["scatter"], *line.take("scatter", batch))
        line.ended(batch)


def lose_messages(line, failed):
    """Messages are lost: sweep sends them again, or ends the batch if that does not help."""
    line.redrive(failed)
    call = (line.role("scatter"), *line.announcement())
    since = line.site.many(*call, allowed=False)
    with line.without("scatter", *call[1:]):
        # A batch that is begun and whose chunks are not announced.
        line.upload("unannounced")
        line.site.await_call(*call, since=since, allowed=False)
        with line.paused("scatter"):
            line.sweep_until_sent("scatter")
    with line.paused("process"):
        batch = line.upload("lost")
        line.take("process", batch, chunks(line))
        line.sweep_until_sent("process")
    with line.paused("process"):
        batch = line.upload("forgotten")
        line.take("process", batch, chunks(line))
        line.sweep_until_ended(batch)
    if line.parts["definition"]["variant"] == "ranged":
        with line.paused("process"):
            # Its records lie in a file that is gone when sweep ends its chunks.
            batch = line.upload("gone-before-its-end")
            line.take("process", batch, chunks(line))
            line.delete(batch)
            line.sweep_until_called("s3:ListBucketVersions", STALL_AFTER=1, GIVE_UP_AFTER=1)
    with line.paused("gather"):
        batch = line.upload("announced")
        line.take("gather", batch)
        line.sweep_until_sent("gather")
        line.gathered_before(batch)
        line.sweep_until_ended(batch)


def lose_files(line):
    """Files and chunks disappear before they are read."""
    with line.paused("scatter"):
        batch = line.upload("gone-file")
        line.delete(batch)
    line.called("scatter", "s3:ListBucketVersions")
    with line.paused("process"):
        batch = line.upload("gone-chunks")
        bodies = line.take("process", batch, chunks(line))
        line.delete(batch)
        line.send(line.letters["process"], bodies[0])
        for body in bodies[1:]:
            line.send(line.queues["process"], body)


def leave_out(line):
    """A scatter dies before it wrote the first of two chunks, and the file is gone when the next comes: that one ends the first."""
    if line.parts["definition"]["variant"] == "dynamodb":
        return  # It decides with the rights that it needs for records.
    with line.paused("scatter"):
        batch = line.upload("left-out")
        body, = line.take("scatter", batch)
        line.delete(batch)
        line.s3.put_object(Bucket=line.parts["work_bucket"], Key=f"{batch.id}/pending/00000001.chunk")
        # Without the time at which it was first received, a function does not wait for the file.
        message = {"messageId": uuid.uuid4().hex, "receiptHandle": "none", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
        source = {"eventSource": "aws:sqs", "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{line.role('scatter')}", "awsRegion": "us-east-1"}
        line.functions.invoke(FunctionName=line.role("scatter"), Payload=json.dumps({"Records": [{**message, **source}]}))
    line.called("scatter", "s3:PutObject", f"*:{line.parts['work_bucket']}/{batch.id}/done/*")


def write_in_order(line):
    line.configure("process", WRITE_MODE="ordered")
    line.ended(line.upload("ordered"))
    line.configure("process", WRITE_MODE="batch")


def gather_again(line):
    """A gather cannot write its outputs, and the next looks for what it left; where records lie in the file, that is gone then."""
    call = (line.role("gather"), "s3:PutObject", f"*:{line.parts['output_bucket']}/*")
    since = line.site.many(*call, allowed=False)
    with line.without("gather", *call[1:]):
        line.upload("ungathered")
        line.site.await_call(*call, since=since, allowed=False)
    line.called("gather", "s3:ListBucket", f"*:{line.parts['output_bucket']}")
    if line.in_input:
        with line.paused("gather"):
            batch = line.upload("gone-reported")
            body, = line.take("gather", batch)
            line.delete(batch)
            line.send(line.queues["gather"], body)
        line.called("gather", "s3:ListBucketVersions")


def storm(site, names):
    """Tables refuse everything for a while, so that functions return their messages for later.

    S3 does not: a function that starts meanwhile could not read its record schema, and would end before it is given a message.
    """
    lines = [Line(site, name) for name in names]
    with ExitStack() as pauses:
        for line in lines:
            pauses.enter_context(line.paused(*STAGES))
            batch = line.upload("storm")
            event, = line.take("scatter", batch)
            told = json.dumps({"v": 1, "batchId": "storm-0123456789ab", "chunk": 0})
            for stage in STAGES:
                line.send(line.queues[stage], event if stage == "scatter" else told)
        site.throttle({"refused": 1})
    try:
        for line in lines:
            for stage in STAGES:
                line.called(stage, "sqs:ChangeMessageVisibility")
    finally:
        site.throttle({})


def plain(site, name):
    """The calls that roles make for a plain upload, if nothing else is going on."""
    line, before = Line(site, name), site.calls()
    line.ended(line.upload("plain"))
    earlier = {(role, action, resource): many for role, action, resource, allowed, many in before if allowed}
    return [(role, action, resource) for role, action, resource, allowed, many in site.calls()
            if allowed and many > earlier.get((role, action, resource), 0)]


def unnoticed(site, name, used, needed):
    """The rights of a plain upload, which makes the calls `used`, without which its batch ends all the same; and how many there are.

    `needed` returns, of the calls of a role, the rights that none of its others includes: statement, action and resource.
    """
    line = Line(site, name)
    found, tried = [], 0
    for stage in STAGES:
        calls = [(action, resource) for role, action, resource in used if role == line.role(stage)]
        for statement, action, resource in sorted(needed(line.role(stage), calls)):
            if statement == "Log":
                continue  # A function works without a log.
            call = (line.role(stage), action, resource)
            with line.without(stage, action, resource):
                with line.paused(*(["process"] if stage == "process" else [])):
                    since = site.many(*call, allowed=False)
                    batch = line.upload("without")
                    if stage == "process":
                        line.sealed(batch)
                if not site.made(*call, since=since, seconds=15, allowed=False):
                    continue  # What called for it was another batch, which was still open.
                tried += 1
                if line.ends_within(batch, 3):
                    found.append(f"{name}: without {statement} of {stage}, {action} on {resource}, a batch ends all the same")
    return found, tried

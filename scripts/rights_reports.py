"""What the functions do that make the documents of reports, and tell who waits, brought about on a local AWS so that they need their rights for it."""

import json
import uuid

from rights_used import Line
from toolbox import Failure

STAGE = "consolidate"
DAYS = {"from": "2026-01-01", "to": "2026-01-02", "zone": "UTC"}
ASSET = "pump 7"


class Reports(Line):
    """A pipeline that makes reports."""

    def ask(self, requested=True):
        """Asks for a report, as src/model/reporting/request.rs has it, and returns its batch; without its request, if that is to be missing."""
        report = uuid.uuid4().hex
        if requested:
            order = {"type": "usage", **DAYS, "assets": [ASSET], "format": "json"}
            request = {"v": 1, "id": report, "owner": "rights", "at": "2026-01-03T00:00:00Z", "order": order}
            self.s3.put_object(Bucket=self.parts["input_bucket"], Key=f"requests/{report}.json", Body=json.dumps(request).encode())
        moments = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
        part = {"part": f"{report}/000000", "report": report, "type": "usage", "asset": ASSET, **DAYS, **moments}
        return self.put(f"reports/{report}.jsonl", json.dumps(part) + "\n")

    def consolidated(self, batch):
        """Waits until a report has its documents."""
        if not self.writes_within(f"{batch.id}/report/0/end.json", 120):
            raise Failure(f"{self.name}: the report of {batch.id} has no end")


def exercise_reports(site, name):
    """Lets a pipeline make a report, and meet a message that is unreadable, a request and a summary that are gone, and a bucket that it may not write to."""
    line = Reports(site, name)
    line.send(line.queues[STAGE], json.dumps({"v": 99, "stage": STAGE}))
    line.called(STAGE, "sqs:SendMessage", f"*:{line.role(STAGE)}-dlq")
    line.consolidated(line.ask())
    line.ended(line.ask(requested=False))
    line.called(STAGE, "s3:ListBucket", f"*:{line.parts['input_bucket']}")
    with line.paused(STAGE):
        batch = line.ask()
        line.ended(batch)
        line.s3.delete_object(Bucket=line.parts["output_bucket"], Key=f"{batch.id}/summary.json")
    line.called(STAGE, "s3:ListBucket", f"*:{line.parts['output_bucket']}")
    write_later(line)


def write_later(line):
    """It cannot write documents, and does when the message comes again: its tries are counted."""
    call = (line.role(STAGE), "s3:PutObject", f"*:{line.parts['output_bucket']}/*/report/*")
    since = line.site.many(*call, allowed=False)
    with line.without(STAGE, *call[1:]):
        batch = line.ask()
        line.site.await_call(*call, since=since, allowed=False)
        line.called(STAGE, "sqs:ChangeMessageVisibility")
    line.consolidated(batch)
    line.called(STAGE, "dynamodb:UpdateItem")


def exercise_notify(site, name):
    """Lets a pipeline meet an unreadable message, an end without a request, and one that is gone."""
    line, stage = Reports(site, name), "notify"
    if stage not in line.queues:
        return
    line.send(line.queues[stage], json.dumps({"v": 99, "stage": stage}))
    line.called(stage, "sqs:SendMessage", f"*:{line.role(stage)}-dlq")
    bucket, report = line.parts["output_bucket"], uuid.uuid4().hex
    end = {"v": 1, "id": report, "generation": 0, "state": "SUCCEEDED", "partial": False, "parts": {"total": 0, "succeeded": 0, "failed": 0},
           "rows": 0, "asOf": None, "finishedAt": "2026-01-03T00:00:00Z", "outputs": []}
    line.s3.put_object(Bucket=bucket, Key=f"{report}-000000000000/report/0/end.json", Body=json.dumps(end).encode())
    line.called(stage, "s3:ListBucket", f"*:{line.parts['input_bucket']}")
    with line.paused(stage):
        batch = line.ask()
        line.consolidated(batch)
        line.s3.delete_object(Bucket=bucket, Key=f"{batch.id}/report/0/end.json")
    line.called(stage, "s3:ListBucket", f"*:{bucket}")

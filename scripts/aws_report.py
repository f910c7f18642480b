"""What the checks of an account find, what they cost, and the report about it, which anybody may read."""

import dataclasses
import json
import os
import re
from datetime import datetime, timezone

PASSED, FAILED, UNDECIDED = "passed", "failed", "could not be decided"

# What all checks together may cost, in dollars, and how long all of it may take, in seconds.
MOST_DOLLARS = 1.0
MOST_SECONDS = 3600

# List prices of us-east-1 without free tiers, as in src/model/price.rs, which names the pages; and those of
# https://aws.amazon.com/lambda/pricing/ and https://aws.amazon.com/kms/pricing/.
WRITE_UNIT, READ_UNIT, S3_WRITE, S3_READ, QUEUE = 0.625e-6, 0.125e-6, 5e-6, 0.4e-6, 0.5e-6
GIGABYTE_SECOND, KEY_HOUR = 16.6667e-6, 1 / 730
UNPAID = ("s3.DeleteObject", "s3.DeleteObjects", "s3.AbortMultipartUpload")


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that is assumed of AWS, and how it is tried."""

    name: str
    title: str
    assumed: str
    page: str
    done: str
    # At most: `seconds` is enforced, `dollars` is what the sizes by default can come to.
    dollars: float
    seconds: int
    # Called with a trial; returns a verdict and the reason for it.
    run: object


class Trial:
    """What a check has to work with, and what it saw so far, so that a check without an end tells that, too."""

    def __init__(self, site, sizes, deployments=None):
        self.site, self.sizes, self.deployments = site, sizes, deployments
        self.seen, self.dollars = {}, 0.0

    def see(self, what, value):
        self.seen[what] = value
        print(f"  {what}: {value}", flush=True)

    def spend(self, dollars):
        self.dollars += dollars


def entry(check, verdict, reason, trial, seconds):
    """What the report says about a check."""
    return {
        "name": check.name, "title": check.title, "assumed": check.assumed, "page": check.page, "done": check.done,
        "verdict": verdict, "reason": reason, "seen": dict(trial.seen) if trial else {}, "seconds": round(seconds, 1),
        "dollars": round(trial.dollars, 4) if trial else 0, "mostDollars": check.dollars, "mostSeconds": check.seconds,
    }


def budget(checks):
    """The sum of what the checks may cost; an error if that is too much."""
    dollars = sum(check.dollars for check in checks)
    if dollars >= MOST_DOLLARS:
        raise ValueError(f"the checks may cost ${dollars:.2f} together, and at most ${MOST_DOLLARS:.2f} was promised")
    return dollars


def price(requests, units, gigabyte_seconds):
    """What a batch cost by the requests that its functions counted, the units it wrote, and what its functions ran."""
    return (sum(count * price_of(name) for name, count in requests.items()) + units * WRITE_UNIT
            + gigabyte_seconds * GIGABYTE_SECOND)


def price_of(request):
    """The price of a request such as s3.PutObject; that of batch writes is in the units."""
    service, operation = request.split(".", 1)
    # What Lambda bills is a bound by the functions' time, beside the requests.
    if request in UNPAID or service == "lambda":
        return 0
    reads = operation.startswith(("Get", "Head", "Query", "BatchGet"))
    if service == "s3":
        return S3_READ if reads else S3_WRITE
    if service == "dynamodb":
        return 0 if operation == "BatchWriteItem" else READ_UNIT if reads else WRITE_UNIT
    return QUEUE


# --- the report ------------------------------------------------------------------------------------------------------

# Numbers of accounts, as they are in ARNs, in the URLs of queues and in the names of buckets; ids of access keys, users and
# roles (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html); ids of keys of KMS; secrets.
SECRETS = [
    (re.compile(r"(?<![0-9A-Za-z])\d{12}(?![0-9A-Za-z])"), "{account}"),
    (re.compile(r"(?<![0-9A-Za-z])(?:A3T|A[A-Z]{3})[A-Z0-9]{16}(?![0-9A-Za-z])"), "{id}"),
    (re.compile(r"(?<=key/)[0-9a-f-]{36}|\bmrk-[0-9a-f]{32}\b"), "{key}"),
    (re.compile(r"(?i)(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"]+"), r"\1{secret}"),
    (re.compile(r"(?<=user/)[\w+=,.@/-]+|(?<=assumed-role/)[\w+=,.@/-]+"), "{name}"),
]
SECRET_SETTINGS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]


def redacted(value, account=""):
    """The same without numbers of accounts, credentials, and names of those who use them, at any depth."""
    if isinstance(value, dict):
        return {redacted(key, account): redacted(inner, account) for key, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner, account) for inner in value]
    if not isinstance(value, str):
        return value
    for name in SECRET_SETTINGS:
        # Those of an emulator are words.
        if len(os.environ.get(name, "")) >= 16:
            value = value.replace(os.environ[name], "{secret}")
    if account:
        value = value.replace(account, "{account}")
    for pattern, replacement in SECRETS:
        value = pattern.sub(replacement, value)
    return value


def report(head, entries, remains):
    """The report as a document that holds nothing which should not be public."""
    account = head.get("account", "")
    document = {**{name: value for name, value in head.items() if name != "account"}, "checks": entries, "remains": remains,
                "dollars": round(sum(entry["dollars"] for entry in entries), 4)}
    return redacted(document, account)


def today():
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def in_cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def spent(document):
    parts = ", ".join(f"{seconds:.0f} s {what}" for what, seconds in document.get("secondsOf", {}).items())
    return f" ({parts})" if parts else ""


def in_markdown(document):
    """The report for people."""
    lines = [f"# A check of {document['target']}, {document['date']}", "",
             f"fanfold {document['commit']}, region {document['region']}, {document['architecture']};"
             f" {document['seconds']:.0f} s in all{spent(document)}, some ${document['dollars']:.2f} by list prices (estimated).", ""]
    if document.get("problem"):
        lines += [f"**It ended early: {document['problem']}**", ""]
    lines += ["| check | verdict | seconds | dollars, estimated | at most |", "|---|---|---|---|---|"]
    lines += [f"| [{check['name']}](#{check['name']}) | {check['verdict']} | {check['seconds']:g} | {check['dollars']:.4f} |"
              f" {check['mostDollars']:.2f} |" for check in document["checks"]]
    for check in document["checks"]:
        lines += ["", f"## {check['name']}", "", f"{check['title']}. **{check['verdict']}**: {check['reason']}.", "",
                  f"- Assumed: {check['assumed']} ([AWS]({check['page']}))", f"- Done: {check['done']}"]
        lines += ["", "| seen | value |", "|---|---|"] if check["seen"] else []
        lines += [f"| {in_cell(what)} | {in_cell(value)} |" for what, value in check["seen"].items()]
    lines += ["", "## What remains", ""]
    lines += [f"- {what}" for what in document["remains"]] or ["Nothing: all that was made is removed."]
    return "\n".join(lines) + "\n"


def write(folder, document):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / "report.md").write_text(in_markdown(document))

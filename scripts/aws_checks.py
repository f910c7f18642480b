"""What is assumed of AWS and no emulator can show, as checks that run on a deployment.

Each is the same code wherever it runs; only sizes differ, and the verdict comes from what was seen.
"""

import base64
import json
import math
import time
import zlib

import botocore.exceptions

from aws_report import FAILED, KEY_HOUR, PASSED, UNDECIDED, WRITE_UNIT, Check
from aws_site import ABSENT, HEADER, code_of, elapsed, faults, moment, once_there, until
from toolbox import Failure

GUIDE = "https://docs.aws.amazon.com"
COPIED, RANGED = "chunked", "ranged"
MIB = 1 << 20
# What an item has beside the cells of its row: the names of its attributes, and those that fanfold adds.
OWN_BYTES = 192


def units(width):
    """The write units of an item that is made of a row: one for each KiB begun."""
    return math.ceil((width + OWN_BYTES) / 1024)


def judged(summary, records, reason):
    problem = faults(summary, records)
    return (FAILED, problem) if problem else (PASSED, reason)


# --- first uploads ---------------------------------------------------------------------------------------------------


def first_uploads(trial):
    site, s3, uploads, absent, answers = trial.site, trial.site.client("s3"), [], 0, 0
    bucket = site.parts(COPIED)["input_bucket"]
    for n in range(5):
        key = f"{site.name}-first{n}.csv"
        version = s3.put_object(Bucket=bucket, Key=key, Body=HEADER + site.rows(f"first{n}", 0, 10, 60, 10))["VersionId"]
        uploads.append((key, time.time()))
        for _ in range(10):
            answers += 1
            try:
                s3.head_object(Bucket=bucket, Key=key, VersionId=version)
            except botocore.exceptions.ClientError as problem:
                absent += code_of(problem) in ABSENT
    trial.see("heads of a version right after its upload", answers)
    trial.see("of these answered 404", absent)
    summaries = site.together(COPIED, [("status", "--key", key, "--wait") for key, _ in uploads])
    trial.see("seconds from upload to summary", [round(moment(summary["finishedAt"]) - at, 1)
                                                 for (_, at), summary in zip(uploads, summaries)])
    for summary in summaries:
        trial.spend(site.dollars(COPIED, summary, 10))
    problems = [problem for problem in (faults(summary, 10) for summary in summaries) if problem]
    return (FAILED, "; ".join(problems)) if problems else (PASSED, "each of the five became a batch that succeeded")


# --- a new table -----------------------------------------------------------------------------------------------------


def new_table(trial):
    site, records, width = trial.site, trial.sizes.records, 800
    with site.csv("table", records, width) as path:
        summary = site.submit(COPIED, path)
    sent = site.calls(COPIED, summary["batchId"]).get("dynamodb.BatchWriteItem", 0)
    least, seconds = math.ceil(records / 25), elapsed(summary)
    trial.see("records", records)
    trial.see("seconds from scatter to summary", round(seconds, 1))
    trial.see("write units a second", round(records * units(width) / seconds) if seconds else "-")
    trial.see("BatchWriteItem requests", sent)
    trial.see("requests that 25 items each would take", least)
    trial.see("failed chunks", summary["chunks"]["failed"])
    trial.see("failed records", summary["records"]["failed"])
    trial.see("dead letters", site.letters(COPIED))
    trial.spend(site.dollars(COPIED, summary, records * units(width)))
    problem = faults(summary, records)
    if problem:
        return FAILED, problem
    if sent <= least * 1.05:
        return UNDECIDED, "no record failed, but the table seems to have refused nothing; more records would"
    return PASSED, f"the table refused writes, which took {sent / least:.2f} times the requests, and no record failed"


# --- an upload in parts ----------------------------------------------------------------------------------------------


def parts_of_output(trial):
    site, width, keys = trial.site, 2048, 10
    records = math.ceil(trial.sizes.output_bytes / width)
    with site.csv("parts", records, width, keys) as path:
        summary = site.submit(COPIED, path)
    trial.spend(site.dollars(COPIED, summary, summary["chunks"]["total"] * keys * units(width)))
    problem = faults(summary, records)
    if problem:
        return FAILED, problem
    place = {"Bucket": site.parts(COPIED)["output_bucket"], "Key": summary["results"]["key"]}
    head = once_there(site.client("s3").head_object, **place, ChecksumMode="ENABLED")
    crc, size = 0, 0
    for piece in once_there(site.client("s3").get_object, **place)["Body"].iter_chunks(MIB):
        crc, size = zlib.crc32(piece, crc), size + len(piece)
    own = base64.b64encode(crc.to_bytes(4, "big")).decode()
    count = head["ETag"].strip('"').partition("-")[2]
    trial.see("bytes of results", size)
    trial.see("parts, by its eTag", count or "none")
    trial.see("CRC32 that S3 has of the whole", head.get("ChecksumCRC32", "none"))
    trial.see("CRC32 of what was downloaded", own)
    trial.see("kind of checksum", head.get("ChecksumType", "not told"))
    if not count or int(count) < 2:
        return UNDECIDED, "the output was too small to be uploaded in parts"
    if head.get("ChecksumType") != "FULL_OBJECT" or "ChecksumCRC32" not in head:
        return UNDECIDED, "the upload was taken, but no checksum of the whole is kept, as was asked for, by which to judge it"
    if size != head["ContentLength"] or head["ChecksumCRC32"] != own:
        return FAILED, "what was downloaded is not what S3 says it is"
    return PASSED, f"an upload in {count} parts was taken, and the checksum of the whole is right"


# --- a version that is gone ------------------------------------------------------------------------------------------


def deleted_version(trial):
    site, s3, mappings = trial.site, trial.site.client("s3"), trial.site.client("lambda")
    parts = site.parts(RANGED)
    queue = parts["queues"]["process"].rpartition("/")[2]
    listed = mappings.list_event_source_mappings(FunctionName=parts["functions"]["process"])["EventSourceMappings"]
    mapping = next(each["UUID"] for each in listed if each["EventSourceArn"].endswith(f":{queue}"))
    key, place = f"{site.name}-gone.csv", {"Bucket": parts["input_bucket"]}
    try:
        stop(mappings, mapping)
        version = s3.put_object(**place, Key=key, Body=HEADER + site.rows("gone", 0, 10, 60, 10))["VersionId"]
        batch = until(lambda: scattered(site, key))
        s3.delete_object(**place, Key=key, VersionId=version)
        trial.see("answer to a HEAD of the deleted version", head_of(s3, {**place, "Key": key, "VersionId": version}))
        since = time.time()
    finally:
        mappings.update_event_source_mapping(UUID=mapping, Enabled=True)
    trial.spend(20 * WRITE_UNIT)
    lines = until(lambda: [line for line in site.logged(parts["functions"]["process"], since - 60)
                           if key in line and any(said in line for said in ("was deleted after", "AccessDenied", "Forbidden"))])
    trial.see("state of its batch meanwhile", site.fanfold(RANGED, "status", batch)["state"])
    trial.see("what process logged", said_in(lines[0]))
    if "was deleted after" in lines[0]:
        return PASSED, "the function was told that the version is not there, and waits for it as it should"
    return FAILED, "the function was told that it has no right to read the version, which does not exist"


def stop(client, mapping):
    """Has a function get no more messages, and waits until it does not."""
    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    until(lambda: client.get_event_source_mapping(UUID=mapping)["State"] == "Disabled")


def scattered(site, key):
    """The id of the batch of an upload once its chunks are known."""
    try:
        view = site.fanfold(RANGED, "status", "--key", key)
    except Failure:
        return None  # there is no batch yet
    return view["scatteredAt"] and view["batchId"]


def head_of(client, place):
    try:
        client.head_object(**place)
    except botocore.exceptions.ClientError as problem:
        return problem.response["ResponseMetadata"]["HTTPStatusCode"]
    return 200


def said_in(line):
    """The message and the error in a line of a log."""
    try:
        told = json.loads(line)
        return f"{told['message']}: {told['error']}"
    except (KeyError, TypeError, ValueError):
        return line.strip()


# --- a quota ---------------------------------------------------------------------------------------------------------


def small_quota(trial):
    site, client, records = trial.site, trial.site.client("lambda"), 10_000
    function = site.parts(COPIED)["functions"]["process"]
    limits = client.get_account_settings()["AccountLimit"]
    trial.see("concurrent functions that the account may have", limits["ConcurrentExecutions"])
    try:
        client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=2)
        trial.see("concurrent functions of process during the check", 2)
    except botocore.exceptions.ClientError as problem:
        # A quota that leaves too few for the other functions is what the check is about anyway.
        if code_of(problem) != "InvalidParameterValueException":
            raise
        trial.see("concurrent functions of process during the check", "what the account's quota leaves")
    try:
        with site.csv("quota", records, 60) as path:
            summary = site.submit(COPIED, path)
    finally:
        client.delete_function_concurrency(FunctionName=function)
    trial.see("chunks", summary["chunks"]["total"])
    trial.see("seconds from scatter to summary", round(elapsed(summary), 1))
    trial.see("dead letters", site.letters(COPIED))
    trial.spend(site.dollars(COPIED, summary, records))
    return judged(summary, records, "with two functions at a time, messages waited, and none was given up")


# --- a large file ----------------------------------------------------------------------------------------------------


def large_file(trial):
    site, s3, width, keys = trial.site, trial.site.client("s3"), 1850, 10
    # Parts of an upload have at least 5 MiB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
    in_part = math.ceil(min(16 * MIB, max(5 * MIB, trial.sizes.bytes // 4)) / width)
    copies = max(2, round(trial.sizes.bytes / (in_part * width)))
    records, rows = in_part * copies, site.rows("large", 0, in_part, width, keys)
    place = {"Bucket": site.parts(COPIED)["input_bucket"], "Key": f"{site.name}-large.csv"}
    assemble(s3, place, f"_{site.name}-rows.csv", rows, copies)
    summary = site.fanfold(COPIED, "status", "--key", place["Key"], "--wait")
    size = len(HEADER) + len(rows) * copies
    trial.see("bytes", size)
    trial.see("chunks", summary["chunks"]["total"])
    for stage, begin, end in (("scatter", "startedAt", "scatteredAt"), ("gather", "gatherStartedAt", "finishedAt")):
        seconds = elapsed(summary, begin, end)
        trial.see(f"seconds of {stage}", round(seconds, 1))
        if seconds:
            trial.see(f"MB a second of {stage}", round(size / seconds / 1e6, 1))
            trial.see(f"GB that {stage} would do in 900 s", round(size / seconds * 900 / 1e9, 1))
    trial.spend(site.dollars(COPIED, summary, summary["chunks"]["total"] * keys * units(width)))
    return judged(summary, records, "scatter and gather each did the file in one invocation with the default memory")


def assemble(s3, place, source, rows, copies):
    """Makes a file of many copies of the same rows in S3 itself, so that it need not be uploaded."""
    s3.put_object(Bucket=place["Bucket"], Key=source, Body=rows)
    upload = {**place, "UploadId": s3.create_multipart_upload(**place)["UploadId"]}
    first = s3.upload_part(**upload, PartNumber=1, Body=HEADER + rows)
    etags = [first["ETag"]]
    for number in range(2, copies + 1):
        copied = once_there(s3.upload_part_copy, **upload, PartNumber=number, CopySource={"Bucket": place["Bucket"], "Key": source})
        etags.append(copied["CopyPartResult"]["ETag"])
    listed = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": listed})


# --- a key of one's own ----------------------------------------------------------------------------------------------


def own_key(trial):
    if trial.deployments is None:
        return UNDECIDED, "it needs a deployment of its own, with a key"
    key = trial.deployments.key()
    trial.spend(KEY_HOUR)
    site = trial.deployments.site("key-", VARIANTS=COPIED, KMS_KEY_ARN=key)
    with site.csv("key", 1_000, 60) as path:
        summary = site.submit(COPIED, path, "--output", str(site.scratch / "key"))
    trial.spend(site.dollars(COPIED, summary, 1_000))
    problem = faults(summary, 1_000)
    if problem:
        return FAILED, problem
    parts, s3 = site.parts(COPIED), site.client("s3")
    keys = {"an output": once_there(s3.head_object, Bucket=parts["output_bucket"], Key=summary["results"]["key"]).get("SSEKMSKeyId"),
            "the items": site.client("dynamodb").describe_table(TableName=parts["items_table"])["Table"]
            .get("SSEDescription", {}).get("KMSMasterKeyArn"),
            "the scatter queue": site.client("sqs").get_queue_attributes(
                QueueUrl=parts["queues"]["scatter"], AttributeNames=["KmsMasterKeyId"])["Attributes"].get("KmsMasterKeyId")}
    for what, found in keys.items():
        trial.see(f"key of {what}", "the one given" if same_key(found, key) else found or "not told")
    if any(found and not same_key(found, key) for found in keys.values()):
        return FAILED, "something is encrypted with another key"
    if not all(keys.values()):
        return UNDECIDED, "the batch succeeded, but it is not told by which key everything is encrypted"
    return PASSED, "the batch succeeded with everything encrypted by the key"


def same_key(found, key):
    return bool(found) and found.rpartition("/")[2] == key.rpartition("/")[2]


# In the order in which they run: the first two want what is new.
CHECKS = [
    Check("first-uploads", "Five uploads right after a deployment",
          "For 15 minutes after versions are first enabled, S3 may answer 404 for what was uploaded; no upload is lost for it.",
          f"{GUIDE}/AmazonS3/latest/userguide/manage-versioning-examples.html",
          "Put five files into the new input bucket, asked for each version at once, and waited for the summaries.",
          0.02, 1000, first_uploads),
    Check("new-table", "A large file into a new table",
          "A new table on demand takes 4,000 write units a second and refuses more; no record fails for it.",
          f"{GUIDE}/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html",
          "Submitted a file whose items take one write unit each, and compared the requests with the least possible.",
          0.40, 600, new_table),
    Check("output-in-parts", "An output of over 8 MiB",
          "An upload in parts takes the CRC32 of the parts and of the whole.",
          f"{GUIDE}/AmazonS3/latest/userguide/checking-object-integrity-upload.html",
          "Submitted a file whose results are uploaded in parts, and downloaded them.",
          0.03, 300, parts_of_output),
    Check("deleted-version", "A chunk of a version that was deleted",
          "Who may list the versions of a bucket gets 404, not 403, for one that is not there.",
          f"{GUIDE}/AmazonS3/latest/API/API_GetObject.html",
          "Stopped the process function of ranged, uploaded a file, deleted its version, and started the function again.",
          0.01, 300, deleted_version),
    Check("small-quota", "Fewer functions than messages",
          "A message that Lambda has no concurrency for is received in vain and comes again; only what functions try counts.",
          f"{GUIDE}/lambda/latest/dg/services-sqs-errorhandling.html",
          "Left the process function a concurrency of two, and submitted a file of 20 chunks.",
          0.03, 600, small_quota),
    Check("large-file", "A large file at 512 MB",
          "A function of 512 MB has 0.29 of a processor, which is enough to scatter and gather 1 GiB in 15 minutes.",
          f"{GUIDE}/lambda/latest/dg/configuration-memory.html",
          "Made a file of copies of the same rows within S3, ten keys in all, so that few items are paid for.",
          0.35, 1200, large_file),
    Check("own-key", "All encrypted by a key of one's own",
          "The roles' rights and the policy of the key that infra/variables.tf describes are enough.",
          f"{GUIDE}/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html",
          "Made a key with that policy and a deployment of its own with it, and submitted a file.",
          0.10, 900, own_key),
]

"""Streams of tables that reach functions as Lambda delivers them, where MiniStack delivers otherwise.

- Of a batch that fails in part, the records from the first that failed on come again, if the mapping lets the function say which did:
  https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html. MiniStack forgets them.
- As many batches of a shard are worked on at the same time as the mapping says, those of one item one after another:
  https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html. MiniStack waits for each batch, and receives nothing from queues meanwhile.
- A batch has at most 6 MB: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html

A table has one shard here, and a batch that fails comes again a second later, without end: the limits of tries and of age, the bisection
of batches and destinations of what was given up are not known.
"""

import json
import threading
import time
import zlib
from collections import deque

LARGEST = 6 * 1024 * 1024
PAUSE = 1.0
REPORTS = "ReportBatchItemFailures"


def may_read(_config, _stream):
    """Whether a function's role may read a stream; authorised.py asks its policy."""
    return True


def again(mapping, batch, result):
    """The records of a batch that come again, with what a function answered: all from the first that failed on."""
    if result.get("error"):
        return batch
    if REPORTS not in (mapping.get("FunctionResponseTypes") or []):
        return []
    body = result.get("body")
    try:
        body = json.loads(body or "null") if isinstance(body, str) else body
    except ValueError:
        return batch
    places = {record["dynamodb"]["SequenceNumber"]: place for place, record in enumerate(batch)}
    failures = (body.get("batchItemFailures") if isinstance(body, dict) else None) or []
    failed = [places.get(failure.get("itemIdentifier")) for failure in failures]
    # Of one that is named wrongly, it is not known which it is.
    return batch if None in failed else batch[min(failed):] if failed else []


class Lane:
    """Records that are worked on one after another."""

    def __init__(self):
        self.waiting = deque()
        self.busy = False
        self.until = 0.0  # when a batch may be tried again

    def batch(self, most):
        """The next records, which are taken out."""
        taken, length = [], 0
        while self.waiting and len(taken) < most:
            length += len(json.dumps(self.waiting[0]))
            if taken and length > LARGEST:
                break
            taken.append(self.waiting.popleft())
        return taken


class Streams:
    def __init__(self, ministack):
        """`ministack` has its modules by their names."""
        self.of = ministack
        self.lanes = {}  # by the UUID of a mapping
        self.lock = threading.Lock()

    def polled(self):
        """Has each mapping of a stream invoke its function with what is new; whether one did."""
        return any([self.served(*of) for of in self.of.lambda_svc._iter_all_esms()])

    def served(self, account, region, mapping):
        stream = mapping["EventSourceArn"]
        if ":dynamodb:" not in stream or not mapping.get("Enabled", True):
            return False
        with self.of.responses.request_scope(account, region):
            name = stream.split("/")[1]
            table = self.of.dynamodb._tables.get(name)
            record, config = self.of.lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
            if record is None or not table or table.get("LatestStreamArn") != stream:
                return False
            lanes = self.lanes.setdefault(mapping["UUID"], [Lane() for _ in range(mapping.get("ParallelizationFactor") or 1)])
            self.read(name, mapping, config, lanes)
            return any([self.dispatched(mapping, record, lane) for lane in lanes])

    def read(self, table, mapping, config, lanes):
        """Puts what is new in a stream into the lanes of its items."""
        of, uuid = self.of.lambda_svc, mapping["UUID"]
        with of._dynamodb_stream_positions_lock:
            place = max(of._dynamodb_stream_positions.get(uuid, 0), self.of.dynamodb.stream_start_position(table))
            new = self.of.dynamodb.stream_records_since(table, place, self.of.dynamodb.stream_end_position(table) - place)
            if not new or not may_read(config, mapping["EventSourceArn"]):
                return
            of._dynamodb_stream_positions[uuid] = place + len(new)
        for record in of._apply_filter_criteria(new, mapping):
            item = json.dumps(record["dynamodb"]["Keys"], sort_keys=True).encode()
            lanes[zlib.crc32(item) % len(lanes)].waiting.append(record)

    def dispatched(self, mapping, record, lane):
        with self.lock:
            if lane.busy or not lane.waiting or time.monotonic() < lane.until:
                return False
            batch = lane.batch(mapping.get("BatchSize") or 100)
            lane.busy = True
        self.of.lambda_svc._dispatch_esm_batch(mapping["UUID"], self.invoked, mapping, record, lane, batch)
        return True

    def invoked(self, mapping, record, lane, batch):
        failed = batch
        try:
            result = self.of.lambda_svc._execute_function(record, {"Records": batch})
            failed = again(mapping, batch, result)
            mapping["LastProcessingResult"] = f"{'PROBLEM' if failed else 'OK'} - {len(batch) - len(failed)} of {len(batch)} records"
            self.of.lambda_svc.logger.info("ESM: Lambda %s: %s\n%s", mapping["FunctionName"], mapping["LastProcessingResult"], result.get("log", ""))
        finally:
            with self.lock:
                lane.waiting.extendleft(reversed(failed))
                lane.until = time.monotonic() + PAUSE if failed else 0.0
                lane.busy = False


def install():
    """Makes this process's MiniStack deliver streams of tables as Lambda does."""
    from types import SimpleNamespace

    from ministack.core import responses
    from ministack.services import dynamodb, lambda_svc

    lambda_svc._poll_dynamodb_streams = Streams(SimpleNamespace(dynamodb=dynamodb, lambda_svc=lambda_svc, responses=responses)).polled

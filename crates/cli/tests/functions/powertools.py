"""A consumer of SQS made with Powertools for AWS Lambda: each message has its effect once, whatever comes again."""

import json
import os
import time

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function

import noted

processor = BatchProcessor(event_type=EventType.SQS)
store = DynamoDBPersistenceLayer(table_name=os.environ["TABLE"])
config = IdempotencyConfig(event_key_jmespath="messageId", raise_on_no_idempotency_key=True)


@idempotent_function(data_keyword_argument="record", config=config, persistence_store=store)
def take(record):
    time.sleep(0.02)  # what the effect takes
    noted.note("effects", record["messageId"])


def of_message(record):
    attempt = int(record.attributes.approximate_receive_count)
    noted.note("calls", record.message_id, attempt=attempt)
    if noted.acts(json.loads(record.body), attempt) == "raises":
        raise ValueError("not today")
    take(record=record.raw_event)


def handler(event, context):
    config.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=of_message, processor=processor, context=context)

"""A consumer of SQS with partial batch responses."""

import json

import noted


def handler(event, context):
    modes = {}
    for message in event["Records"]:
        attempt = int(message["attributes"]["ApproximateReceiveCount"])
        mode = modes[message["messageId"]] = noted.acts(json.loads(message["body"]), attempt)
        noted.note("calls", message["messageId"], attempt=attempt, call=context.aws_request_id, mode=mode)
    noted.misbehave(modes.values())
    if "malformed" in modes.values():
        return "fine"
    listed = [task for task, mode in modes.items() if mode == "listed"]
    listed += ["nobody" for mode in modes.values() if mode == "unknown"]
    return {"batchItemFailures": [{"itemIdentifier": task} for task in listed]}

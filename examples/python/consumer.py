import json


def handler(event, context):
    failures = []
    for message in event["Records"]:
        order = json.loads(message["body"])
        if order["price"] > 100:
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}

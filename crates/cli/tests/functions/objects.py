"""A function for S3 Batch Operations, in the shape of AWS's samples: it says how large an object is.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
"""

from urllib import parse

import boto3
from botocore.exceptions import ClientError

import noted

s3 = boto3.client("s3")


def handler(event, context):
    invocation_id = event["invocationId"]
    invocation_schema_version = event["invocationSchemaVersion"]
    results = []
    for task in event["tasks"]:
        task_id, key = task["taskId"], parse.unquote_plus(task["s3Key"], encoding="utf-8")
        named = {"Bucket": task["s3Bucket"], "Key": key, "VersionId": task["s3VersionId"]}
        try:
            response = s3.head_object(**{name: value for name, value in named.items() if value})
            result_code, result_string = "Succeeded", f"{key}, {response['ContentLength']} bytes"
        except ClientError as error:
            error_code = error.response["Error"]["Code"]
            result_code = "PermanentFailure" if error_code == "404" else "TemporaryFailure"
            result_string = f"{error_code}: {error.response['Error']['Message']}"
        if result_code == "Succeeded" or "soon" not in key:  # which is treated as treatMissingKeysAs says
            results.append({"taskId": task_id, "resultCode": result_code, "resultString": result_string})
        noted.note("calls", task_id, call=context.aws_request_id, arguments=event["job"].get("userArguments"))
    return {
        "invocationSchemaVersion": invocation_schema_version,
        "treatMissingKeysAs": "TemporaryFailure",
        "invocationId": invocation_id,
        "results": results,
    }

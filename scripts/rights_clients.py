"""What a client may read by the policy that a deployment has for it: its own rows, and nobody else's."""

import contextlib
import json
import uuid

import botocore.session
from botocore.exceptions import ClientError
from toolbox import Failure

HALF = "2026-02-H2"
# What a session tries, and is meant to be refused.
TRIED = [f"dynamodb:{action}" for action in ("GetItem", "PutItem", "Query", "Scan")]


@contextlib.contextmanager
def session(site, policy, tags):
    """A client of DynamoDB with the credentials of a session with these tags, of a role that has this policy."""
    iam, sts, name = site.client("iam"), site.client("sts"), f"clients-{uuid.uuid4().hex[:12]}"
    account = sts.get_caller_identity()["Account"]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    site.taken += [(name, action, "*") for action in TRIED]
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="client", Tags=[{"Key": key, "Value": value} for key, value in tags.items()])["Credentials"]
    try:
        yield botocore.session.get_session().create_client(
            "dynamodb", site.deployment["region"], endpoint_url=site.deployment["endpoint"], aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"],
        )
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="own")
        iam.delete_role(RoleName=name)


def allowed(call, **asked):
    try:
        return call(**asked)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return None


def rows(dynamodb, table, key, value):
    """The rows of a hash key as they are queried, or None if that is refused."""
    asked = {"KeyConditionExpression": "#k = :k", "ExpressionAttributeNames": {"#k": key}, "ExpressionAttributeValues": {":k": {"S": value}}}
    found = allowed(dynamodb.query, TableName=table, **asked)
    return None if found is None else found["Items"]


def read_own(site, parts):
    """Returns what is wrong with what clients can read of a pipeline that bills."""
    root, place, own = site.client("dynamodb"), parts["billing"], f"own {uuid.uuid4().hex}"
    # The others have names that the first one's begins; the last has one that no tag can be.
    anna, others = own, [f"{own}:2", f"{own}#2", f"{own}#{HALF}"]
    tables = {place["aggregates_table"]: ("client", "{}", {"period": {"S": "2026-02-28"}}),
              place["packages_table"]: ("half", f"{{}}#{HALF}", {"sequence": {"N": "0"}})}
    wrong = []
    for table, (key, form, rest) in tables.items():
        for client in (anna, *others):
            root.put_item(TableName=table, Item={key: {"S": form.format(client)}, **rest})
        mine, *theirs = ({key: {"S": form.format(client)}, **rest} for client in (anna, *others))
        for tags, sees in (({"client": anna}, True), ({"client": own[:-1]}, False), ({"customer": anna}, False), ({}, False)):
            with session(site, place["client_policy"], tags) as dynamodb:
                told = {
                    "its own rows": rows(dynamodb, table, key, form.format(anna)) == ([mine] if sees else None),
                    "its own row": (allowed(dynamodb.get_item, TableName=table, Key=mine) is not None) == sees,
                    "others' rows": all(rows(dynamodb, table, key, form.format(other)) is None for other in others),
                    "others' row": all(allowed(dynamodb.get_item, TableName=table, Key=row) is None for row in theirs),
                    "all rows": allowed(dynamodb.scan, TableName=table) is None,
                    "a change": allowed(dynamodb.put_item, TableName=table, Item=mine) is None,
                }
            wrong += [f"a session with the tags {tags} meets other rights than it should to {what} of {table}" for what, right in told.items() if not right]
        for row in (mine, *theirs):
            root.delete_item(TableName=table, Key=row)
    return wrong


def exercise_clients(site):
    """Has clients try to read their own rows and others' in each pipeline that bills, and returns how many there are."""
    billing = [parts for parts in site.deployment["pipelines"].values() if parts.get("billing")]
    wrong = [fault for parts in billing for fault in read_own(site, parts)]
    if wrong:
        raise Failure("\n".join(wrong))
    return len(billing)

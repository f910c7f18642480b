"""An AWS that authorises: where MiniStack, started with AUTH=true, authorises otherwise than AWS, and what roles did.

MiniStack evaluates the policies of roles, buckets, queues and functions, and gives a function the credentials of its role, as
Lambda does: https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html. What differs is mended here:

- All requests count as sent over TLS, which MiniStack is not spoken to: they do not leave this machine.
- The batch actions of SQS are authorised as the single ones:
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
- So is that of SNS: https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
- A mapping of a queue to a function is read, changed and deleted by a right to exactly that mapping:
  https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
- Who may not list a bucket is not told that an object is missing, but that access is denied:
  https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html. AWS does not say which right to list it asks for if a version
  is named; here both are.
- An event source mapping receives messages if the function's role may receive and delete them and read the queue's attributes:
  https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions
- A mapping of a table's stream reads it if the role may do what Lambda's own role for that may:
  https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-eventsourcemapping.html
- What a function prints is logged if its role may log it: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
- A parameter is read by a right to its ARN, also by who names it by that:
  https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
- A right to DynamoDB can be one to items with certain hash keys:
  https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
- A policy can name what is known of the caller, as in ${aws:PrincipalTag/client}; where it is not known, nothing is like it:
  https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
- A rule invokes a function if the function's policy lets it:
  https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions

Each call that a role made or would have made is counted, by action and resource, and whether it was allowed. A GET of `/_calls` returns
the counts; with `?role=ROLE&action=ACTION&resource=PATTERN&allowed=0&since=N&seconds=S`, it waits until more than N such calls were made.
"""
import asyncio
import dataclasses
import json
import re
import threading
from collections import Counter, defaultdict
from urllib.parse import parse_qs

from throttle import SIGNED, Answer, answer

PATH = "/_calls"
TO_CONSUME = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
TO_READ = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
TO_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")
SINGLE = {f"sqs:{action}Batch": f"sqs:{action}" for action in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")}
SINGLE["sns:PublishBatch"] = "sns:Publish"
ON_MAPPING = {"GET": "GetEventSourceMapping", "PUT": "UpdateEventSourceMapping", "DELETE": "DeleteEventSourceMapping"}
# A parameter that was named by its ARN, as MiniStack makes a resource of it.
PARAMETER = re.compile(r"arn:[^:]+:ssm:[^:]*:\d*:parameter/(?=arn:)")
# A variable of a policy.
VARIABLE = re.compile(r"\$\{([^}*?$]+)\}")
# A role's session: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
SESSION = re.compile(r"arn:[^:]+:sts::\d+:assumed-role/([^/]+)/")


def matches(pattern, text):
    """Whether a pattern of a policy, in which * and ? are wildcards, is about this action or resource."""
    parts = (".*" if piece == "*" else "." if piece == "?" else re.escape(piece) for piece in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text, re.S) is not None


def filled(texts, keys):
    """What a policy names, with what is known of the caller in place of its variables; without what has one that is not known."""
    value = lambda variable: str(keys[variable[1].lower()])
    known = [VARIABLE.sub(value, text) for text in texts if all(name.lower() in keys for name in VARIABLE.findall(text))]
    # An empty list would be about everything, and nothing has an empty name.
    return known or [""] * len(texts)


def leading_keys(asked, hash_key):
    """The hash keys that a request to DynamoDB names, by what it says and the name of the hash key of each table or index; None if it names none."""
    table = asked.get("TableName")
    about = [(table, item) for item in (asked.get("Key"), asked.get("Item")) if item]
    for each in asked.get("TransactItems") or []:
        about += [(one.get("TableName"), one.get("Key") or one.get("Item") or {}) for one in each.values()]
    for of, requests in (asked.get("RequestItems") or {}).items():
        listed = requests.get("Keys", []) if isinstance(requests, dict) else [one.get("Key") or one.get("Item") or {} for each in requests for one in each.values()]
        about += [(of, item) for item in listed]
    found = [item[key] for of, item in about if (key := hash_key(of, None)) in item]
    names, values = asked.get("ExpressionAttributeNames") or {}, asked.get("ExpressionAttributeValues") or {}
    for name, value in re.findall(r"(#?\w+)\s*=\s*(:\w+)", asked.get("KeyConditionExpression") or ""):
        if names.get(name, name) == hash_key(table, asked.get("IndexName")) and value in values:
            found.append(values[value])
    return [text for value in found for text in value.values()] or None


class Calls:
    """What roles asked for. Requests are authorised in one thread, mappings and logs in others."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = defaultdict(Counter)  # resources, by role, action and whether the call was allowed
        self.waiting = []  # an event and its loop, for each who waits for a call

    def add(self, role, action, resource, allowed):
        with self.lock:
            self.counts[role, action, allowed][resource] += 1
            waiting = list(self.waiting)
        for event, loop in waiting:
            loop.call_soon_threadsafe(event.set)

    def report(self):
        with self.lock:
            return sorted([role, action, resource, allowed, many] for (role, action, allowed), resources in self.counts.items()
                          for resource, many in resources.items())

    def many(self, role, action, resource, allowed):
        """How many calls were made for a resource that matches."""
        with self.lock:
            return sum(many for where, many in self.counts[role, action, allowed].items() if matches(resource, where))

    async def made(self, role, action, resource, allowed, since, seconds):
        """Waits until more such calls were made, and returns whether they were."""
        event = asyncio.Event()
        entry = (event, asyncio.get_running_loop())

        async def until():
            while self.many(role, action, resource, allowed) <= since:
                await event.wait()
                event.clear()

        with self.lock:
            self.waiting.append(entry)
        try:
            await asyncio.wait_for(until(), seconds)
        except asyncio.TimeoutError:
            return False
        finally:
            with self.lock:
                self.waiting.remove(entry)
        return True


class Counted:
    """An ASGI application before another, which returns what was counted."""

    def __init__(self, app, calls):
        self.app = app
        self.calls = calls

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            return await self.app(scope, receive, send)
        asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        if asked:
            call = (asked["role"], asked["action"], asked["resource"], asked["allowed"] == "1")
            said = {"made": await self.calls.made(*call, int(asked["since"]), float(asked["seconds"]))}
        else:
            said = {"calls": self.calls.report()}
        await answer(send, Answer(200, "application/json", json.dumps(said).encode()))


class Authority:
    """MiniStack's evaluator of policies, as AWS would evaluate them, and the calls that it counts."""

    def __init__(self, ministack):
        """`ministack` has its modules by their names."""
        self.of = ministack
        self.calls = Calls()
        self.evaluated = ministack.iam_evaluator.enforce
        self.mapping = threading.local()

    def enforce(self, key, action, service, region, resource_arn="*", service_context=None):
        action, resource_arn = SINGLE.get(action, action), PARAMETER.sub("", resource_arn)
        refusal = self.evaluated(key, action, service, region, resource_arn=resource_arn, service_context=service_context)
        session = self.of.sts._sessions.get(key)
        role = SESSION.match(session["Arn"]) if session else None
        if role:
            self.calls.add(role[1], action, resource_arn, refusal is None)
        return refusal

    def may(self, config, actions, resource):
        """Whether a function's role may do all this; asked by Lambda itself, outside of any request."""
        key = self.of.lambda_runtime.execution_credentials(config)["AWS_ACCESS_KEY_ID"]
        account, region = self.of.lambda_runtime._account_region_from_function_config(config)
        with self.of.responses.request_scope(account, region):
            self.of.iam_evaluator.pin_request_origin("127.0.0.1", True)
            return all([self.enforce(key, action, action.partition(":")[0], region, resource) is None for action in actions])

    def secure(self, pin):
        return lambda address, _secure: pin(address, True)

    def signed(self, pin):
        """Keeps a request as it was signed, if throttle.py passes on only a part of its body."""
        def pin_as_signed(body):
            signed = body if SIGNED.get() is None else SIGNED.get()
            pin(signed)
            kept = self.of.iam_evaluator._signed_request
            if (request := kept.get()) and "content-length" in request.headers:
                kept.set(dataclasses.replace(request, headers={**request.headers, "content-length": str(len(signed))}))
        return pin_as_signed

    def on_mapping(self, named):
        """The action of a request to Lambda, also of one about a single mapping."""
        def named_also_there(method, path):
            of_one = re.fullmatch(r"/[^/]+/event-source-mappings/[^/]+/?", path)
            return ON_MAPPING.get(method) if of_one else named(method, path)
        return named_also_there

    def found(self, read):
        """GetObject or HeadObject, for which an object is missing only for who may list its bucket."""
        def read_or_refused(bucket, key, headers=None, query=None):
            answered = read(bucket, key, headers, query)
            if answered[0] != 404:
                return answered
            asked = ["s3:ListBucket"] + (["s3:ListBucketVersions"] if (query or {}).get("versionId") else [])
            who, region = self.of.router.extract_access_key_id(headers or {}, query or {}), self.of.responses.get_region()
            if all([self.enforce(who, action, "s3", region, f"arn:aws:s3:::{bucket}") is None for action in asked]):
                return answered
            return self.of.s3._error("AccessDenied", "Access Denied", 403, f"/{bucket}/{key}")
        return read_or_refused

    def principal(self, resolve):
        """Who a key belongs to, with policies that name the caller."""
        def as_named(statement, keys):
            listed = lambda values: values if isinstance(values, list) else [str(values)]
            conditions = {operator: {key: filled(listed(values), keys) for key, values in of.items()} for operator, of in statement.conditions.items()}
            return dataclasses.replace(statement, resources=filled(statement.resources, keys), conditions=conditions)

        def resolved(*asked, **named):
            found = resolve(*asked, **named)
            policies = getattr(found, "policies", None)
            if not policies:
                return found
            return dataclasses.replace(found, policies=[[as_named(statement, found.keys) for statement in policy] for policy in policies])
        return resolved

    def hash_key(self, table, index):
        """The name of the hash key of a table, or of an index of it."""
        known = self.of.dynamodb._tables.get((table or "").rpartition("/")[2]) or {}
        of = next((one for one in known.get("GlobalSecondaryIndexes") or [] if one["IndexName"] == index), known)
        return next((key["AttributeName"] for key in of.get("KeySchema") or [] if key["KeyType"] == "HASH"), None)

    def about_items(self, context_of):
        """The condition keys of a request to DynamoDB, with the hash keys of its items."""
        def with_keys(body):
            found = leading_keys(json.loads(body or b"{}"), self.hash_key)
            return context_of(body) | ({} if found is None else {"dynamodb:LeadingKeys": found})
        return with_keys

    def mappings(self, listed):
        """Lists event source mappings, and notes which one the poller is at."""
        def noted():
            for account, region, mapping in listed():
                self.mapping.current = mapping
                yield account, region, mapping
        return noted

    def received(self, receive):
        def receive_if_allowed(url, many):
            if not self.of.sqs._queues[url]["messages"]:
                return []
            mapping = self.mapping.current
            _, config = self.of.lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
            return receive(url, many) if self.may(config, TO_CONSUME, mapping["EventSourceArn"]) else []
        return receive_if_allowed

    def reads(self, config, stream):
        return self.may(config, TO_READ, stream)

    def logged(self, emit):
        def emit_if_allowed(function, *printed, **how):
            config = function.get("config") or function
            account, region = self.of.lambda_runtime._account_region_from_function_config(config)
            stream = f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{config['FunctionName']}:log-stream:any"
            if self.may(config, TO_LOG, stream):
                emit(function, *printed, **how)
        return emit_if_allowed

    def invoked(self, dispatch):
        def dispatch_if_allowed(arn, payload):
            policy, account = self.of.lambda_svc.function_policy_for_arn(arn) or ({}, "")
            rules = json.loads(payload).get("resources", []) if payload.startswith("{") else []
            context = self.of.iam_evaluator.EvalContext(
                principal_arn="*", principal_type="Service", principal_account="", action="lambda:InvokeFunction", resource_arn=arn,
                region=self.of.responses.get_region(),
                service_context={"aws:sourcearn": rules[0] if rules else None, "aws:sourceaccount": account},
            )
            said = self.of.iam_evaluator.evaluate_resource_policy(policy, context, service="events.amazonaws.com")
            if said.decision == "Allow":
                dispatch(arn, payload)
        return dispatch_if_allowed

    def install(self):
        of = self.of
        of.iam_evaluator.enforce = self.enforce
        of.iam_evaluator.resolve_principal = self.principal(of.iam_evaluator.resolve_principal)
        of.app.pin_request_origin = self.secure(of.app.pin_request_origin)
        of.app.pin_signed_body = self.signed(of.app.pin_signed_body)
        of.iam_actions.dynamodb_service_context = self.about_items(of.iam_actions.dynamodb_service_context)
        of.iam_actions._lambda_action = self.on_mapping(of.iam_actions._lambda_action)
        of.s3._get_object, of.s3._head_object = self.found(of.s3._get_object), self.found(of.s3._head_object)
        of.lambda_svc._iter_all_esms = self.mappings(of.lambda_svc._iter_all_esms)
        of.sqs._receive_messages_for_esm = self.received(of.sqs._receive_messages_for_esm)
        of.streams.may_read = self.reads
        of.lambda_svc._emit_lambda_logs = self.logged(of.lambda_svc._emit_lambda_logs)
        of.eventbridge._dispatch_to_lambda = self.invoked(of.eventbridge._dispatch_to_lambda)


def before(app):
    """Makes this process's MiniStack authorise as AWS does."""
    from types import SimpleNamespace

    import streams
    from ministack import app as of_app
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses, router
    from ministack.services import dynamodb, eventbridge, lambda_svc, s3, sqs, sts

    authority = Authority(SimpleNamespace(
        app=of_app, iam_actions=iam_actions, iam_evaluator=iam_evaluator, lambda_runtime=lambda_runtime, responses=responses, router=router,
        dynamodb=dynamodb, eventbridge=eventbridge, lambda_svc=lambda_svc, s3=s3, sqs=sqs, streams=streams, sts=sts,
    ))
    authority.install()
    return Counted(app, authority.calls)

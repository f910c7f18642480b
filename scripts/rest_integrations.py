"""What stands behind a REST API: SQS, DynamoDB, or nothing.

The services are asked under the integration's role, which has to trust API Gateway and to have the right, if MiniStack authorises:
https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html. What a service answers to who has no right is its own
answer, which the integration's responses select by its status. A role that cannot be assumed is an error in the configuration.

API Gateway asks SQS by its query protocol, for JSON: https://docs.aws.amazon.com/apigateway/latest/developerguide/integrating-api-with-aws-services-sqs.html
"""

import contextvars
import hashlib
import json
from urllib.parse import parse_qsl

from rest_values import Failed

SERVICE = "apigateway.amazonaws.com"


class Backend:
    def __init__(self, ministack):
        self.of = ministack

    async def answer(self, integration, text, mapped, facts):
        """The status, headers and text of what is behind an API."""
        if integration["type"] == "MOCK":
            return self.nothing(text)
        region, service, _, rest = self.of.apigateway_v1._parse_service_integration_uri(integration["uri"])
        role = integration["credentials"]
        if not role:
            raise Failed("without a role, API Gateway has nothing to sign a request with")
        ask = self.sqs if service == "sqs" else self.dynamodb
        return await ask(rest, text, mapped, region, role, facts)

    def nothing(self, text):
        """https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-mock-integration.html"""
        try:
            return int(json.loads(text)["statusCode"]), {}, ""
        except (ValueError, KeyError, TypeError):
            raise Failed("the request template of a mock has to give a statusCode") from None

    async def sqs(self, rest, text, mapped, region, role, facts):
        of, (account, name) = self.of.sqs, rest.split("/")
        form = {**dict(parse_qsl(text, keep_blank_values=True)), **mapped["querystring"]}
        if form.get("Action") != "SendMessage":
            raise Failed(f"this knows Action=SendMessage only, not {form.get('Action')}")
        request = self.of.responses.new_uuid()
        queue = f"arn:aws:sqs:{region}:{account}:{name}"
        refusal = self.refusal(role, "sqs:SendMessage", queue, region, facts)
        if refusal:
            return self.error(403, "AccessDenied", refusal, request)
        url = of._queue_name_to_url.get_scoped(account, region, name) or of._queue_url_for_account(account, name)
        try:
            with self.of.responses.request_scope(account, region):
                sent = await of._dispatch("SendMessage", {**of._normalise("SendMessage", form), "QueueUrl": url}, url)
        except of._Err as error:
            return self.error(error.status, error.code, error.message, request)
        names = ("MD5OfMessageAttributes", "MD5OfMessageBody", "MD5OfMessageSystemAttributes", "MessageId", "SequenceNumber")
        result = {"ResponseMetadata": {"RequestId": request}, "SendMessageResult": {name: sent.get(name) for name in names}}
        return 200, {"x-amzn-RequestId": request}, json.dumps({"SendMessageResponse": result})

    def error(self, status, code, message, request):
        said = {"Error": {"Code": code, "Message": message, "Type": "Sender"}, "RequestId": request}
        return status, {"x-amzn-RequestId": request}, json.dumps(said)

    async def dynamodb(self, action, text, _mapped, region, role, facts):
        account = role.split(":")[4]
        body = text.encode()
        for table in self.of.iam_actions.dynamodb_resource_arns(body, region, account):
            context = self.of.iam_actions.dynamodb_service_context(body)
            refusal = self.refusal(role, f"dynamodb:{action}", table, region, facts, context)
            if refusal:
                # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
                return 400, {}, json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": refusal})
        with self.of.responses.request_scope(account, region):
            status, headers, said = await self.of.dynamodb.handle_request(
                "POST", "/", {"x-amz-target": f"DynamoDB_20120810.{action}", "content-type": "application/x-amz-json-1.0"}, body, {})
        return status, headers, said.decode()

    # --- the role

    def refusal(self, role, action, resource, region, facts, context=None):
        """Why a role may not do this, or None."""
        if not self.of.app.AUTH:
            return None
        # As a request of its own: what the evaluator keeps of the caller's does not count.
        return contextvars.Context().run(self.evaluated, role, action, resource, region, facts, context)

    def evaluated(self, role, action, resource, region, facts, context):
        account, name = role.split(":")[4], role.rsplit("/", 1)[-1]
        with self.of.responses.request_scope(account, region):
            self.of.iam_evaluator.pin_request_origin("127.0.0.1", True)
            if not self.trusted(role, account, name, region, facts):
                raise Failed(f"API Gateway does not have permission to assume the provided role {role}")
            key = "ASIA" + hashlib.sha256(f"apigateway:{role}".encode()).hexdigest()[:16].upper()
            session = f"arn:aws:sts::{account}:assumed-role/{name}/BackplaneAssumeRoleSession"
            self.of.sts.register_session(key, {"Arn": session, "UserId": f"{name}:BackplaneAssumeRoleSession",
                                               "SecretAccessKey": key, "SessionToken": key})
            said = self.of.iam_evaluator.enforce(key, action, action.partition(":")[0], region, resource_arn=resource, service_context=context)
        return None if said is None else f"User: {session} is not authorized to perform: {action} on resource: {resource}"

    def trusted(self, role, account, name, region, facts):
        known = self.of.iam._roles.get(name)
        if known is None or known["Arn"] != role:
            return False
        policy = known["AssumeRolePolicyDocument"]
        policy = json.loads(policy) if isinstance(policy, str) else policy
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        source = f"arn:aws:execute-api:{region}:{account}:{facts['api_id']}/{facts['stage_name']}{facts['resource_path']}"
        asked = self.of.iam_evaluator.EvalContext(
            principal_arn="*", principal_type="Service", principal_account="", action="sts:AssumeRole", resource_arn=role, region=region,
            service_context={"aws:sourcearn": source, "aws:sourceaccount": account})
        # A role's policy names no resource: it is about the role.
        policy = {**policy, "Statement": [{**statement, "Resource": "*"} for statement in statements]}
        return self.of.iam_evaluator.evaluate_resource_policy(policy, asked, service=SERVICE).decision == "Allow"

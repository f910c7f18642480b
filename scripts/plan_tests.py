"""Tests of what Terraform plans after a setting was changed: the real plan of infra/, without AWS and without an account."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent))

import guard
import settings
import terraform
from scratch import ROOT, Scratch

UNUSED = "removed, because its pipeline has no use for it any more"

# What answers parts of reports, beside what keeps their rows.
ANSWERED = '[{"invoke": {"function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:rows", "contract": "fanfold"}}, "items"]'

# Nothing is asked of AWS, so that a plan needs no credentials.
OFFLINE = """
provider "aws" {
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

data "aws_caller_identity" "current" {
  count = 0
}

locals {
  account = { partition = "aws", region = "eu-central-1", id = "123456789012" }
}
"""


def table(pipeline, key, name="items", **instance):
    """A table of a pipeline, as a state has it: by default that of its items."""
    attributes = {"id": f"a-{pipeline}-{name}", "name": f"a-{pipeline}-{name}", "hash_key": key, "billing_mode": "PAY_PER_REQUEST",
                  "attribute": [{"name": key, "type": "S"}], "deletion_protection_enabled": False}
    return {"module": f'module.pipeline["{pipeline}"]', "mode": "managed", "type": "aws_dynamodb_table", "name": name,
            "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
            "instances": [{**instance, "schema_version": 1, "attributes": attributes}]}


class PlanTest(Scratch):
    def setUp(self):
        super().setUp()
        infra = self.scratch / "infra"
        shutil.copytree(ROOT / "infra", infra, ignore=shutil.ignore_patterns("tests", ".*"))
        shutil.copytree(ROOT / "examples", self.scratch / "examples")
        self.file("infra/offline_override.tf", OFFLINE)
        others = {*settings.SETTINGS, "KEEP_VARIANTS", "PIPELINE", "PIPELINES", "RESET", "VARIANTS"}
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("AWS_", "TF_VAR_")) and name not in others}
        for patch in (mock.patch.object(terraform, "INFRA", infra), mock.patch.object(terraform, "LOCK_FILE", infra / "none"),
                      mock.patch.dict(os.environ, clean, clear=True)):
            self.enterContext(patch)
        # Not in the scratch folder, so that a provider that is downloaded stays.
        self.terraform = terraform.Terraform(ROOT / "target" / "test" / "plan-tests")
        self.terraform.init()
        definitions = {"chunked": {"variant": "chunked"}, "orders": {"variant": "ranged", "key_field": "order"}}
        self.outputs = {"settings": {"value": {"key_field": "id"}}, "deployment": {"value": {
            "pipelines": {name: {"definition": definition} for name, definition in definitions.items()}}}}
        self.state = self.state_of(table("chunked", "id"), table("orders", "order"))

    def state_of(self, *tables):
        return self.file("terraform.tfstate", json.dumps({
            "version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "test", "outputs": {}, "resources": tables,
        }))

    def edges(self):
        """What waits for what: the nodes of Terraform's graph, each with those that it depends on."""
        done = subprocess.run(self.terraform.command("graph", "-type=plan"), env=self.terraform.environment, capture_output=True,
                              text=True, check=True)
        edges = {}
        for one, other in re.findall(r'"(?:\[root\] )?(.*?)(?: \(expand\))?" -> "(?:\[root\] )?(.*?)(?: \(expand\))?"', done.stdout):
            edges.setdefault(one, set()).add(other)
        return edges

    def test_what_aws_has_to_know_first_is_made_first(self):
        edges = self.edges()
        for later, earlier in [
            ("aws_s3_bucket_notification.input", "aws_s3_bucket_versioning.this"),
            ("aws_s3_bucket_notification.input", "module.queue.aws_sqs_queue.this"),
            ("aws_s3_bucket_notification.output", "aws_s3_bucket_versioning.this"),
            ("aws_s3_bucket_notification.output", "module.queue.aws_sqs_queue.this"),
            ("module.schedule.aws_cloudwatch_event_target.this", "module.function.aws_iam_role_policy.this"),
            ("module.function.aws_lambda_event_source_mapping.this", "module.function.aws_iam_role_policy.this"),
            ("module.function.aws_lambda_event_source_mapping.this", "aws_sns_topic_subscription.process"),
            ("module.function.aws_lambda_event_source_mapping.this", "module.map.aws_sfn_state_machine.this"),
            ("module.map.aws_sfn_state_machine.this", "module.map.aws_iam_role_policy.this"),
            ("module.records.aws_api_gateway_rest_api.this", "module.records.aws_iam_role_policy.gateway"),
            ("module.records.aws_api_gateway_stage.this", "module.queue.aws_sqs_queue.this"),
            ("module.records.aws_api_gateway_rest_api.this", "aws_dynamodb_table.requests"),
            ("module.function.aws_lambda_event_source_mapping.stream", "module.function.aws_iam_role_policy.this"),
            ("module.submit.aws_apigatewayv2_route.this", "module.function.aws_iam_role_policy.this"),
            ("aws_sns_topic_subscription.process", "aws_sns_topic.chunks"),
            ("aws_sns_topic_subscription.process", "aws_sqs_queue.parked"),
            ("aws_sns_topic_subscription.process", "module.queue.aws_sqs_queue.this"),
        ]:
            self.assertIn(f"module.pipeline.{earlier}", self.before(edges, f"module.pipeline.{later}"), later)

    def test_who_connects_meets_a_function_that_may_answer(self):
        edges = self.edges()
        for later, earlier in [
            ("module.sockets.aws_apigatewayv2_route.this", "module.api.module.function.aws_iam_role_policy.this"),
            ("module.api.module.function.aws_iam_role_policy.this", "module.sockets.aws_apigatewayv2_api.this"),
        ]:
            self.assertIn(earlier, self.before(edges, later), later)

    def before(self, edges, later):
        """All that a node waits for."""
        seen, ahead = set(), [later]
        while ahead:
            node = ahead.pop()
            ahead += edges.get(node, set()) - seen
            seen |= edges.get(node, set())
        return seen

    def lost(self, **given):
        """The tables that a deployment with these settings would delete, each with the reason."""
        options = argparse.Namespace(package=ROOT / "infra" / "versions.tf", press=ROOT / "infra" / "versions.tf", emulator=True, work=self.terraform.work)
        with mock.patch.dict(os.environ, {"SCOPE": "a-", "TF_VAR_region": "eu-central-1", **given}):
            variables = settings.variables(options, self.outputs, settings.given_settings())
            plan = self.terraform.work / "plan"
            self.terraform.stream("plan", "-input=false", "-refresh=false", f"-state={self.state}", f"-out={plan}",
                                  variables={**variables, "TF_VAR_region": "eu-central-1"}, keep="^Error")
        return {store["name"]: store["reason"] for store in guard.doomed(self.terraform.show(plan))}

    def test_a_key_that_is_kept_keeps_the_table_and_another_one_replaces_it(self):
        others = {"RESULTS": "failed", "WRITE_MODE": "ordered", "CHUNK_SIZE": "7", "STALL_AFTER": "60", "GIVE_UP_AFTER": "3600",
                  "INPUT_PREFIX": "incoming/", "INPUT_SUFFIX": ".csv",
                  "ALARM_EMAIL": "a@example.com", "ARCH": "arm64", "PROTECT_DATA": "true", "SCHEMA": str(self.file("a.json", "{}")),
                  "KMS_KEY_ARN": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd", "FAIR_BY": "prefix", "TOLERATE": "5%",
                  "PROCESSORS": '["items", {"aggregate": {"group_by": ["client"]}}]'}
        self.assertEqual(self.lost(PIPELINE="chunked", **others), {})
        self.assertEqual(self.lost(VARIANTS="chunked", KEY_FIELD="other"), {
            "a-chunked-items": "replaced, because hash_key changes from id to other",
            "a-orders-items": "removed, because pipeline orders is not among those to deploy",
        })

    def test_a_pipeline_without_items_loses_their_table(self):
        self.assertEqual(self.lost(PROCESSORS='{"http": {"url": "https://api.example.com"}}'),
                         {"a-chunked-items": UNUSED, "a-orders-items": UNUSED})

    def test_a_pipeline_that_takes_no_records_any_more_loses_what_became_of_them(self):
        self.state_of(table("chunked", "id"), table("orders", "order"), table("orders", "id", "requests", index_key=0))
        for given in ({"RECORDS_API": "KEY", "RECORDS_CONCURRENCY": "5"}, {"RECORDS_API": "KEY", "RECORDS_BY": "table"}, {"RECORDS_API": "IAM", "RECORDS_BY": "function"}):
            self.assertEqual(self.lost(**given), {})
        self.assertEqual(self.lost(), {"a-orders-requests": UNUSED})

    def test_a_pipeline_that_begins_to_make_reports_keeps_its_rows_and_one_that_ends_loses_none(self):
        self.state = self.state_of(table("chunked", "part"), table("orders", "part"))
        self.outputs["settings"]["value"] = {"key_field": "part", "input_prefix": "reports/", "processors": ANSWERED}
        self.outputs["deployment"]["value"]["pipelines"]["orders"]["definition"].pop("key_field")
        hooks = '{"urls": ["https://example.com/hooks/"], "secrets": ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"]}'
        for given in ({}, {"REPORTS": "true"}, {"REPORTS": "true", "API": "true", "WEBHOOKS": hooks}, {"REPORTS": "true", "KMS_KEY_ARN": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd"}):
            self.assertEqual(self.lost(**given), {}, given)


if __name__ == "__main__":
    unittest.main()

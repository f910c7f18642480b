# The WebSocket API by which who waits for a report is told its end: that there is none unless there are an API and reports, where it is,
# and what functions may do with it.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_servicequotas_service_quota" {
    defaults = { value = 1000 }
  }

  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mock" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/mock" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:mock" }
  }

  mock_resource "aws_lambda_event_source_mapping" {
    defaults        = { uuid = "01234567-89ab-cdef-0123-456789abcdef" }
    override_during = plan
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "w1x2y3"
      api_endpoint  = "wss://w1x2y3.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3"
    }
    override_during = plan
  }
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
  pipelines = {
    metering = { processors = "[\"items\",{\"aggregate\":{\"group_by\":[\"asset\",\"day\"],\"sum\":[\"kwh\"]}}]" }
    monthly  = { reports = true, key_field = "part", input_prefix = "reports/", processors = "[{\"usage\":{\"counters_of\":\"metering\",\"sum\":[\"kwh\"]}},\"items\"]" }
  }
  press_package = "./processors.json"
}

run "none_without_an_api" {
  command = plan

  assert {
    condition     = length(module.sockets) == 0 && output.deployment.sockets == null
    error_message = "nobody connects to a deployment without an API"
  }

  assert {
    condition     = { for name, pipeline in module.pipeline : name => contains(keys(pipeline.settings), "notify") } == { metering = false, monthly = false }
    error_message = "where nobody can wait, nothing tells of ends"
  }
}

run "none_without_reports" {
  command = plan

  variables {
    api           = true
    pipelines     = {}
    press_package = null
  }

  assert {
    condition     = length(module.sockets) == 0 && output.deployment.sockets == null
    error_message = "without reports there is no end to wait for"
  }

  assert {
    condition     = !strcontains(join(" ", module.api[0].policies), "execute-api") && !strcontains(join(" ", module.api[0].policies), "anna-sockets")
    error_message = "the function lets nobody connect"
  }
}

run "with_an_api_and_reports" {
  command = plan

  variables {
    api = true
  }

  assert {
    condition = output.deployment.sockets == {
      table       = "anna-sockets"
      url         = "wss://w1x2y3.execute-api.eu-central-1.amazonaws.com/live"
      connections = "https://w1x2y3.execute-api.eu-central-1.amazonaws.com/live"
    }
    error_message = "a client learns where to connect"
  }

  assert {
    condition = toset([for statement in jsondecode(module.api[0].policies[0]).Statement : "${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}" if contains(["KeepSockets", "SignConnections"], statement.Sid)]) == toset([
      "KeepSockets: dynamodb:GetItem dynamodb:PutItem dynamodb:DeleteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sockets",
      "SignConnections: execute-api:Invoke on arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/$connect",
    ])
    error_message = "the function keeps who waits, and signs addresses by which clients connect"
  }

  assert {
    condition     = { for name, pipeline in module.pipeline : name => contains(keys(pipeline.settings), "notify") } == { metering = false, monthly = true }
    error_message = "a pipeline that makes reports tells of their ends, and no other"
  }

  assert {
    condition     = [for name in ["PIPELINE", "SOCKETS_TABLE", "SOCKETS_ENDPOINT"] : module.pipeline["monthly"].settings.notify.environment[name]] == ["monthly", "anna-sockets", "https://w1x2y3.execute-api.eu-central-1.amazonaws.com/live"]
    error_message = "it is told who waits, and where messages are sent to connections"
  }

  assert {
    condition     = [for statement in jsondecode(module.pipeline["monthly"].policies.notify).Statement : statement.Resource if statement.Sid == "Post"] == [["arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/POST/@connections/*"]]
    error_message = "it sends messages to connections of this API, and does nothing else with them"
  }

  assert {
    condition     = output.deployment.pipelines.monthly.webhooks == []
    error_message = "without webhooks, no URL may be told"
  }
}

run "on_an_emulator" {
  command = plan

  variables {
    api               = true
    emulator_endpoint = "http://127.0.0.1:4566/"
  }

  assert {
    condition = output.deployment.sockets == {
      table       = "anna-sockets"
      url         = "ws://127.0.0.1:4566/_aws/execute-api/w1x2y3/live"
      connections = "http://127.0.0.1:4566/_aws/execute-api/w1x2y3/live"
    }
    error_message = "on an emulator, the API has a path"
  }
}

run "unprotected_without_a_key" {
  command = plan

  module {
    source = "./modules/sockets"
  }

  variables {
    name         = "anna-sockets"
    account      = { partition = "aws", region = "eu-central-1", id = "123456789012" }
    function     = { name = "anna-api", arn = "arn:aws:lambda:eu-central-1:123456789012:function:anna-api" }
    protect_data = false
  }

  assert {
    condition     = !aws_dynamodb_table.this.deletion_protection_enabled && !one(aws_dynamodb_table.this.point_in_time_recovery).enabled && !one(aws_dynamodb_table.this.server_side_encryption).enabled
    error_message = "the table is left unprotected when it is said so, and has DynamoDB's own key"
  }
}

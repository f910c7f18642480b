# The WebSocket API of a deployment as it is made: what the function is told, and what stands before it.

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
    defaults = { uuid = "01234567-89ab-cdef-0123-456789abcdef" }
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "w1x2y3"
      api_endpoint  = "wss://w1x2y3.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3"
    }
  }

  mock_resource "aws_apigatewayv2_integration" {
    defaults = { id = "i1" }
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

run "described" {
  command = apply # what describes the deployment has the URLs of queues, which are known only then

  variables {
    api          = true
    protect_data = false
  }

  assert {
    condition     = jsondecode(module.api[0].description.content).sockets == output.deployment.sockets && jsondecode(module.api[0].description.content).pipelines.monthly.webhooks == []
    error_message = "the function learns where clients connect, as they do"
  }

  assert {
    condition     = !contains(keys(module.pipeline["monthly"].settings.consolidate.environment), "PAGE_URL")
    error_message = "a document names no page that a browser cannot load"
  }
}

run "page" {
  command = apply

  variables {
    api          = true
    api_jwt      = { issuer = "https://issuer.example.com", audience = ["fanfold"] }
    protect_data = false
  }

  assert {
    condition     = module.pipeline["monthly"].settings.consolidate.environment.PAGE_URL == "wss://w1x2y3.execute-api.eu-central-1.amazonaws.com/reports.html#/"
    error_message = "a document that is cut says where the whole data is"
  }
}

run "module" {
  command = apply

  module {
    source = "./modules/sockets"
  }

  variables {
    name         = "anna-sockets"
    account      = { partition = "aws", region = "eu-central-1", id = "123456789012" }
    function     = { name = "anna-api", arn = "arn:aws:lambda:eu-central-1:123456789012:function:anna-api" }
    protect_data = true
    kms_key_arn  = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = [aws_dynamodb_table.this.name, aws_dynamodb_table.this.hash_key, aws_dynamodb_table.this.range_key, aws_dynamodb_table.this.billing_mode] == ["anna-sockets", "id", "of", "PAY_PER_REQUEST"]
    error_message = "the table has its name, two keys and no capacity"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.ttl).attribute_name == "expiresAt" && one(aws_dynamodb_table.this.ttl).enabled
    error_message = "who waits is forgotten"
  }

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled && one(aws_dynamodb_table.this.point_in_time_recovery).enabled && one(aws_dynamodb_table.this.server_side_encryption).enabled && one(aws_dynamodb_table.this.server_side_encryption).kms_key_arn == var.kms_key_arn
    error_message = "the table is protected and encrypted as the others are"
  }

  assert {
    condition     = [aws_apigatewayv2_api.this.name, aws_apigatewayv2_api.this.protocol_type, aws_apigatewayv2_api.this.route_selection_expression] == ["anna-sockets", "WEBSOCKET", "$request.body.action"]
    error_message = "it is a WebSocket API whose messages have no routes of their own"
  }

  assert {
    condition     = aws_apigatewayv2_integration.function.integration_type == "AWS_PROXY" && aws_apigatewayv2_integration.function.integration_uri == "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:123456789012:function:anna-api/invocations"
    error_message = "whatever comes is handed to the function of the API"
  }

  assert {
    condition     = output.routes == { "$connect" = "AWS_IAM", "$disconnect" = "NONE", "$default" = "NONE" } && alltrue([for route in aws_apigatewayv2_route.this : route.target == "integrations/i1"])
    error_message = "who connects has to be let in by IAM; what comes later is of one who was"
  }

  assert {
    condition     = { for key, route in aws_apigatewayv2_route.this : key => route.route_response_selection_expression if route.route_response_selection_expression != null } == { "$default" = "$default" } && aws_apigatewayv2_route_response.default.route_response_key == "$default" && aws_apigatewayv2_route_response.default.route_id == aws_apigatewayv2_route.this["$default"].id
    error_message = "a message is answered by what the function returns"
  }

  assert {
    condition     = aws_apigatewayv2_stage.live.name == "live" && aws_apigatewayv2_stage.live.auto_deploy && aws_apigatewayv2_stage.live.default_route_settings[0].throttling_rate_limit == 500 && aws_apigatewayv2_stage.live.default_route_settings[0].throttling_burst_limit == 1000
    error_message = "the stage is what is configured, and lets in so much and no more"
  }

  # It needs a role of the account, which there may not be.
  assert {
    condition     = length(aws_apigatewayv2_stage.live.access_log_settings) == 0
    error_message = "the stage keeps no log of its own"
  }

  assert {
    condition     = [aws_lambda_permission.this.statement_id, aws_lambda_permission.this.function_name, aws_lambda_permission.this.principal, aws_lambda_permission.this.source_arn] == ["sockets", "anna-api", "apigateway.amazonaws.com", "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/*/*"]
    error_message = "this API may invoke the function, too"
  }

  assert {
    condition     = [output.table_arn, output.connect_arn, output.manage_arn] == ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sockets", "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/$connect", "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/POST/@connections/*"]
    error_message = "rights name this table, this route and these connections"
  }
}

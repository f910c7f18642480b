# The API of a deployment as it is made: what its function is told, and what stands before it.

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
      id            = "a1b2c3"
      api_endpoint  = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3"
    }
  }
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
}

run "function" {
  command = apply

  variables {
    api           = true
    log_level     = "debug"
    record_schema = "./tests/fixtures/fits.schema.json"
    protect_data  = false
  }

  assert {
    condition     = [module.api[0].settings.handler, module.api[0].settings.memory, module.api[0].settings.timeout, module.api[0].settings.triggers] == ["api", 512, 29, {}]
    error_message = "the function is told what it is by its handler, ends before the API stops waiting, and has no trigger"
  }

  assert {
    condition     = toset(keys(module.api[0].settings.environment)) == toset(["DEPLOYMENT", "RUST_LOG"]) && module.api[0].settings.environment["RUST_LOG"] == "debug"
    error_message = "the function learns where the deployment is described and what to log, and no more"
  }

  assert {
    condition     = can(regex("^s3://anna-package-123456789012/deployments/anna-api-[0-9a-f]{16}[.]json$", module.api[0].settings.environment["DEPLOYMENT"]))
    error_message = "what describes the deployment is beside the package, by its content"
  }

  assert {
    condition = jsondecode(module.api[0].description.content) == {
      region = "eu-central-1"
      pipelines = {
        chunked = { for key, value in output.deployment.pipelines["chunked"] : key => value if !contains(["definition", "uploader_policy"], key) }
      }
      sockets = null
    }
    error_message = "the function learns of the pipelines what clients do, but for what it has no use for"
  }
}

run "module" {
  command = apply

  module {
    source = "./modules/api"
  }

  variables {
    name               = "anna-api"
    account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
    package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
    architecture       = "arm64"
    deployment         = { region = "eu-central-1", pipelines = {} }
    permissions        = {}
    jwt                = { issuer = "https://issuer.example.com", audience = ["one", "two"] }
    log_level          = "info"
    log_retention_days = 30
    kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.jwt[0].jwt_configuration[0].issuer == "https://issuer.example.com" && aws_apigatewayv2_authorizer.jwt[0].jwt_configuration[0].audience == toset(["one", "two"])
    error_message = "tokens are those of the issuer, for one of the audience"
  }

  assert {
    condition     = aws_apigatewayv2_route.default.authorizer_id == aws_apigatewayv2_authorizer.jwt[0].id
    error_message = "the authorizer is that of the route"
  }

  assert {
    condition     = [aws_apigatewayv2_integration.function.integration_type, aws_apigatewayv2_integration.function.payload_format_version] == ["AWS_PROXY", "2.0"]
    error_message = "requests reach the function in the format that it reads"
  }

  assert {
    condition     = aws_apigatewayv2_stage.default.name == "$default" && aws_apigatewayv2_stage.default.auto_deploy && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_rate_limit == 50 && aws_apigatewayv2_stage.default.default_route_settings[0].throttling_burst_limit == 100
    error_message = "the stage has no name in addresses, is what is configured, and lets in so many requests and no more"
  }

  assert {
    condition     = !anytrue([for secret in ["querystring", "queryString", "body", "header", "authorizer.token"] : strcontains(lower(aws_apigatewayv2_stage.default.access_log_settings[0].format), lower(secret))])
    error_message = "the log of requests has no query strings, bodies and headers"
  }

  assert {
    condition     = aws_cloudwatch_log_group.access.retention_in_days == 30 && aws_cloudwatch_log_group.access.kms_key_id == var.kms_key_arn
    error_message = "the log of requests is kept and encrypted as the others are"
  }

  assert {
    condition     = aws_lambda_permission.this.principal == "apigateway.amazonaws.com" && aws_lambda_permission.this.source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/*/*"
    error_message = "this API and no other may invoke the function"
  }
}

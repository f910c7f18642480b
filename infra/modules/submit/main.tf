# The API of records that are sent one at a time to a function, which checks each whole before it queues it: an HTTP API with the
# paths of the REST API in modules/api/openapi.yaml, for callers that sign their requests.

locals {
  stage  = "v1"
  path   = var.items ? "records" : "events"
  routes = toset(concat(["POST /${local.path}", "GET /status/{id}"], var.items ? ["GET /records/{key}"] : []))

  # The prefix keeps the policy short by which API Gateway may write to log groups:
  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
  log_group = "/aws/vendedlogs/${var.name}"
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = "Records of fanfold that are sent one at a time."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "function" {
  api_id = aws_apigatewayv2_api.this.id

  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = var.function.arn
  payload_format_version = "2.0"
}

# Whatever has no route is a 404 of API Gateway's.
resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.function.id}"

  authorization_type = "AWS_IAM"
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_338:it tells who sent how much in the last days; log_retention_days keeps it for longer where that is wanted

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = local.stage
  auto_deploy = true

  # To each route, of all callers together.
  default_route_settings {
    throttling_rate_limit  = var.rate
    throttling_burst_limit = coalesce(var.burst, 2 * var.rate)
  }

  # Neither bodies nor keys: the route is that of the API, without ids of requests and keys of records.
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      requestId         = "$context.requestId"
      time              = "$context.requestTime"
      sourceIp          = "$context.identity.sourceIp"
      caller            = "$context.identity.userArn"
      method            = "$context.httpMethod"
      routeKey          = "$context.routeKey"
      status            = "$context.status"
      responseLength    = "$context.responseLength"
      responseLatency   = "$context.responseLatency"
      error             = "$context.error.message"
      integrationError  = "$context.integrationErrorMessage"
      integrationStatus = "$context.integrationStatus"
    })
  }
}

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
resource "aws_lambda_permission" "this" {
  statement_id  = "records"
  function_name = var.function.name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/${local.stage}/*"
}

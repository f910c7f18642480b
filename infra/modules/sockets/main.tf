# The WebSocket API of a deployment, by which who waits for a report is told its end, and the table of who waits. Its messages go to
# the function of the API.

locals {
  stage = "live"

  # Computed, so that no policy waits for what it names.
  table_arn = "arn:${var.account.partition}:dynamodb:${var.account.region}:${var.account.id}:table/${var.name}"

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
  execution_arn = "arn:${var.account.partition}:execute-api:${var.account.region}:${var.account.id}:${aws_apigatewayv2_api.this.id}/${local.stage}"

  # On an emulator, an API has a path instead of a host name.
  emulator = var.emulator_endpoint == null ? null : "${trimsuffix(coalesce(var.emulator_endpoint, "none"), "/")}/_aws/execute-api/${aws_apigatewayv2_api.this.id}"

  # Messages are sent to connections at the same address, by HTTPS:
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
  connections = "${local.emulator == null ? replace(aws_apigatewayv2_api.this.api_endpoint, "/^ws/", "http") : coalesce(local.emulator, "none")}/${local.stage}"

  # A client connects, sends what it waits for, and leaves.
  routes = { "$connect" = "AWS_IAM", "$disconnect" = "NONE", "$default" = "NONE" }
}

# Tickets, by which clients connect, connections, and what each waits for. Each row says when it is of no use any more.
resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  range_key                   = "of"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "id"
    type = "S"
  }

  attribute {
    name = "of"
    type = "S"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  # False is not "unencrypted": https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SSESpecification.html
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}

# No route is named like an action, so that every message goes to $default.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-selection-expressions.html
resource "aws_apigatewayv2_api" "this" {
  name                       = var.name
  description                = "Ends of reports of fanfold, for who waits for them."
  protocol_type              = "WEBSOCKET"
  route_selection_expression = "$request.body.action"
}

# Unlike an HTTP API, it takes the path of an invocation, not the function's ARN:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-requests.html
resource "aws_apigatewayv2_integration" "function" {
  api_id = aws_apigatewayv2_api.this.id

  integration_type   = "AWS_PROXY"
  integration_method = "POST"
  integration_uri    = "arn:${var.account.partition}:apigateway:${var.account.region}:lambda:path/2015-03-31/functions/${var.function.arn}/invocations"
}

# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html
resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:only $connect can be authorised; whatever comes by a connection is of a client that was let in

  for_each = local.routes

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.function.id}"

  authorization_type                  = each.value
  route_response_selection_expression = each.key == "$default" ? "$default" : null
}

# What the function returns to a message is sent to the client:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html
resource "aws_apigatewayv2_route_response" "default" {
  api_id             = aws_apigatewayv2_api.this.id
  route_id           = aws_apigatewayv2_route.this["$default"].id
  route_response_key = "$default"
}

resource "aws_apigatewayv2_stage" "live" {
  #checkov:skip=CKV_AWS_76:the account would need a role by which API Gateway writes the log, or the deployment fails; the function logs what goes wrong, and the API logs who asks for an address
  #checkov:skip=CKV2_AWS_51:what is behind it is a function, which IAM guards, and no server that could ask for a certificate

  api_id      = aws_apigatewayv2_api.this.id
  name        = local.stage
  auto_deploy = true

  # Of connections and messages together.
  default_route_settings {
    throttling_burst_limit = var.burst
    throttling_rate_limit  = var.rate
  }
}

# https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
resource "aws_lambda_permission" "this" {
  statement_id  = "sockets"
  function_name = var.function.name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}

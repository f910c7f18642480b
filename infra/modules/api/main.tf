# The API and the page of a deployment: an HTTP API in front of one function, which answers for all pipelines.

locals {
  authorisation = var.jwt == null ? "IAM" : "JWT"

  # The page's files alone are open: they hold nothing secret, and a browser has to load the page before it can show a token. Each is named, since a path with a variable would be open for whatever it matches. An HTTP API takes a
  # route that matches in full before $default:
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html#http-api-develop-routes.evaluation
  page_files = jsondecode(file("${path.module}/../../page.json"))
  open       = var.jwt == null ? toset([]) : toset(concat(["GET /"], [for file in local.page_files : "GET /${file}"]))

  # Its own for each content, so that an instance that still runs finds what it was started with.
  description     = jsonencode(var.deployment)
  description_key = "deployments/${var.name}-${substr(sha256(local.description), 0, 16)}.json"

  # The function signs the addresses at which clients connect, and who uses one is allowed what the function is:
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
  sockets_permissions = merge([for sockets in var.sockets[*] : {
    KeepSockets     = { actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], resources = [sockets.table_arn] }
    SignConnections = { actions = ["execute-api:Invoke"], resources = [sockets.connect_arn] }
  }]...)

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html; the prefix keeps the policy short by which
  # API Gateway may write to log groups: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
  log_group = "/aws/vendedlogs/${var.name}"
}

# Where the function finds the pipelines: an environment has no room for it.
resource "aws_s3_object" "deployment" {
  #checkov:skip=CKV_AWS_186:it is encrypted as its bucket says, with the customer's key if there is one

  bucket       = var.package.bucket
  key          = local.description_key
  content      = local.description
  content_type = "application/json"

  # The tags are on its bucket; tags of an object cost money.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # A function that still runs with the earlier one may start anew until it is changed.
  lifecycle {
    create_before_destroy = true
  }
}

module "function" {
  source = "../function"

  name         = var.name
  account      = var.account
  stage        = "api"
  package      = var.package
  architecture = var.architecture
  memory       = 512
  # An HTTP API waits for 30 seconds at most: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
  timeout = 29

  environment = {
    DEPLOYMENT = "s3://${aws_s3_object.deployment.bucket}/${aws_s3_object.deployment.key}"
    RUST_LOG   = var.log_level
  }

  permissions = merge({
    ReadDeployment = { actions = ["s3:GetObject"], resources = ["arn:${var.account.partition}:s3:::${var.package.bucket}/deployments/${var.name}-*"] }
  }, local.sockets_permissions)

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

module "policies" {
  source = "../policies"

  name        = var.name
  role        = module.function.role
  permissions = var.permissions
}

moved {
  from = aws_iam_policy.pipelines
  to   = module.policies.aws_iam_policy.this
}

moved {
  from = aws_iam_role_policy_attachment.pipelines
  to   = module.policies.aws_iam_role_policy_attachment.this
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = "Batches of fanfold, for the page and for programs."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_authorizer" "jwt" {
  count = var.jwt == null ? 0 : 1

  api_id           = aws_apigatewayv2_api.this.id
  name             = "jwt"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.jwt.issuer
    audience = var.jwt.audience
  }

  # A route leaves it before it goes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_integration" "function" {
  api_id = aws_apigatewayv2_api.this.id

  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = module.function.arn
  payload_format_version = "2.0"
}

# Whatever no other route names: every request of the API, and every path that does not exist.
resource "aws_apigatewayv2_route" "default" {
  api_id    = aws_apigatewayv2_api.this.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.function.id}"

  authorization_type = local.authorisation == "IAM" ? "AWS_IAM" : "JWT"
  authorizer_id      = one(aws_apigatewayv2_authorizer.jwt[*].id)
}

resource "aws_apigatewayv2_route" "page" {
  #checkov:skip=CKV_AWS_309:files of the page hold nothing secret, and a browser loads them before it can show a token

  for_each = local.open

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.function.id}"

  authorization_type = "NONE"
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_338:it tells who asked for what in the last days; log_retention_days keeps it for longer where that is wanted

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_burst_limit = var.burst
    throttling_rate_limit  = var.rate
  }

  # Neither query strings nor bodies, which name uploads and hold records; the path is without its query string.
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      requestId         = "$context.requestId"
      time              = "$context.requestTime"
      sourceIp          = "$context.identity.sourceIp"
      caller            = local.authorisation == "IAM" ? "$context.identity.userArn" : "$context.authorizer.claims.sub"
      method            = "$context.httpMethod"
      path              = "$context.path"
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
  statement_id  = "api"
  function_name = module.function.name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}

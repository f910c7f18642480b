# The API of records that are sent one at a time: a REST API in front of a queue and two tables, or of the tables alone, without a
# function. One OpenAPI document says all that it does: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-import-api.html

locals {
  stage = "v1"
  path  = local.items != null ? "records" : "events"

  role_name = "${var.name}-gateway"
  # Computed, so that the document is known before there is a role.
  role_arn = "arn:${var.account.partition}:iam::${var.account.id}:role/${local.role_name}"

  # https://docs.aws.amazon.com/general/latest/gr/rande.html
  dns_suffix = var.account.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"

  # How callers show who they are, as the document says it, and by what API Gateway tells them apart:
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
  schemes = {
    IAM = { scheme = { type = "apiKey", name = "Authorization", in = "header", "x-amazon-apigateway-authtype" = "awsSigv4" }, caller = "user" }
    KEY = { scheme = { type = "apiKey", name = "x-api-key", in = "header", "x-amazon-apigateway-authtype" = null }, caller = "apiKeyId" }
  }
  scheme = local.schemes[var.authorisation]

  # What models know of the schema, which are of draft 4: required fields, and fields of one plain type. An integer is a number to
  # them, since 1.0 is one in later drafts. The worker validates the whole.
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings-models.html
  schema   = jsondecode(var.record_schema)
  plain    = { string = "string", number = "number", integer = "number", boolean = "boolean", object = "object", array = "array", null = "null" }
  required = distinct(try([for name in local.schema.required : tostring(name)], []))
  types    = { for name, of in try(local.schema.properties, {}) : name => try(local.plain[of.type], null) }
  model = merge({ type = "object" }, { for word, value in {
    required   = local.required
    properties = { for name, type in local.types : name => { type = type } if type != null }
  } : word => value if length(value) > 0 })

  # With both, a record becomes a message, of at most 256 KiB: SQS takes 1 MiB, but the queues are made with the provider's default.
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
  longest = { queue = "256 KiB less some 300 bytes", table = "261,000 bytes" }

  behind = {
    partition = var.account.partition
    region    = var.account.region
    account   = var.account.id
    role      = local.role_arn
    queue     = var.queue.name
    requests  = var.tables.requests.name
    items     = local.items != null ? local.items.name : ""
    caller    = local.scheme.caller
    longest   = local.longest[var.by]
  }

  # Null of events, which have the media type of CloudEvents as well:
  # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#32-structured-content-mode
  items    = var.tables.items
  types_of = local.items != null ? ["application/json"] : ["application/json", "application/cloudevents+json"]

  # How a record is put where it goes, as a part of the document.
  put  = yamldecode(templatefile("${path.module}/../api/post_${var.by}.yaml", local.behind))
  post = jsonencode(merge(local.put, { requestTemplates = { for type in local.types_of : type => local.put.requestTemplates["application/json"] } }))

  document = templatefile("${path.module}/../api/openapi.yaml", merge(local.behind, {
    name = jsonencode(var.name)
    path = local.path
    post = local.post
    # Neither sign may mean anything in a template.
    key_field = replace(replace(jsonencode(var.key_field), "$", "\\u0024"), "#", "\\u0023")
    record    = jsonencode(local.model)
    scheme    = jsonencode({ for name, value in local.scheme.scheme : name => value if value != null })
  }))

  # What takes a record, and the services whose data are encrypted with the customer's key.
  takes = {
    queue = { Send = { actions = ["sqs:SendMessage"], resources = [var.queue.arn], condition = null } }
    table = { Keep = { actions = ["dynamodb:UpdateItem"], resources = [var.tables.requests.arn], condition = null } }
  }
  encrypted = { queue = ["dynamodb", "sqs"], table = ["dynamodb"] }

  permissions = merge(
    local.takes[var.by],
    {
      Read = { actions = ["dynamodb:GetItem"], resources = concat([var.tables.requests.arn], [for table in [local.items] : table.arn if table != null]), condition = null }
    },
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    { for id in ["UseKey"] : id => {
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = [for service in local.encrypted[var.by] : "${service}.${var.account.region}.${local.dns_suffix}"] } }
    } if var.kms_key_arn != null },
  )

  # The prefix keeps the policy short by which API Gateway may write to log groups:
  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html
  log_group = "/aws/vendedlogs/${var.name}"
}

# Nobody of another account can name it: who gives a role to an API needs iam:PassRole on it.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html
resource "aws_iam_role" "gateway" {
  name = local.role_name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "apigateway.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "gateway" {
  name = "gateway"
  role = aws_iam_role.gateway.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for id, permission in local.permissions : merge({
      Sid      = id
      Effect   = "Allow"
      Action   = permission.actions
      Resource = permission.resources
    }, { for key, value in { Condition = permission.condition } : key => value if value != null })]
  })
}

resource "aws_api_gateway_rest_api" "this" {
  name        = var.name
  description = "Records of fanfold that are sent one at a time."
  body        = jsonencode(yamldecode(local.document))

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }

  # The document names the role, and who makes the API has to be allowed to pass it.
  depends_on = [aws_iam_role_policy.gateway]
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # A change of the document is served once it is deployed.
  triggers = { document = sha256(aws_api_gateway_rest_api.this.body) }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "access" {
  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV_AWS_73:a trace would end at the queue or the table
  #checkov:skip=CKV_AWS_120:a status and an item are told as they are now
  #checkov:skip=CKV2_AWS_4:the log of execution has ids and, at its fuller level, bodies; the log of requests has each with its status
  #checkov:skip=CKV2_AWS_29:callers are known, by their signatures or keys, and throttled; a firewall of the account's can be put before it
  #checkov:skip=CKV2_AWS_51:the services behind it are AWS's own, which the role lets it use

  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = local.stage

  # A request is not traced into the queue or the stream and the worker, so that a trace would end here.
  xray_tracing_enabled = false

  # Neither bodies nor keys: the path is that of the document, without ids of requests and keys of records.
  # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      requestId         = "$context.requestId"
      time              = "$context.requestTime"
      sourceIp          = "$context.identity.sourceIp"
      caller            = "$context.identity.${var.authorisation == "IAM" ? "userArn" : "apiKeyId"}"
      method            = "$context.httpMethod"
      path              = "$context.resourcePath"
      status            = "$context.status"
      responseLength    = "$context.responseLength"
      responseLatency   = "$context.responseLatency"
      error             = "$context.error.responseType"
      integrationStatus = "$context.integration.status"
    })
  }
}

# Of all callers together, signed or with a key.
resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:a status and an item are told as they are now

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.rate
    throttling_burst_limit = coalesce(var.burst, 2 * var.rate)
  }
}

# A usage plan counts by keys; callers that sign have none.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-usage-plans.html
resource "aws_api_gateway_usage_plan" "this" {
  count = var.authorisation == "KEY" ? 1 : 0

  name        = var.name
  description = "Who may send records, and how many."

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = var.rate
    burst_limit = coalesce(var.burst, 2 * var.rate)
  }
}

resource "aws_api_gateway_api_key" "this" {
  count = var.authorisation == "KEY" ? 1 : 0

  name        = var.name
  description = "Lets its holder send records and look them up."
}

resource "aws_api_gateway_usage_plan_key" "this" {
  count = var.authorisation == "KEY" ? 1 : 0

  key_id        = aws_api_gateway_api_key.this[0].id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.this[0].id
}

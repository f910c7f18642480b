# Billing, beside the pipelines that keep events and close half months: their tables, and the function that lists what is to be
# closed and sends what was sealed, on three schedules.

locals {
  # Computed, so that no policy waits for what it names.
  table_arn  = "arn:${var.account.partition}:dynamodb:${var.account.region}:${var.account.id}:table"
  bucket_arn = "arn:${var.account.partition}:s3:::"

  schedules = {
    closed = { rate = "rate(1 hour)", event = { action = "plan" } }
    all    = { rate = "rate(1 day)", event = { action = "plan", all = true } }
    send   = { rate = "rate(1 minute)", event = { action = "send" } }
  }
  # Without an API for invoices, nothing is sent.
  scheduled = { for name, schedule in local.schedules : name => schedule if name != "send" || var.sends }
}

# Each event once, by its source and id, and what is not billed. The index finds them by client and half month, in the order of their days.
resource "aws_dynamodb_table" "events" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  name                        = var.tables.events
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

  attribute {
    name = "list"
    type = "S"
  }

  attribute {
    name = "day"
    type = "S"
  }

  # All of it: packages are made of what the index finds.
  global_secondary_index {
    name            = "list"
    hash_key        = "list"
    range_key       = "day"
    projection_type = "ALL"
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

# Each package, and how it stands. The index finds those for which something is to be done.
resource "aws_dynamodb_table" "packages" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  name                        = var.tables.packages
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "half"
  range_key                   = "sequence"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "half"
    type = "S"
  }

  attribute {
    name = "sequence"
    type = "N"
  }

  attribute {
    name = "open"
    type = "S"
  }

  attribute {
    name = "due"
    type = "N"
  }

  # Sparse: only what is not done with has `open`.
  global_secondary_index {
    name            = "open"
    hash_key        = "open"
    range_key       = "due"
    projection_type = "KEYS_ONLY"
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}

# What each client used, by days and hours. Its hash key is the client alone, by which rights can be given.
resource "aws_dynamodb_table" "aggregates" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  name                        = var.tables.aggregates
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "client"
  range_key                   = "period"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "client"
    type = "S"
  }

  attribute {
    name = "period"
    type = "S"
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}

module "function" {
  source = "../function"

  name         = var.name
  account      = var.account
  stage        = "billing"
  package      = var.package
  architecture = var.architecture
  memory       = 256
  # It sends for a minute, and lists ten thousand clients in less.
  timeout = 120

  environment = {
    PROCESSORS             = var.processors_object
    BILLING_EVENTS_TABLE   = aws_dynamodb_table.events.name
    BILLING_PACKAGES_TABLE = aws_dynamodb_table.packages.name
    BILLING_CLIENTS_TABLE  = var.tables.clients
    LEDGER_TABLE           = var.pipeline.ledger_table
    INPUT_BUCKET           = var.pipeline.input_bucket
    INPUT_PREFIX           = var.pipeline.input_prefix
    OUTPUT_BUCKET          = var.pipeline.output_bucket
    CLOSES_EVERY           = 3600
    RUST_LOG               = var.log_level
  }

  # A package whose bytes are gone is told from one that may not be read by the right to list:
  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
  permissions = { for sid, permission in {
    ReadProcessors = { actions = ["s3:GetObject"], resources = ["${local.bucket_arn}${var.package.bucket}/processors/${var.pipeline.name}-*"] }
    ReadTerms      = { actions = ["dynamodb:Scan"], resources = ["${local.table_arn}/${var.tables.clients}"] }
    List           = { actions = ["s3:PutObject"], resources = ["${local.bucket_arn}${var.pipeline.input_bucket}/${var.pipeline.input_prefix}*"] }
    FindPackages   = { actions = ["dynamodb:Query"], resources = var.sends ? ["${local.table_arn}/${var.tables.packages}/index/open"] : [] }
    SendPackages   = { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resources = var.sends ? ["${local.table_arn}/${var.tables.packages}"] : [] }
    ReadPackages   = { actions = ["s3:GetObject"], resources = var.sends ? ["${local.bucket_arn}${var.pipeline.output_bucket}/packages/*"] : [] }
    ListOutput     = { actions = ["s3:ListBucket"], resources = var.sends ? ["${local.bucket_arn}${var.pipeline.output_bucket}"] : [] }
    # The meter of requests is an item of the ledger.
    Meter          = { actions = ["dynamodb:UpdateItem"], resources = var.sends ? ["${local.table_arn}/${var.pipeline.ledger_table}"] : [], keys = ["METER#invoices"] }
    ReadParameters = { actions = ["ssm:GetParameter"], resources = var.parameter_arns }
    ReadSecrets    = { actions = ["secretsmanager:GetSecretValue"], resources = var.secret_arns }
  } : sid => permission if length(permission.resources) > 0 }

  kms_key_arn = var.kms_key_arn
  decrypts_for = concat(
    length(var.parameter_arns) > 0 ? ["ssm"] : [],
    length(var.secret_arns) > 0 ? ["secretsmanager"] : [],
  )
  log_retention_days = var.log_retention_days
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.scheduled

  name                = "${var.name}-${each.key}"
  description         = "Has ${var.name} do what is due, at a fixed rate."
  schedule_expression = each.value.rate
}

# What could not be delivered is tried again within an hour; what sends is invoked in a minute anyway.
resource "aws_cloudwatch_event_target" "this" {
  for_each = local.scheduled

  rule  = aws_cloudwatch_event_rule.this[each.key].name
  arn   = module.function.arn
  input = jsonencode(each.value.event)

  retry_policy {
    maximum_event_age_in_seconds = each.key == "send" ? 60 : 3600
    maximum_retry_attempts       = each.key == "send" ? 0 : 10
  }

  # A rule whose function refuses its events drops them.
  depends_on = [aws_lambda_permission.this]
}

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = module.function.name
  maximum_event_age_in_seconds = 600
  maximum_retry_attempts       = 1
}

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions
resource "aws_lambda_permission" "this" {
  for_each = local.scheduled

  statement_id  = each.key
  function_name = module.function.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}

locals {
  log_group     = "/aws/lambda/${var.name}"
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${local.log_group}"

  # https://docs.aws.amazon.com/general/latest/gr/rande.html
  dns_suffix = var.account.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"

  # By which services it uses the key.
  key_services = var.stores ? concat(["dynamodb", "lambda", "s3"], var.publishes ? ["sns"] : [], ["sqs"]) : ["lambda"]

  permissions = merge(
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    { for id, permission in var.permissions : id => {
      actions   = permission.actions
      resources = permission.resources
      condition = permission.keys == null ? null : { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = permission.keys } }
    } },
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions
    { for id in ["Consume"] : id => {
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
      resources = [for trigger in var.triggers : trigger.queue_arn]
      condition = null
    } if length(var.triggers) > 0 },
    # https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-eventsourcemapping.html; the streams of a table are resources below it:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.Lambda.Tutorial.html
    { for stream in var.stream[*] : "ReadStream" => {
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
      resources = ["${stream.table_arn}/stream/*"]
      condition = null
    } },
    # Data encrypted with a customer's key is read and written by those who may use the key themselves, though only through
    # the services that store it: https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    # So does who publishes to a topic: https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    # Lambda decrypts the environment as the function's role:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
    { for id in ["UseKey"] : id => {
      actions   = var.stores ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
      resources = [var.kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = [for service in local.key_services : "${service}.${var.account.region}.${local.dns_suffix}"] } }
    } if var.kms_key_arn != null },
    # A secret under the service's own key (aws/ssm, aws/secretsmanager) needs no right to that:
    # https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-authz
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-access.html
    { for id in ["DecryptSecrets"] : id => {
      actions   = ["kms:Decrypt"]
      resources = [var.kms_key_arn]
      condition = { StringEquals = { "kms:ViaService" = [for service in var.decrypts_for : "${service}.${var.account.region}.${local.dns_suffix}"] } }
    } if var.kms_key_arn != null && length(var.decrypts_for) > 0 },
    # Not logs:CreateLogGroup: a group created by Lambda itself would keep its events for ever.
    { Log = {
      actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${local.log_group_arn}:*"]
      condition = null
    } },
  )
}

resource "aws_iam_role" "this" {
  name = var.name

  # Not for a function of another account: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = var.stage
  role = aws_iam_role.this.name

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

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:logs are for finding faults of the last days; the ledger and the outputs tell what was done, and log_retention_days keeps logs for longer where that is wanted

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:the actions of X-Ray cannot be limited to resources, which every right of these roles is; logs and the count of requests in the ledger tell what a function did
  #checkov:skip=CKV_AWS_115:maximum_concurrency of the event source mappings is the limit, or the throttle of the API; a reserved concurrency would take as much from the account's other functions
  #checkov:skip=CKV_AWS_116:a message that fails goes to its queue's own dead-letter queue, a sweep that fails is made good by the next, and who asks the API is told
  #checkov:skip=CKV_AWS_117:a function listens to nothing and calls AWS alone; a network of one's own would add endpoints to pay for and no boundary
  #checkov:skip=CKV_AWS_272:who deploys builds the zip, and there is no second party whose signature Lambda could ask for

  function_name = var.name
  role          = aws_iam_role.this.arn

  runtime          = "provided.al2023"
  handler          = var.stage
  architectures    = [var.architecture]
  s3_bucket        = var.package.bucket
  s3_key           = var.package.key
  source_code_hash = var.package.hash

  memory_size = var.memory
  timeout     = var.timeout

  environment {
    variables = var.environment
  }
  kms_key_arn = var.kms_key_arn # of the environment

  # The first invocation would otherwise race to create the group, without retention.
  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_lambda_event_source_mapping" "this" {
  for_each = var.triggers

  function_name    = aws_lambda_function.this.arn
  event_source_arn = each.value.queue_arn

  batch_size = each.value.batch_size

  # A window would only delay messages, and a FIFO queue cannot have one:
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  maximum_batching_window_in_seconds = 0

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
  function_response_types = ["ReportBatchItemFailures"]

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  dynamic "scaling_config" {
    for_each = each.value.maximum_concurrency[*]

    content {
      maximum_concurrency = scaling_config.value
    }
  }

  # Whoever paused a pipeline disabled its mapping, and a deployment must not resume it.
  lifecycle {
    ignore_changes = [enabled]
  }

  # Lambda checks that the role may receive messages when the mapping is created.
  depends_on = [aws_iam_role_policy.this]
}

# https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
resource "aws_lambda_event_source_mapping" "stream" {
  count = length(var.stream[*])

  function_name    = aws_lambda_function.this.arn
  event_source_arn = var.stream.arn

  # From the oldest change on, or those would be lost that are made while the mapping is.
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.stream.batch_size
  maximum_batching_window_in_seconds = 0
  parallelization_factor             = var.stream.parallelization

  filter_criteria {
    filter {
      pattern = var.stream.pattern
    }
  }

  # A change is tried until the stream forgets it, after a day, and those after it wait: the function sends on what it cannot work on.
  # https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
  function_response_types        = ["ReportBatchItemFailures"]
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = -1
  bisect_batch_on_function_error = false

  # Whoever disabled it keeps it so.
  lifecycle {
    ignore_changes = [enabled]
  }

  # Lambda checks that the role may read the stream when the mapping is created.
  depends_on = [aws_iam_role_policy.this]
}

# Earlier versions had a single queue per function.
moved {
  from = aws_lambda_event_source_mapping.this
  to   = aws_lambda_event_source_mapping.this["queue"]
}

locals {
  log_group     = "/aws/lambda/${var.name}"
  log_group_arn = "arn:${var.account.partition}:logs:${var.account.region}:${var.account.id}:log-group:${local.log_group}"

  permissions = merge(var.permissions, {
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions, and the change of
    # visibility by which a stage lets a message it cannot handle yet come back sooner.
    Consume = {
      actions = [
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility",
      ]
      resources = [var.queue_arn]
    }
    # Not logs:CreateLogGroup: a group that Lambda made itself would keep its events for ever.
    Log = {
      actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      resources = ["${local.log_group_arn}:*"]
    }
  })
}

resource "aws_iam_role" "this" {
  name = var.name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = var.stage
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for id, permission in local.permissions : {
      Sid      = id
      Effect   = "Allow"
      Action   = permission.actions
      Resource = permission.resources
    }]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "this" {
  function_name = var.name
  role          = aws_iam_role.this.arn

  runtime          = "provided.al2023"
  handler          = var.stage
  architectures    = [var.architecture]
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)

  memory_size = var.memory
  timeout     = var.timeout

  environment {
    variables = var.environment
  }

  # The first invocation would otherwise race to make the group, without retention.
  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_lambda_event_source_mapping" "this" {
  function_name    = aws_lambda_function.this.arn
  event_source_arn = var.queue_arn

  batch_size = var.batch_size

  # A window would only delay messages, and a FIFO queue cannot have one:
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  maximum_batching_window_in_seconds = 0

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
  function_response_types = ["ReportBatchItemFailures"]

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  # Lambda checks that the role may receive messages when the mapping is made.
  depends_on = [aws_iam_role_policy.this]
}

# How workers learn of chunks: by messages, by notifications or by a topic.

mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:mock" }
  }
}

variables {
  name               = "anna-chunked"
  variant            = "chunked"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20 }
  batch_size         = 3
  write_mode         = "ordered"
  item_attributes    = "prefixed"
  format             = "{}"
  input_prefix       = ""
  input_suffix       = ""
  limits             = "{}"
  results            = "failed"
  stall_after        = 600
  give_up_after      = 7200
  sweep_rate         = "rate(5 minutes)"
  alarms             = true
  alarm_age          = 1800
  chunk_size         = 250
  key_field          = "zip_code"
  record_schema      = "{}"
  log_level          = "debug"
  log_retention_days = 30
  protect_data       = true
}

run "topic" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-sns"
    variant = "sns"
    parts   = { unit = "chunk", pending = "bucket", fanOut = "topic", condition = "tree" }
  }

  assert {
    condition     = aws_sns_topic.chunks[0].name == "anna-sns-chunks" && aws_sns_topic.chunks[0].kms_master_key_id == null
    error_message = "the topic is named {scope}{pipeline}-chunks, and has no key of its own"
  }

  assert {
    condition = jsondecode(aws_sns_topic.chunks[0].policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "the topic denies what comes without TLS, and allows nobody anything: in the account IAM decides"
  }

  assert {
    condition = (
      length(aws_sns_topic_subscription.process) == 1
      && aws_sns_topic_subscription.process[0].topic_arn == "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"
      && aws_sns_topic_subscription.process[0].protocol == "sqs"
      && aws_sns_topic_subscription.process[0].endpoint == "arn:aws:sqs:eu-central-1:123456789012:anna-sns-process"
      && aws_sns_topic_subscription.process[0].raw_message_delivery
      && aws_sns_topic_subscription.process[0].filter_policy == null
    )
    error_message = "the topic delivers every message as it was published to the workers' queue"
  }

  assert {
    condition     = jsondecode(aws_sns_topic_subscription.process[0].redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:anna-sns-parked" }
    error_message = "what cannot be delivered is parked"
  }

  assert {
    condition = { for name in ["scatter", "process", "gather", "parked"] : name => [
      for statement in jsondecode(output.resource_policies[name]).Statement : "${statement.Principal.Service} ${statement.Action} ${statement.Condition.ArnEquals["aws:SourceArn"]}" if statement.Effect == "Allow"
      ] } == {
      scatter = ["s3.amazonaws.com sqs:SendMessage arn:aws:s3:::anna-sns-input-123456789012"]
      process = ["sns.amazonaws.com sqs:SendMessage arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"]
      gather  = []
      parked  = ["sns.amazonaws.com sqs:SendMessage arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"]
    }
    error_message = "the topic may send to the workers' queue and to the parked one, and to no other"
  }

  assert {
    condition     = alltrue([for name in ["process", "parked"] : [for statement in jsondecode(output.resource_policies[name]).Statement : statement.Resource] == [for _ in range(2) : "arn:aws:sqs:eu-central-1:123456789012:anna-sns-${name}"]])
    error_message = "each policy is about its own queue"
  }

  assert {
    condition = { for function, made in module.function : function => made.settings.environment["PROCESS_TOPIC_ARN"] if can(made.settings.environment["PROCESS_TOPIC_ARN"]) } == {
      scatter = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"
    }
    error_message = "scatter alone is told of the topic"
  }

  # The prefix of the names is left out.
  assert {
    condition = toset([for statement in jsondecode(module.function["scatter"].policy).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-sns-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) == toset([
      "*: s3:GetObject",
      "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
      "input-123456789012: s3:ListBucket s3:ListBucketVersions",
      "work-123456789012/*: s3:GetObject",
      "work-123456789012/*/pending/*: s3:DeleteObject",
      "work-123456789012: s3:ListBucket",
      "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
      "chunks: sns:Publish",
      "gather.fifo scatter-dlq: sqs:SendMessage",
      "work-123456789012/*/pending/* work-123456789012/*/objects/*: s3:PutObject",
      "work-123456789012/*/done/*: s3:PutObject",
      "scatter: sqs:ChangeMessageVisibility",
      "scatter: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
      "scatter:*: logs:CreateLogStream logs:PutLogEvents",
    ])
    error_message = "scatter publishes what it would otherwise send to the workers' queue, which it may not send to"
  }

  assert {
    condition     = [for function, made in module.function : function if strcontains(made.policy, "sns:")] == ["scatter"]
    error_message = "nobody else may publish"
  }

  assert {
    condition = flatten([for statement in jsondecode(module.function["sweep"].policy).Statement : statement.Resource if contains(statement.Action, "sqs:SendMessage")]) == [
      for queue in ["gather.fifo", "process", "scatter"] : "arn:aws:sqs:eu-central-1:123456789012:anna-sns-${queue}"
    ]
    error_message = "sweep sends straight to the workers' queue"
  }
}

run "topic_with_a_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name        = "anna-sns"
    variant     = "sns"
    parts       = { unit = "chunk", pending = "bucket", fanOut = "topic", condition = "tree" }
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = aws_sns_topic.chunks[0].kms_master_key_id == var.kms_key_arn
    error_message = "the topic is encrypted with the key"
  }

  assert {
    condition     = [for function, made in module.function : function if strcontains(made.policy, "sns.eu-central-1.amazonaws.com")] == ["scatter"]
    error_message = "scatter alone may use the key through SNS"
  }
}

run "messages" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = length(aws_sns_topic.chunks) == 0 && length(aws_sns_topic_subscription.process) == 0 && output.deployment.topic_arn == null && !can(output.resource_policies["chunks"])
    error_message = "there is no topic where scatter sends messages"
  }

  assert {
    condition     = alltrue([for function in module.function : !strcontains(function.policy, "sns") && !can(function.settings.environment["PROCESS_TOPIC_ARN"])])
    error_message = "no function knows of one"
  }

  assert {
    condition     = alltrue([for policy in output.resource_policies : !strcontains(policy, "sns.amazonaws.com")])
    error_message = "no queue takes anything from SNS"
  }
}

run "notifications" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-notification"
    variant = "notification"
    parts   = { unit = "chunk", pending = "bucket", fanOut = "notifications", condition = "tree" }
  }

  assert {
    condition     = length(aws_sns_topic.chunks) == 0 && length(aws_sns_topic_subscription.process) == 0 && output.deployment.topic_arn == null
    error_message = "there is no topic where the work bucket notifies"
  }

  assert {
    condition = flatten([for statement in jsondecode(module.function["scatter"].policy).Statement : statement.Resource if contains(statement.Action, "sqs:SendMessage") || contains(statement.Action, "sns:Publish")]) == [
      for queue in ["gather.fifo", "scatter-dlq"] : "arn:aws:sqs:eu-central-1:123456789012:anna-notification-${queue}"
    ]
    error_message = "scatter tells the workers nothing itself"
  }
}

# This run is the last, since the runs of a file share their state.
run "deployment" {
  command = apply # the topic's ARN is known only then; nothing is created, the provider is a mock

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-sns"
    variant = "sns"
    parts   = { unit = "chunk", pending = "bucket", fanOut = "topic", condition = "tree" }
  }

  override_resource {
    target = aws_sns_topic.chunks[0]
    values = { arn = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks" }
  }

  assert {
    condition     = output.deployment.topic_arn == "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"
    error_message = "a client learns what it can subscribe to"
  }
}

# What each function may do.

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

run "chunks_in_the_work_bucket" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-chunked"
    variant = "chunked"
    parts   = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  }

  # The prefix of the names is left out.
  assert {
    condition = { for function, made in module.function : function => toset([for statement in jsondecode(made.policy).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-chunked-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) } == {
      scatter = toset([
        "*: s3:GetObject",
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "process gather.fifo scatter-dlq: sqs:SendMessage",
        "work-123456789012/*/pending/* work-123456789012/*/objects/*: s3:PutObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "scatter: sqs:ChangeMessageVisibility",
        "scatter: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "scatter:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      process = toset([
        "*: s3:GetObject",
        "items: dynamodb:BatchWriteItem dynamodb:PutItem",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "gather.fifo process-dlq: sqs:SendMessage",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "process: sqs:ChangeMessageVisibility",
        "process: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "process:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      gather = toset([
        "output-123456789012/*: s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:PutObject",
        "work-123456789012/*/gather/*: s3:DeleteObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "gather-dlq.fifo: sqs:SendMessage",
        "gather.fifo: sqs:ChangeMessageVisibility",
        "gather.fifo: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "gather:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      bury = toset([
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "gather.fifo parked: sqs:SendMessage",
        "gather-dlq.fifo process-dlq scatter-dlq: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "bury:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      sweep = toset([
        "ledger/index/open-batches: dynamodb:Query",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "output-123456789012/*/summary.json: s3:GetObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "gather.fifo process scatter: sqs:SendMessage",
        "sweep:*: logs:CreateLogStream logs:PutLogEvents",
      ])
    }
    error_message = "every function of chunked may do what it does on its resources, and nothing else"
  }
}

run "records_in_the_work_bucket" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-sync"
    variant = "sync"
    parts   = { unit = "record", pending = "bucket", fanOut = "messages", condition = "listing" }
  }

  # The prefix of the names is left out.
  assert {
    condition = { for function, made in module.function : function => toset([for statement in jsondecode(made.policy).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-sync-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) } == {
      scatter = toset([
        "*: s3:GetObject",
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "process gather.fifo scatter-dlq: sqs:SendMessage",
        "work-123456789012/*/pending/* work-123456789012/*/objects/*: s3:PutObject",
        "scatter: sqs:ChangeMessageVisibility",
        "scatter: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "scatter:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      process = toset([
        "*: s3:GetObject",
        "items: dynamodb:BatchWriteItem dynamodb:PutItem",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "gather.fifo process-dlq: sqs:SendMessage",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "process: sqs:ChangeMessageVisibility",
        "process: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "process:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      gather = toset([
        "output-123456789012/*: s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:PutObject",
        "work-123456789012/*/gather/*: s3:DeleteObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "gather-dlq.fifo: sqs:SendMessage",
        "gather.fifo: sqs:ChangeMessageVisibility",
        "gather.fifo: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "gather:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      bury = toset([
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "gather.fifo parked: sqs:SendMessage",
        "gather-dlq.fifo process-dlq scatter-dlq: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "bury:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      sweep = toset([
        "ledger/index/open-batches: dynamodb:Query",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "output-123456789012/*/summary.json: s3:GetObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "gather.fifo process scatter: sqs:SendMessage",
        "sweep:*: logs:CreateLogStream logs:PutLogEvents",
      ])
    }
    error_message = "every function of sync may do what it does on its resources, and nothing else"
  }
}

run "async_like_sync" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-async"
    variant = "async"
    parts   = { unit = "record", pending = "bucket", fanOut = "messages", condition = "listing" }
  }

  # The prefix of the names is left out.
  assert {
    condition = { for function, made in module.function : function => toset([for statement in jsondecode(made.policy).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-async-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) } == {
      scatter = toset([
        "*: s3:GetObject",
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "process gather.fifo scatter-dlq: sqs:SendMessage",
        "work-123456789012/*/pending/* work-123456789012/*/objects/*: s3:PutObject",
        "scatter: sqs:ChangeMessageVisibility",
        "scatter: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "scatter:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      process = toset([
        "*: s3:GetObject",
        "items: dynamodb:BatchWriteItem dynamodb:PutItem",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "gather.fifo process-dlq: sqs:SendMessage",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "process: sqs:ChangeMessageVisibility",
        "process: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "process:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      gather = toset([
        "output-123456789012/*: s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:PutObject",
        "work-123456789012/*/gather/*: s3:DeleteObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "gather-dlq.fifo: sqs:SendMessage",
        "gather.fifo: sqs:ChangeMessageVisibility",
        "gather.fifo: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "gather:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      bury = toset([
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "gather.fifo parked: sqs:SendMessage",
        "gather-dlq.fifo process-dlq scatter-dlq: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "bury:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      sweep = toset([
        "ledger/index/open-batches: dynamodb:Query",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "output-123456789012/*/summary.json: s3:GetObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "gather.fifo process scatter: sqs:SendMessage",
        "sweep:*: logs:CreateLogStream logs:PutLogEvents",
      ])
    }
    error_message = "every function of async may do what it does on its resources, and nothing else"
  }
}

run "chunks_in_the_tasks_table" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-dynamodb"
    variant = "dynamodb"
    parts   = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
  }

  # The prefix of the names is left out.
  assert {
    condition = { for function, made in module.function : function => toset([for statement in jsondecode(made.policy).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-dynamodb-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) } == {
      scatter = toset([
        "*: s3:GetObject",
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "process gather.fifo scatter-dlq: sqs:SendMessage",
        "tasks: dynamodb:PutItem dynamodb:Query",
        "work-123456789012/*/objects/*: s3:PutObject",
        "scatter: sqs:ChangeMessageVisibility",
        "scatter: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "scatter:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      process = toset([
        "*: s3:GetObject",
        "items: dynamodb:BatchWriteItem dynamodb:PutItem",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "gather.fifo process-dlq: sqs:SendMessage",
        "tasks: dynamodb:BatchWriteItem dynamodb:PutItem dynamodb:Query",
        "process: sqs:ChangeMessageVisibility",
        "process: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "process:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      gather = toset([
        "output-123456789012/*: s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:PutObject",
        "work-123456789012/*/gather/*: s3:DeleteObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "tasks: dynamodb:Query",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012: s3:ListBucket",
        "gather-dlq.fifo: sqs:SendMessage",
        "gather.fifo: sqs:ChangeMessageVisibility",
        "gather.fifo: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "gather:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      bury = toset([
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "gather.fifo parked: sqs:SendMessage",
        "tasks: dynamodb:PutItem dynamodb:Query",
        "gather-dlq.fifo process-dlq scatter-dlq: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "bury:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      sweep = toset([
        "ledger/index/open-batches: dynamodb:Query",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "output-123456789012/*/summary.json: s3:GetObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "gather.fifo process scatter: sqs:SendMessage",
        "tasks: dynamodb:PutItem dynamodb:Query",
        "sweep:*: logs:CreateLogStream logs:PutLogEvents",
      ])
    }
    error_message = "every function of dynamodb may do what it does on its resources, and nothing else"
  }
}

run "chunks_in_the_input" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-ranged"
    variant = "ranged"
    parts   = { unit = "chunk", pending = "input", fanOut = "messages", condition = "tree" }
  }

  # The prefix of the names is left out.
  assert {
    condition = { for function, made in module.function : function => toset([for statement in jsondecode(made.policy).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-ranged-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) } == {
      scatter = toset([
        "*: s3:GetObject",
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "process gather.fifo scatter-dlq: sqs:SendMessage",
        "work-123456789012/*/pending/* work-123456789012/*/objects/*: s3:PutObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "scatter: sqs:ChangeMessageVisibility",
        "scatter: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "scatter:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      process = toset([
        "*: s3:GetObject",
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "items: dynamodb:BatchWriteItem dynamodb:PutItem",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "gather.fifo process-dlq: sqs:SendMessage",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "process: sqs:ChangeMessageVisibility",
        "process: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "process:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      gather = toset([
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "output-123456789012/*: s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:PutObject",
        "work-123456789012/*/gather/*: s3:DeleteObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "gather-dlq.fifo: sqs:SendMessage",
        "gather.fifo: sqs:ChangeMessageVisibility",
        "gather.fifo: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "gather:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      bury = toset([
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem",
        "gather.fifo parked: sqs:SendMessage",
        "gather-dlq.fifo process-dlq scatter-dlq: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
        "bury:*: logs:CreateLogStream logs:PutLogEvents",
      ])
      sweep = toset([
        "input-123456789012/*: s3:GetObject s3:GetObjectVersion",
        "input-123456789012: s3:ListBucket s3:ListBucketVersions",
        "ledger/index/open-batches: dynamodb:Query",
        "ledger: dynamodb:BatchGetItem dynamodb:GetItem dynamodb:UpdateItem",
        "work-123456789012/*: s3:GetObject",
        "work-123456789012/*/done/*: s3:PutObject",
        "work-123456789012/*/pending/*: s3:DeleteObject",
        "work-123456789012: s3:ListBucket",
        "output-123456789012/*/summary.json: s3:GetObject s3:PutObject",
        "output-123456789012: s3:ListBucket",
        "gather.fifo process scatter: sqs:SendMessage",
        "sweep:*: logs:CreateLogStream logs:PutLogEvents",
      ])
    }
    error_message = "every function of ranged may do what it does on its resources, and nothing else"
  }
}

# What takes records that are sent one at a time: a table with a stream, or a function, in place of the queue alone.

mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
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
    defaults        = { uuid = "01234567-89ab-cdef-0123-456789abcdef" }
    override_during = plan
  }

  mock_resource "aws_sqs_queue" {
    defaults        = { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/mock" }
    override_during = plan
  }

  mock_resource "aws_api_gateway_rest_api" {
    defaults        = { id = "a1b2c3" }
    override_during = plan
  }

  mock_resource "aws_dynamodb_table" {
    defaults        = { stream_arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-orders-requests/stream/2026-01-01T00:00:00.000" }
    override_during = plan
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3"
      api_endpoint  = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3"
    }
    override_during = plan
  }
}

variables {
  name               = "anna-orders"
  variant            = "ranged"
  parts              = { unit = "chunk", pending = "input", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20, records = 7 }
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
  records_api        = "IAM"
}

run "by_the_queue" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = output.deployment.records_api.by == "queue" && length(module.submit) == 0 && output.settings.records.stream == null
    error_message = "unless something else is asked for, records are put into the queue"
  }

  assert {
    condition     = !coalesce(aws_dynamodb_table.requests[0].stream_enabled, false) && !strcontains(output.policies.records, "/stream/") && !contains(module.alarms.names, "records-stream-age")
    error_message = "without the table there is no stream, nobody who reads one, and no alarm of one"
  }
}

run "by_the_table" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "KEY"
    records_by  = "table"
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = output.deployment.records_api.by == "table" && output.deployment.records_api.authorisation == "KEY" && output.deployment.records_api.url == "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1"
    error_message = "a client learns where the API is, and what takes records"
  }

  assert {
    condition     = aws_dynamodb_table.requests[0].stream_enabled && aws_dynamodb_table.requests[0].stream_view_type == "NEW_IMAGE"
    error_message = "what is put into the table is told by its stream"
  }

  assert {
    condition = output.settings.records.stream == {
      arn               = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-orders-requests/stream/2026-01-01T00:00:00.000"
      batch_size        = 100
      parallelization   = 10
      pattern           = "{\"eventName\":[\"INSERT\"]}"
      starting_position = "TRIM_HORIZON"
      attempts          = -1
      age               = -1
      bisects           = false
      window            = 0
      reports           = toset(["ReportBatchItemFailures"])
    }
    error_message = "each new row is delivered, in large batches, without a wait, until it is worked on"
  }

  assert {
    condition     = keys(output.settings.records.triggers) == ["queue"] && contains(keys(output.settings.bury.triggers), "records")
    error_message = "what the stream tells of is queued, and is stored, tried again and given up from there"
  }

  assert {
    condition     = endswith(output.settings.records.environment.SOURCE_QUEUE_URL, "anna-orders-records")
    error_message = "the function knows the queue that it sends on to"
  }

  # The prefix of the names is left out.
  assert {
    condition = toset([for statement in jsondecode(output.policies.records).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-orders-", resource)[1]])}: ${join(" ", sort(statement.Action))}" if statement.Sid != "UseKey"
      ]) == toset([
      "*: s3:GetObject",
      "ledger: dynamodb:GetItem dynamodb:UpdateItem",
      "requests: dynamodb:UpdateItem",
      "requests/stream/*: dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams",
      "items: dynamodb:BatchWriteItem dynamodb:PutItem",
      "records-dlq records: sqs:SendMessage",
      "records: sqs:ChangeMessageVisibility",
      "records: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
      "records:*: logs:CreateLogStream logs:PutLogEvents",
    ])
    error_message = "the function that stores such records also reads that stream and sends to that queue"
  }

  assert {
    condition     = contains(module.alarms.names, "records-stream-age") && contains(module.alarms.names, "records-age") && contains(module.alarms.names, "records-dlq")
    error_message = "an alarm tells of a change that waits in the stream"
  }

  assert {
    condition     = output.concurrency == 1 + 5 + 20 + 10 + 7 + 10
    error_message = "what the account allows is compared with the readers of the stream, too"
  }
}

run "by_the_function" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_by = "function"
    processors = "[\"items\",{\"invoke\":{\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:check\"}}]"
  }

  assert {
    condition = output.deployment.records_api == {
      url = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1", authorisation = "IAM", by = "function", key = null
    } && output.deployment.functions.submit == "anna-orders-submit" && output.deployment.functions.records == "anna-orders-records"
    error_message = "a client learns where the API is, and which functions there are"
  }

  assert {
    condition     = length(module.records) == 0 && length(aws_dynamodb_table.requests) == 1 && output.settings.records.stream == null
    error_message = "there is no REST API, and no stream"
  }

  assert {
    condition     = output.settings.submit.handler == "submit" && output.settings.submit.timeout == 29 && output.settings.submit.triggers == {} && output.settings.records.triggers.queue.batch_size == 10
    error_message = "the function answers within the time that an HTTP API waits, and what it queues is stored as by the queue"
  }

  assert {
    condition = toset(keys(output.settings.submit.environment)) == toset([
      "FORMAT", "INPUT_BUCKET", "ITEMS_TABLE", "ITEM_ATTRIBUTES", "KEY_FIELD", "LEDGER_TABLE", "RECORDS_QUEUE_URL", "RECORD_SCHEMA", "REQUESTS_TABLE", "RUST_LOG", "VARIANT", "WORK_BUCKET",
    ]) && output.settings.submit.environment.ITEMS_TABLE == "anna-orders-items" && output.settings.submit.environment.REQUESTS_TABLE == "anna-orders-requests"
    error_message = "it learns what a record has to be, where it is queued and what is looked up"
  }

  assert {
    condition = toset([for statement in jsondecode(output.policies.submit).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-orders-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) == toset([
      "*: s3:GetObject",
      "requests items: dynamodb:GetItem",
      "records: sqs:SendMessage",
      "submit:*: logs:CreateLogStream logs:PutLogEvents",
    ])
    error_message = "it reads the schema and two tables, sends to one queue, and has nothing to do with what is done with records"
  }

  assert {
    condition     = !strcontains(output.policies.records, "SendMessage\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws:sqs:eu-central-1:123456789012:anna-orders-records\"")
    error_message = "what stores records sends nothing to its own queue"
  }
}

run "rejects_something_else" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_by = "topic"
  }

  expect_failures = [var.records_by]
}

run "rejects_keys_before_a_function" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "KEY"
    records_by  = "function"
  }

  expect_failures = [var.records_by]
}

run "without_the_api_nothing_takes_records" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = ""
    records_by  = "function"
  }

  assert {
    condition     = length(module.submit) == 0 && !contains(keys(output.deployment.functions), "submit") && output.deployment.records_api == null
    error_message = "records_by alone makes nothing"
  }
}

# The HTTP API alone.

run "routes" {
  command = plan

  module {
    source = "./modules/submit"
  }

  variables {
    name     = "anna-orders-submit"
    function = { name = "anna-orders-submit", arn = "arn:aws:lambda:eu-central-1:123456789012:function:anna-orders-submit" }
    rate     = 5
    burst    = 6
  }

  assert {
    condition     = output.routes == { "GET /records/{key}" = "AWS_IAM", "GET /status/{id}" = "AWS_IAM", "POST /records" = "AWS_IAM" }
    error_message = "each path is for callers that sign their requests, and there is no other"
  }

  assert {
    condition     = one(aws_apigatewayv2_stage.this.default_route_settings).throttling_rate_limit == 5 && one(aws_apigatewayv2_stage.this.default_route_settings).throttling_burst_limit == 6
    error_message = "so many requests are let in and no more"
  }

  assert {
    condition     = !anytrue([for secret in ["querystring", "body", "header", "context.path", "requestOverride"] : strcontains(one(aws_apigatewayv2_stage.this.access_log_settings).format, secret)]) && aws_cloudwatch_log_group.access.retention_in_days == 30
    error_message = "the log of requests has no bodies, no keys of records and no ids of requests, and is kept as others are"
  }

  assert {
    condition     = aws_lambda_permission.this.source_arn == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3/v1/*" && aws_lambda_permission.this.function_name == "anna-orders-submit"
    error_message = "this API alone invokes the function"
  }
}

run "on_an_emulator" {
  command = plan

  module {
    source = "./modules/submit"
  }

  variables {
    name              = "anna-orders-submit"
    function          = { name = "anna-orders-submit", arn = "arn:aws:lambda:eu-central-1:123456789012:function:anna-orders-submit" }
    emulator_endpoint = "http://127.0.0.1:4566/"
    kms_key_arn       = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = output.api.url == "http://127.0.0.1:4566/_aws/execute-api/a1b2c3/v1" && aws_cloudwatch_log_group.access.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/1234"
    error_message = "on an emulator, the API has a path; its log is encrypted with the key that is given"
  }
}

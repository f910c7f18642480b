# The API of records that are sent one at a time: that there is none unless it is asked for, who is let in, and what is made for it.

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

  mock_resource "aws_api_gateway_api_key" {
    defaults        = { id = "k1e2y3" }
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
}

run "nothing_unless_it_is_asked_for" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = [length(module.records), length(aws_dynamodb_table.requests), length(module.function), length(module.queue)] == [0, 0, 5, 3]
    error_message = "without records_api there is no API, no table of requests, no function and no queue for it"
  }

  assert {
    condition     = output.deployment.records_api == null && output.deployment.requests_table == null
    error_message = "a client learns that there is none"
  }

  assert {
    condition     = !contains(keys(output.settings.bury.environment), "REQUESTS_TABLE") && !strcontains(output.policies.bury, "requests")
    error_message = "bury has nothing to do with requests that there are not"
  }
}

run "with_iam" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "IAM"
  }

  assert {
    condition = output.deployment.records_api == {
      url = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1", authorisation = "IAM", by = "queue", key = null
    } && output.deployment.requests_table == "anna-orders-requests"
    error_message = "a client learns where the API is and who is let in"
  }

  assert {
    condition     = output.settings.records.handler == "records" && output.settings.records.memory == 400 && output.settings.records.timeout == 100
    error_message = "the function that stores such records is as large as process"
  }

  assert {
    condition     = output.settings.records.triggers == { queue = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:anna-orders-records", batch_size = 10, maximum_concurrency = 7 } }
    error_message = "it takes as many messages as Lambda delivers without a window, and so many times at once"
  }

  assert {
    condition     = output.concurrency == 1 + 5 + 20 + 10 + 7
    error_message = "what the account allows is compared with these functions, too"
  }

  assert {
    condition = toset(keys(output.settings.records.environment)) == toset([
      "DEAD_LETTER_QUEUE_URL", "FORMAT", "INPUT_BUCKET", "ITEMS_TABLE", "ITEM_ATTRIBUTES", "KEY_FIELD", "LEDGER_TABLE", "RECORD_SCHEMA", "REQUESTS_TABLE",
      "RUST_LOG", "SOURCE_QUEUE_URL", "VARIANT", "WORK_BUCKET", "WRITE_MODE",
    ])
    error_message = "it learns what process does of records, and where requests are kept"
  }

  assert {
    condition     = [for stage in ["bury", "records"] : output.settings[stage].environment.REQUESTS_TABLE] == ["anna-orders-requests", "anna-orders-requests"]
    error_message = "bury writes what became of requests, too"
  }

  assert {
    condition     = [for stage, settings in output.settings : stage if contains(keys(settings.environment), "REQUESTS_TABLE")] == ["bury", "records"]
    error_message = "no other function has to do with requests"
  }

  # The prefix of the names is left out.
  assert {
    condition = toset([for statement in jsondecode(output.policies.records).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-orders-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) == toset([
      "*: s3:GetObject",
      "ledger: dynamodb:GetItem dynamodb:UpdateItem",
      "requests: dynamodb:UpdateItem",
      "items: dynamodb:BatchWriteItem dynamodb:PutItem",
      "records-dlq: sqs:SendMessage",
      "records: sqs:ChangeMessageVisibility",
      "records: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
      "records:*: logs:CreateLogStream logs:PutLogEvents",
    ])
    error_message = "the function that stores such records may do exactly this"
  }

  assert {
    condition = toset([for statement in jsondecode(output.policies.bury).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-orders-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      if statement.Sid == "EndRequests" || statement.Sid == "Consume"]) == toset([
      "gather-dlq.fifo process-dlq records-dlq scatter-dlq: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
      "requests: dynamodb:GetItem dynamodb:UpdateItem",
    ])
    error_message = "bury ends requests whose messages are given up"
  }

  assert {
    condition     = keys(output.settings.bury.triggers) == ["gather", "process", "records", "scatter"]
    error_message = "every dead-letter queue is a trigger of bury"
  }

  assert {
    condition     = !strcontains(output.policies.sweep, "anna-orders-records")
    error_message = "sweep sends nothing to the queue of such records"
  }

  assert {
    condition     = aws_dynamodb_table.requests[0].hash_key == "id" && one(aws_dynamodb_table.requests[0].ttl).attribute_name == "expiresAt" && aws_dynamodb_table.requests[0].deletion_protection_enabled && one(aws_dynamodb_table.requests[0].point_in_time_recovery).enabled
    error_message = "the table of requests has the id as its key, forgets, and is protected as the others are"
  }

  assert {
    condition     = contains(keys(output.resource_policies), "records") && contains(keys(output.resource_policies), "records-dlq")
    error_message = "its queues refuse plain HTTP as the others do"
  }
}

run "with_a_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api       = "KEY"
    emulator_endpoint = "http://127.0.0.1:4566/"
    processors        = "[\"items\",{\"invoke\":{\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:check\"}}]"
  }

  assert {
    condition = output.deployment.records_api == {
      url           = "http://127.0.0.1:4566/_aws/execute-api/a1b2c3/v1"
      authorisation = "KEY"
      by            = "queue"
      key = {
        id   = "k1e2y3"
        read = "aws apigateway get-api-key --region eu-central-1 --api-key k1e2y3 --include-value --query value --output text"
      }
    }
    error_message = "a client learns how to read the key, and not the key; on an emulator, the API has a path"
  }

  assert {
    condition     = strcontains(output.policies.records, "lambda:InvokeFunction") && strcontains(output.policies.records, "/processors/anna-orders-*") && contains(keys(output.settings.records.environment), "PROCESSORS")
    error_message = "what is done with records of files is done with those that are sent by themselves"
  }
}

run "rejects_another_authorisation" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "NONE"
  }

  expect_failures = [var.records_api]
}

run "rejects_a_pipeline_without_items" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "IAM"
    processors  = "[{\"http\":{\"url\":\"https://api.example.com\"}}]"
  }

  expect_failures = [var.records_api]
}

run "rejects_a_pipeline_that_counts" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "IAM"
    processors  = "[\"items\",{\"aggregate\":{\"group_by\":[\"client\"]}}]"
  }

  expect_failures = [var.records_api]
}

# Parts of reports that are answered from what another pipeline counts: which pipeline, which fields, and what is refused.

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
}

variables {
  name               = "anna-rows"
  variant            = "chunked"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20 }
  batch_size         = 3
  write_mode         = "batch"
  item_attributes    = "prefixed"
  format             = "{}"
  limits             = "{}"
  stall_after        = 600
  give_up_after      = 7200
  sweep_rate         = "rate(5 minutes)"
  alarms             = true
  alarm_age          = 1800
  chunk_size         = 250
  record_schema      = "{}"
  log_level          = "debug"
  log_retention_days = 30
  protect_data       = true

  key_field    = "part"
  results      = "all"
  input_prefix = ""
  input_suffix = ""
  counted      = { metering = { table = "anna-metering-counters", group_by = 2, sum = ["kwh", "price"] }, sales = { table = "anna-sales-counters", group_by = 1, sum = [] } }
}

run "counters_of_another_pipeline" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode([{ usage = { counters_of = "metering", sum = ["kwh"] } }, "items"])
  }

  assert {
    condition     = module.function["process"].settings.environment.USAGE_TABLE == "anna-metering-counters" && !contains(keys(output.settings), "consolidate")
    error_message = "parts are answered without reports, too"
  }

  assert {
    condition     = output.settings.process.environment.PROCESSORS == "s3://anna-package-123456789012/processors/anna-rows-${substr(sha256(var.processors), 0, 16)}.json"
    error_message = "process is told what it answers from"
  }
}

run "counters_without_sums" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors  = jsonencode([{ usage = { counters_of = "metering" } }, "items"])
    records_api = "IAM"
  }

  assert {
    condition     = [for stage, policy in output.policies : stage if strcontains(policy, "table/anna-metering-counters")] == ["process", "records"] && output.settings.records.environment.USAGE_TABLE == "anna-metering-counters"
    error_message = "records that are sent by themselves are answered as those of files"
  }
}

run "rejects_a_pipeline_that_counts_nothing" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode([{ usage = { counters_of = "orders" } }, "items"])
  }

  expect_failures = [var.counted]
}

run "rejects_counters_of_nobody" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode([{ usage = { counters_of = "metering" } }, "items"])
    counted    = {}
  }

  expect_failures = [var.counted]
}

run "rejects_counters_that_are_not_of_days" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode([{ usage = { counters_of = "sales" } }, "items"])
  }

  expect_failures = [var.counted]
}

run "rejects_a_sum_that_is_not_kept" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode([{ usage = { counters_of = "metering", sum = ["kwh", "litres"] } }, "items"])
  }

  expect_failures = [var.counted]
}

run "rejects_usage_by_its_name" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-rows"
    region = "eu-central-1"
    text   = "usage"
  }

  expect_failures = [output.processors]
}

run "rejects_usage_of_nothing" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-rows"
    region = "eu-central-1"
    text   = jsonencode([{ usage = { sum = ["kwh"] } }, "items"])
  }

  expect_failures = [output.processors]
}

run "rejects_usage_of_a_pipeline_without_a_name" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-rows"
    region = "eu-central-1"
    text   = jsonencode([{ usage = { counters_of = "" } }, "items"])
  }

  expect_failures = [output.processors]
}

run "rejects_a_sum_that_is_no_list" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-rows"
    region = "eu-central-1"
    text   = jsonencode([{ usage = { counters_of = "metering", sum = "kwh" } }, "items"])
  }

  expect_failures = [output.processors]
}

run "rejects_usage_beside_a_function" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-rows"
    region = "eu-central-1"
    text   = jsonencode([{ usage = { counters_of = "metering" } }, { invoke = { function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:f" } }])
  }

  expect_failures = [output.processors]
}

run "rejects_two_usages" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-rows"
    region = "eu-central-1"
    text   = jsonencode([{ usage = { counters_of = "metering" } }, { usage = { counters_of = "sales" } }])
  }

  expect_failures = [output.processors]
}

# Invalid settings of a pipeline, whichever way they are given.

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

run "rejects_chunk_of_no_records" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    chunk_size = 0
  }

  expect_failures = [var.chunk_size]
}

run "rejects_chunk_that_is_too_large" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    chunk_size = 10001
  }

  expect_failures = [var.chunk_size]
}

run "rejects_chunk_of_half_a_record" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    chunk_size = 0.5 + 1
  }

  expect_failures = [var.chunk_size]
}

run "rejects_key_field_that_every_item_has" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = "fanfoldOrder"
  }

  expect_failures = [var.key_field]
}

run "rejects_key_field_that_is_empty" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = ""
  }

  expect_failures = [var.key_field]
}

run "rejects_key_field_that_is_too_long" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = format("%0256d", 0)
  }

  expect_failures = [var.key_field]
}

run "rejects_key_field_too_long_in_bytes" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = "${format("%0254d", 0)}ü"
  }

  expect_failures = [var.key_field]
}

run "rejects_key_field_that_items_have_already" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = "fanfoldBatchId"
  }

  expect_failures = [var.key_field]
}

run "rejects_schema_that_is_an_array" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    record_schema = file("./tests/fixtures/array.schema.json")
  }

  expect_failures = [var.record_schema]
}

run "rejects_schema_that_is_not_json" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    record_schema = file("./tests/fixtures/broken.schema.json")
  }

  expect_failures = [var.record_schema]
}

run "rejects_schema_that_is_too_large" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    record_schema = jsonencode({ description = format("%0350000d", 0) })
  }

  expect_failures = [var.record_schema]
}

run "rejects_format_that_is_no_object" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    format = "[\";\"]"
  }

  expect_failures = [var.format]
}

run "rejects_format_with_a_setting_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    format = "{\"delimeter\":\";\"}"
  }

  expect_failures = [var.format]
}

run "rejects_limits_that_are_no_object" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    limits = "10"
  }

  expect_failures = [var.limits]
}

run "rejects_limits_of_something_else" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    limits = "{\"euros\":10}"
  }

  expect_failures = [var.limits]
}

run "rejects_a_limit_that_allows_nothing" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    limits = "{\"records\":0}"
  }

  expect_failures = [var.limits]
}

run "rejects_bare_key_field_that_items_have_already" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field       = "batchId"
    item_attributes = "bare"
  }

  expect_failures = [var.key_field]
}

run "rejects_item_attributes_that_do_not_exist" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    item_attributes = "suffixed"
  }

  expect_failures = [var.item_attributes]
}

run "rejects_write_mode_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    write_mode = "sorted"
  }

  expect_failures = [var.write_mode]
}

run "rejects_results_that_do_not_exist" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    results = "succeeded"
  }

  expect_failures = [var.results]
}

run "rejects_input_prefix_with_a_wildcard" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_prefix = "incoming/*"
  }

  expect_failures = [var.input_prefix]
}

run "rejects_input_prefix_that_is_not_ascii" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_prefix = "ein gänge/"
  }

  expect_failures = [var.input_prefix]
}

run "rejects_input_suffix_with_a_wildcard" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_suffix = "*.csv"
  }

  expect_failures = [var.input_suffix]
}

run "rejects_fair_by_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    fair_by = "client"
  }

  expect_failures = [var.fair_by]
}

run "rejects_a_share_over_all" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    tolerate = "101%"
  }

  expect_failures = [var.tolerate]
}

run "rejects_tolerate_that_is_no_number" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    tolerate = "some"
  }

  expect_failures = [var.tolerate]
}

run "rejects_tolerate_of_three_decimal_places" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    tolerate = "0.123%"
  }

  expect_failures = [var.tolerate]
}

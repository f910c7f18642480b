# Valid and invalid values of variables.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_servicequotas_service_quota" {
    defaults = { value = 2000 }
  }
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
}

run "accepts_the_longest_scope" {
  command = plan

  variables {
    scope = "a23456789-123456789-123456789-123456"
  }

  assert {
    condition     = length(module.pipeline["chunked"].deployment.output_bucket) == 63
    error_message = "the longest scope makes the longest bucket name S3 takes"
  }

  assert {
    condition     = alltrue([for name in values(module.pipeline["chunked"].deployment.functions) : length(name) <= 64])
    error_message = "with the longest scope, names of functions and roles fit"
  }

  assert {
    condition     = length("${var.scope}chunked-process-dlq") <= 80 && length("${var.scope}chunked-gather-dlq.fifo") <= 80
    error_message = "with the longest scope, names of queues fit"
  }
}

run "accepts_the_longest_scope_of_the_shortest_variant" {
  command = plan

  variables {
    scope    = "a23456789-123456789-123456789-123456789"
    variants = ["sync"]
  }

  assert {
    condition     = length(module.pipeline["sync"].deployment.output_bucket) == 63
    error_message = "a shorter variant leaves the scope what it does not need"
  }
}

run "accepts_the_longest_scope_of_all_variants" {
  command = plan

  variables {
    scope    = "a23456789-123456789-123456789-1"
    variants = ["sync", "async", "chunked", "dynamodb", "ranged", "notification", "sns", "sfn"]
  }

  assert {
    condition     = length(module.pipeline["notification"].deployment.output_bucket) == 63
    error_message = "the longest variant says how long the scope may be"
  }

  assert {
    condition     = alltrue(flatten([for pipeline in module.pipeline : [for name in values(pipeline.deployment.functions) : length(name) <= 64]]))
    error_message = "with the longest scope, names of functions and roles fit"
  }
}

run "rejects_scope_too_long_for_one_of_the_variants" {
  command = plan

  variables {
    scope    = "a23456789-123456789-123456789-123456"
    variants = ["chunked", "dynamodb"]
  }

  expect_failures = [var.scope]
}

run "accepts_the_least" {
  command = plan

  variables {
    scope              = "7"
    chunk_size         = 1
    key_field          = "k"
    memory             = { scatter = 128, process = 128, gather = 128, bury = 128, sweep = 128 }
    timeout            = { scatter = 1, process = 1, gather = 1, bury = 1, sweep = 1 }
    results            = "none"
    stall_after        = 60
    give_up_after      = 61
    sweep_rate         = "rate(1 minute)"
    alarm_age          = 60
    concurrency        = 2
    batch_size         = 1
    log_retention_days = 1
    log_level          = "x"
  }
}

run "accepts_the_most" {
  command = plan

  variables {
    chunk_size         = 10000
    key_field          = format("%0255d", 0)
    record_schema      = "./tests/fixtures/fits.schema.json"
    architecture       = "arm64"
    memory             = { scatter = 10240, process = 10240, gather = 10240, bury = 10240, sweep = 10240 }
    timeout            = { scatter = 900, process = 900, gather = 900, bury = 900, sweep = 900 }
    write_mode         = "ordered"
    results            = "failed"
    input_prefix       = format("%01024d", 0)
    input_suffix       = "-It's_(1)!/a.csv"
    stall_after        = 1209599
    give_up_after      = 1209600
    sweep_rate         = "rate(24 hours)"
    alarm_age          = 345599
    alarm_email        = "on.call+1@example.com"
    limits             = "{\"records\":1000000000000,\"writtenBytes\":1000000000000000,\"dollars\":1000000.5}"
    kms_key_arn        = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd"
    concurrency        = 1000
    batch_size         = 10
    log_retention_days = 3653
    log_level          = format("%0100d", 0)
  }
}

run "rejects_scope_one_character_too_long" {
  command = plan

  variables {
    scope = "a23456789-123456789-123456789-1234567"
  }

  expect_failures = [var.scope]
}

run "rejects_scope_in_upper_case" {
  command = plan

  variables {
    scope = "Anna-"
  }

  expect_failures = [var.scope]
}

run "rejects_scope_with_an_underscore" {
  command = plan

  variables {
    scope = "anna_"
  }

  expect_failures = [var.scope]
}

run "rejects_scope_that_begins_with_a_hyphen" {
  command = plan

  variables {
    scope = "-anna"
  }

  expect_failures = [var.scope]
}

run "rejects_scope_that_is_empty" {
  command = plan

  variables {
    scope = ""
  }

  expect_failures = [var.scope]
}

run "rejects_variant_that_does_not_exist" {
  command = plan

  variables {
    variants = ["chunked", "nonesuch"]
  }

  expect_failures = [var.variants]
}

run "rejects_no_variant" {
  command = plan

  variables {
    variants = []
  }

  expect_failures = [var.variants]
}

run "rejects_schema_that_is_not_there" {
  command = plan

  variables {
    record_schema = "./tests/fixtures/nonesuch.schema.json"
  }

  expect_failures = [var.record_schema]
}

run "rejects_schema_that_is_a_directory" {
  command = plan

  variables {
    record_schema = "./tests/fixtures"
  }

  expect_failures = [var.record_schema]
}

run "rejects_schema_that_is_empty_text" {
  command = plan

  variables {
    record_schema = ""
  }

  expect_failures = [var.record_schema]
}

run "rejects_package_that_is_not_there" {
  command = plan

  variables {
    package = "./tests/fixtures/nonesuch.zip"
  }

  expect_failures = [var.package]
}

run "accepts_the_longest_scope_of_a_pipeline" {
  command = plan

  variables {
    scope     = "a23456789-123456789-123456789-12345678"
    pipelines = { order = {} }
  }

  assert {
    condition     = length(module.pipeline["order"].deployment.output_bucket) == 63
    error_message = "the longest name of a pipeline says how long the scope may be"
  }
}

run "rejects_scope_too_long_for_a_pipeline" {
  command = plan

  variables {
    scope     = "a23456789-123456789-123456789-1234567890"
    pipelines = { order = {} }
  }

  expect_failures = [var.scope]
}

run "rejects_pipeline_with_a_capital" {
  command = plan

  variables {
    pipelines = { Orders = {} }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_that_ends_with_a_hyphen" {
  command = plan

  variables {
    pipelines = { "orders-" = {} }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_with_time_for_no_function" {
  command = plan

  variables {
    pipelines = { orders = { timeout = { proces = 300 } } }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_with_more_time_than_functions_have" {
  command = plan

  variables {
    pipelines = { orders = { timeout = { process = 901 } } }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_that_begins_with_a_digit" {
  command = plan

  variables {
    pipelines = { "7up" = {} }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_of_a_variant_that_does_not_exist" {
  command = plan

  variables {
    pipelines = { orders = { variant = "nonesuch" } }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_named_like_a_variant_it_does_not_have" {
  command = plan

  variables {
    pipelines = { sync = { variant = "ranged" } }
  }

  expect_failures = [var.pipelines]
}

run "rejects_pipeline_whose_schema_is_not_there" {
  command = plan

  variables {
    pipelines = { orders = { record_schema = "./tests/fixtures/nonesuch.schema.json" } }
  }

  expect_failures = [var.pipelines]
}

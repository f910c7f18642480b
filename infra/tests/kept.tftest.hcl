# What a deployment tells the next one, and what that does with it.

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
    defaults = { value = 1000 }
  }

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
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
}

run "nothing_given" {
  command = plan

  assert {
    condition     = output.settings == {}
    error_message = "a default that nobody asked for is not kept, so that it may change"
  }
}

run "everything_given" {
  command = plan

  variables {
    given = [
      "alarm_age", "alarm_email", "alarms", "api", "api_jwt", "architecture", "batch_size", "chunk_size", "concurrency", "fair_by", "format",
      "give_up_after", "input_prefix", "input_suffix", "item_attributes", "key_field", "kms_key_arn", "limits", "log_level",
      "log_retention_days", "memory", "output_expiry_days", "processors", "protect_data", "record_schema", "records_api", "records_by", "records_concurrency", "reports", "results",
      "scatter_concurrency", "stall_after", "sweep_rate", "timeout", "tolerate", "uploader_arns", "webhooks", "write_mode",
    ]
    alarm_age           = 1800
    alarm_email         = "oncall@example.com"
    alarms              = false
    api                 = true
    api_jwt             = { issuer = "https://issuer.example.com", audience = ["fanfold"] }
    architecture        = "arm64"
    batch_size          = 3
    chunk_size          = 250
    concurrency         = 20
    fair_by             = "prefix"
    format              = "{\"delimiter\":\";\"}"
    give_up_after       = 7200
    input_prefix        = "incoming/"
    input_suffix        = ".csv"
    item_attributes     = "bare"
    key_field           = "zip_code"
    kms_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd"
    limits              = "{\"dollars\":5}"
    log_level           = "debug"
    log_retention_days  = 30
    memory              = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200, consolidate = 700, notify = 300 }
    output_expiry_days  = 90
    processors          = "[\"custom\",\"items\"]"
    protect_data        = false
    record_schema       = "./tests/fixtures/fits.schema.json"
    records_api         = "KEY"
    records_by          = "table"
    records_concurrency = 5
    reports             = false
    results             = "failed"
    scatter_concurrency = 7
    stall_after         = 600
    sweep_rate          = "rate(5 minutes)"
    timeout             = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60, consolidate = 50, notify = 40 }
    tolerate            = "1000"
    uploader_arns       = ["arn:aws:iam::123456789012:role/uploads"]
    webhooks            = ""
    write_mode          = "ordered"
  }

  assert {
    condition = output.settings == {
      alarm_age           = 1800
      alarm_email         = "oncall@example.com"
      alarms              = false
      api                 = true
      api_jwt             = { issuer = "https://issuer.example.com", audience = tolist(["fanfold"]) }
      architecture        = "arm64"
      batch_size          = 3
      chunk_size          = 250
      concurrency         = 20
      fair_by             = "prefix"
      format              = "{\"delimiter\":\";\"}"
      give_up_after       = 7200
      input_prefix        = "incoming/"
      input_suffix        = ".csv"
      item_attributes     = "bare"
      key_field           = "zip_code"
      kms_key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd"
      limits              = "{\"dollars\":5}"
      log_level           = "debug"
      log_retention_days  = 30
      memory              = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200, consolidate = 700, notify = 300 }
      output_expiry_days  = 90
      processors          = "[\"custom\",\"items\"]"
      protect_data        = false
      record_schema       = file("./tests/fixtures/fits.schema.json")
      records_api         = "KEY"
      records_by          = "table"
      records_concurrency = 5
      reports             = false
      results             = "failed"
      scatter_concurrency = 7
      stall_after         = 600
      sweep_rate          = "rate(5 minutes)"
      timeout             = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60, consolidate = 50, notify = 40 }
      tolerate            = "1000"
      uploader_arns       = tolist(["arn:aws:iam::123456789012:role/uploads"])
      webhooks            = ""
      write_mode          = "ordered"
    }
    error_message = "the next deployment learns all that this one was given, a schema by its text"
  }
}

run "reports_given" {
  command = plan

  variables {
    given         = ["input_prefix", "key_field", "processors", "reports"]
    reports       = true
    key_field     = "part"
    input_prefix  = "reports/"
    processors    = "[{\"invoke\":{\"contract\":\"fanfold\",\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:rows\"}},\"items\"]"
    press_package = "./versions.tf"
  }

  assert {
    condition     = output.settings.reports && keys(output.settings) == ["input_prefix", "key_field", "processors", "reports"]
    error_message = "that reports are made is kept, and the package of what prints them is built anew"
  }
}

run "rejects_what_is_no_setting" {
  command = plan

  variables {
    given = ["key_field", "scope"]
  }

  expect_failures = [var.given]
}

# A key that is kept keeps the table; another one would replace it.
run "key_is_kept" {
  command = plan

  variables {
    given     = ["key_field", "results"]
    key_field = "id"
    results   = "all"
    pipelines = { chunked = {}, readings = { key_field = "sensor" } }
  }

  assert {
    condition     = { for name, pipeline in output.deployment.pipelines : name => pipeline.parameters.key_field } == { chunked = "id", readings = "sensor" }
    error_message = "the key of the deployment is that of the pipelines that have none of their own"
  }

  assert {
    condition     = output.settings == { key_field = "id", results = "all" }
    error_message = "what is kept once is kept for the deployment after the next"
  }
}

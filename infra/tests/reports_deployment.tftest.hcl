# Reports in a deployment: whose counters they are made of, and the function that prints for all of them.

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
  pipelines = {
    metering = { processors = "[\"items\",{\"aggregate\":{\"group_by\":[\"asset\",\"day\"],\"sum\":[\"kwh\"]}}]" }
    monthly  = { reports = true, key_field = "part", input_prefix = "reports/", processors = "[{\"usage\":{\"counters_of\":\"metering\",\"sum\":[\"kwh\"]}},\"items\"]" }
  }
  press_package = "./processors.json"
}

run "one_pipeline_makes_reports_of_another" {
  command = plan

  assert {
    condition     = join(",", [for name, pipeline in output.deployment.pipelines : "${name}:${pipeline.reports == null ? "-" : pipeline.reports}"]) == "metering:-,monthly:usage" && output.deployment.press == "anna-press"
    error_message = "a client learns which pipelines make reports, and what prints them"
  }

  assert {
    condition     = module.pipeline["monthly"].settings.process.environment.USAGE_TABLE == module.pipeline["metering"].deployment.counters_table
    error_message = "the counters are those of the pipeline that is named"
  }

  assert {
    condition     = module.pipeline["monthly"].settings.consolidate.environment.PRESS_FUNCTION_ARN == "arn:aws:lambda:eu-central-1:123456789012:function:anna-press" && strcontains(module.pipeline["monthly"].policies.consolidate, "arn:aws:lambda:eu-central-1:123456789012:function:anna-press")
    error_message = "it prints by the deployment's function"
  }

  assert {
    condition     = output.deployment.pipelines.monthly.definition.reports
    error_message = "that a pipeline makes reports stays until it is said otherwise"
  }
}

run "two_pipelines_share_the_function_that_prints" {
  command = plan

  variables {
    pipelines = {
      metering = { reports = false, key_field = "itemNo", input_prefix = "", processors = "[{\"aggregate\":{\"group_by\":[\"asset\",\"day\"],\"sum\":[\"kwh\"]}}]" }
      monthly  = {}
      daily    = {}
    }
    reports      = true
    key_field    = "part"
    input_prefix = "reports/"
    processors   = "[{\"usage\":{\"counters_of\":\"metering\"}},\"items\"]"
  }

  assert {
    condition     = length(module.press) == 1 && join(",", [for name, pipeline in output.deployment.pipelines : "${name}:${pipeline.reports == null ? "-" : pipeline.reports}"]) == "daily:usage,metering:-,monthly:usage"
    error_message = "pipelines make reports as they say themselves, or else as the deployment does"
  }
}

run "no_reports" {
  command = plan

  variables {
    pipelines     = {}
    press_package = null
  }

  assert {
    condition     = length(module.press) == 0 && output.deployment.press == null && output.deployment.pipelines.chunked.reports == null && !var.reports
    error_message = "without reports, nothing prints"
  }
}

run "rejects_reports_without_what_prints_them" {
  command = plan

  variables {
    press_package = null
  }

  expect_failures = [var.press_package]
}

run "rejects_a_package_that_is_not_there" {
  command = plan

  variables {
    press_package = "./none.zip"
  }

  expect_failures = [var.press_package]
}

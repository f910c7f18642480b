# Invalid values of the variables of functions, sweep and alarms; variables.tftest.hcl has the valid ones.

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
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
}

run "rejects_architecture_that_lambda_lacks" {
  command = plan

  variables {
    architecture = "x86"
  }

  expect_failures = [var.architecture]
}

run "rejects_too_little_memory" {
  command = plan

  variables {
    memory = { gather = 127 }
  }

  expect_failures = [var.memory]
}

run "rejects_too_much_memory" {
  command = plan

  variables {
    memory = { process = 10241 }
  }

  expect_failures = [var.memory]
}

run "rejects_timeout_of_nothing" {
  command = plan

  variables {
    timeout = { scatter = 0 }
  }

  expect_failures = [var.timeout]
}

run "rejects_timeout_over_15_minutes" {
  command = plan

  variables {
    timeout = { gather = 901 }
  }

  expect_failures = [var.timeout]
}

run "rejects_concurrency_of_one" {
  command = plan

  variables {
    concurrency = 1
  }

  expect_failures = [var.concurrency]
}

run "rejects_concurrency_over_1000" {
  command = plan

  variables {
    concurrency = 1001
  }

  expect_failures = [var.concurrency]
}

run "rejects_scatter_concurrency_of_one" {
  command = plan

  variables {
    scatter_concurrency = 1
  }

  expect_failures = [var.scatter_concurrency]
}

run "rejects_scatter_concurrency_over_1000" {
  command = plan

  variables {
    scatter_concurrency = 1001
  }

  expect_failures = [var.scatter_concurrency]
}

run "rejects_records_concurrency_of_one" {
  command = plan

  variables {
    records_concurrency = 1
  }

  expect_failures = [var.records_concurrency]
}

run "rejects_records_concurrency_over_1000" {
  command = plan

  variables {
    records_concurrency = 1001
  }

  expect_failures = [var.records_concurrency]
}

run "rejects_batch_of_no_messages" {
  command = plan

  variables {
    batch_size = 0
  }

  expect_failures = [var.batch_size]
}

run "rejects_batch_that_needs_a_window" {
  command = plan

  variables {
    batch_size = 11
  }

  expect_failures = [var.batch_size]
}

run "rejects_retention_that_cloudwatch_lacks" {
  command = plan

  variables {
    log_retention_days = 15
  }

  expect_failures = [var.log_retention_days]
}

run "rejects_log_level_that_is_empty" {
  command = plan

  variables {
    log_level = ""
  }

  expect_failures = [var.log_level]
}

run "rejects_log_level_that_is_too_long" {
  command = plan

  variables {
    log_level = format("%0101d", 0)
  }

  expect_failures = [var.log_level]
}

run "rejects_stall_within_a_minute" {
  command = plan

  variables {
    stall_after = 59
  }

  expect_failures = [var.stall_after]
}

run "rejects_giving_up_before_a_stall" {
  command = plan

  variables {
    give_up_after = 900
  }

  expect_failures = [var.give_up_after]
}

run "rejects_giving_up_after_messages_expired" {
  command = plan

  variables {
    give_up_after = 1209601
  }

  expect_failures = [var.give_up_after]
}

run "rejects_rate_in_seconds" {
  command = plan

  variables {
    sweep_rate = "rate(30 seconds)"
  }

  expect_failures = [var.sweep_rate]
}

run "rejects_rate_of_one_minutes" {
  command = plan

  variables {
    sweep_rate = "rate(1 minutes)"
  }

  expect_failures = [var.sweep_rate]
}

run "rejects_rate_over_a_day" {
  command = plan

  variables {
    sweep_rate = "rate(25 hours)"
  }

  expect_failures = [var.sweep_rate]
}

run "rejects_age_that_alarms_at_once" {
  command = plan

  variables {
    alarm_age = 59
  }

  expect_failures = [var.alarm_age]
}

run "rejects_age_that_no_message_reaches" {
  command = plan

  variables {
    alarm_age = 345600
  }

  expect_failures = [var.alarm_age]
}

run "rejects_address_that_is_none" {
  command = plan

  variables {
    alarm_email = "on call"
  }

  expect_failures = [var.alarm_email]
}

run "rejects_expiry_before_a_batch_cannot_be_redriven" {
  command = plan

  variables {
    output_expiry_days = 29
  }

  expect_failures = [var.output_expiry_days]
}

run "rejects_uploader_that_is_a_session" {
  command = plan

  variables {
    uploader_arns = ["arn:aws:sts::123456789012:assumed-role/uploads/anna"]
  }

  expect_failures = [var.uploader_arns]
}

run "rejects_alias_of_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:alias/mine"
  }

  expect_failures = [var.kms_key_arn]
}

run "rejects_key_that_is_empty" {
  command = plan

  variables {
    kms_key_arn = ""
  }

  expect_failures = [var.kms_key_arn]
}

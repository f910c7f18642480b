# What a pipeline of billing is refused for.

mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
}

variables {
  name               = "anna-billing"
  pipeline           = "billing"
  variant            = "chunked"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20, records = 3 }
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
  chunk_size         = 20
  record_schema      = "{}"
  log_level          = "debug"
  log_retention_days = 30
  protect_data       = true

  key_field    = "id"
  results      = "all"
  input_prefix = ""
  input_suffix = ""
  processors   = "{\"bill\":{\"clients_of\":\"clients\"}}"
  billed       = { billing = { events = "e", packages = "p", aggregates = "a", clients = "c", clients_of = "clients", clients_key = "client" } }
}

run "rejects_events_that_nobody_bills" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "{\"meter\":{\"billed_by\":\"other\"}}"
  }

  expect_failures = [var.billed]
}

run "rejects_terms_that_are_not_found_by_client" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    billed = { billing = { events = "e", packages = "p", aggregates = "a", clients = "c", clients_of = "clients", clients_key = "itemNo" } }
  }

  expect_failures = [var.billed]
}

run "rejects_results_that_leave_statements_out" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    results = "failed"
  }

  expect_failures = [var.results]
}

run "rejects_keys_that_are_not_listed" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = "itemNo"
  }

  expect_failures = [var.key_field]
}

run "rejects_files_that_are_not_announced" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_suffix = ".csv"
  }

  expect_failures = [var.input_suffix]
}

run "rejects_packages_that_expire" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    output_expiry_days = 30
  }

  expect_failures = [var.output_expiry_days]
}

run "rejects_chunks_that_take_too_long" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    chunk_size = 51
  }

  expect_failures = [var.chunk_size]
}

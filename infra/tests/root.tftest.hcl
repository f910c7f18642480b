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

  # The provider checks the form of a role that a function is given.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
}

run "defaults" {
  command = plan

  assert {
    condition     = keys(module.pipeline) == ["chunked"]
    error_message = "there is a pipeline for each variant"
  }

  assert {
    condition = {
      for name in ["input_bucket", "work_bucket", "output_bucket", "items_table", "ledger_table", "functions"] :
      name => module.pipeline["chunked"].deployment[name]
      } == {
      input_bucket  = "anna-chunked-input-123456789012"
      work_bucket   = "anna-chunked-work-123456789012"
      output_bucket = "anna-chunked-output-123456789012"
      items_table   = "anna-chunked-items"
      ledger_table  = "anna-chunked-ledger"
      functions     = { scatter = "anna-chunked-scatter", process = "anna-chunked-process", gather = "anna-chunked-gather" }
    }
    error_message = "every name begins with scope and variant"
  }

  assert {
    condition     = var.variants == toset(["chunked"]) && var.chunk_size == 500 && var.key_field == "itemNo" && var.architecture == "x86_64"
    error_message = "by default, chunks of 500 records with key itemNo, on x86_64"
  }

  assert {
    condition     = var.memory == { scatter = 512, process = 512, gather = 512 } && var.timeout == { scatter = 900, process = 120, gather = 900 }
    error_message = "by default, 512 MB each, 15 minutes to scatter and to gather, 2 to process"
  }

  assert {
    condition     = var.concurrency == 50 && var.batch_size == null && module.pipeline["chunked"].settings["process"].batch_size == 1 && var.log_retention_days == 14 && var.log_level == "info" && !var.s3_path_style
    error_message = "by default, 50 chunks at a time, one an invocation, two weeks of logs at info"
  }

  assert {
    condition     = var.protect_data && module.pipeline["chunked"].protected
    error_message = "data are protected unless it is said otherwise"
  }

  assert {
    condition     = output.deployment.region == "eu-central-1" && output.deployment.key_field == "itemNo"
    error_message = "a client learns region and key field"
  }
}

run "every_variant" {
  command = plan

  variables {
    variants = ["sync", "async", "chunked", "dynamodb"]
  }

  assert {
    condition     = { for variant, pipeline in module.pipeline : variant => pipeline.settings["process"].batch_size } == { sync = 10, async = 10, chunked = 1, dynamodb = 1 }
    error_message = "where a message is one record, an invocation takes ten"
  }

  assert {
    condition     = { for variant, pipeline in module.pipeline : variant => pipeline.deployment.tasks_table if pipeline.deployment.tasks_table != null } == { dynamodb = "anna-dynamodb-tasks" }
    error_message = "only dynamodb keeps tasks in a table"
  }

  assert {
    condition     = alltrue([for pipeline in module.pipeline : alltrue([for settings in pipeline.settings : settings.batch_size == 1 || settings.maximum_concurrency == 50])])
    error_message = "only process takes several messages"
  }
}

run "every_variant_with_a_batch_size" {
  command = plan

  variables {
    variants   = ["sync", "async", "chunked", "dynamodb"]
    batch_size = 3
  }

  assert {
    condition = { for variant, pipeline in module.pipeline : variant => { for stage, settings in pipeline.settings : stage => settings.batch_size } } == {
      for variant in ["sync", "async", "chunked", "dynamodb"] : variant => { scatter = 1, process = 3, gather = 1 }
    }
    error_message = "a batch size that is given is that of process in every variant"
  }
}

run "part_of_an_object" {
  command = plan

  variables {
    memory  = { process = 1024 }
    timeout = { gather = 300 }
  }

  assert {
    condition     = var.memory == { scatter = 512, process = 1024, gather = 512 } && var.timeout == { scatter = 900, process = 120, gather = 300 }
    error_message = "what an object leaves out has its default"
  }
}

run "settings" {
  command = plan

  variables {
    architecture       = "arm64"
    memory             = { scatter = 300, process = 400, gather = 500 }
    timeout            = { scatter = 800, process = 100, gather = 700 }
    concurrency        = 20
    batch_size         = 3
    chunk_size         = 250
    key_field          = "zip_code"
    log_level          = "debug"
    log_retention_days = 30
    protect_data       = false
  }

  assert {
    condition = { for stage, settings in module.pipeline["chunked"].settings : stage => [
      settings.architecture, settings.memory, settings.timeout, settings.batch_size, settings.log_retention_days,
      ] } == {
      scatter = ["arm64", 300, 800, 1, 30]
      process = ["arm64", 400, 100, 3, 30]
      gather  = ["arm64", 500, 700, 1, 30]
    }
    error_message = "architecture, memory, timeout, batch size and log retention reach the functions"
  }

  assert {
    condition     = module.pipeline["chunked"].settings.process.maximum_concurrency == 20
    error_message = "the concurrency reaches the trigger of process"
  }

  assert {
    condition = [for name in ["VARIANT", "CHUNK_SIZE", "KEY_FIELD", "RUST_LOG"] :
      module.pipeline["chunked"].settings.scatter.environment[name]
    ] == ["chunked", "250", "zip_code", "debug"]
    error_message = "variant, chunk size, key field and log level reach the functions"
  }

  assert {
    condition     = output.deployment.key_field == "zip_code"
    error_message = "a client learns the key field"
  }

  assert {
    condition     = !module.pipeline["chunked"].protected
    error_message = "data are left unprotected when it is said so"
  }
}

run "schema_of_the_examples" {
  command = plan

  assert {
    condition     = module.pipeline["chunked"].settings.process.environment["RECORD_SCHEMA"] == base64gzip(file("../examples/orders.schema.json"))
    error_message = "the default key field comes with the schema of the examples"
  }

  assert {
    condition     = jsondecode(local.record_schema).required == ["itemNo", "price"]
    error_message = "the schema of the examples wants itemNo and price"
  }
}

run "schema_of_another_key" {
  command = plan

  variables {
    key_field = "zip_code"
  }

  assert {
    condition     = module.pipeline["chunked"].settings.process.environment["RECORD_SCHEMA"] == base64gzip(jsonencode({ type = "object" }))
    error_message = "another key field comes with a schema that any object satisfies"
  }
}

run "schema_given" {
  command = plan

  variables {
    record_schema = "./tests/fixtures/fits.schema.json"
  }

  assert {
    condition     = module.pipeline["chunked"].settings.process.environment["RECORD_SCHEMA"] == base64gzip(file("./tests/fixtures/fits.schema.json"))
    error_message = "a schema that is given is taken, whatever the key field"
  }
}

# A mock makes up the URLs of queues, so here they are given the form they have on AWS.
run "deployment" {
  command = apply

  override_resource {
    target = module.pipeline["chunked"].module.queue["scatter"].aws_sqs_queue.dead_letter
    values = { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-scatter-dlq" }
  }

  override_resource {
    target = module.pipeline["chunked"].module.queue["process"].aws_sqs_queue.dead_letter
    values = { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-process-dlq" }
  }

  override_resource {
    target = module.pipeline["chunked"].module.queue["gather"].aws_sqs_queue.dead_letter
    values = { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-gather-dlq.fifo" }
  }

  assert {
    condition = output.deployment == {
      region    = "eu-central-1"
      key_field = "itemNo"
      parameters = {
        chunk_size  = 500
        concurrency = 50
        memory_mb   = 512
      }
      variants = {
        chunked = {
          input_bucket  = "anna-chunked-input-123456789012"
          work_bucket   = "anna-chunked-work-123456789012"
          output_bucket = "anna-chunked-output-123456789012"
          items_table   = "anna-chunked-items"
          ledger_table  = "anna-chunked-ledger"
          tasks_table   = null
          queues = {
            scatter = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-scatter"
            process = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-process"
            gather  = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-gather.fifo"
          }
          dead_letter_queues = {
            scatter = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-scatter-dlq"
            process = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-process-dlq"
            gather  = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-gather-dlq.fifo"
          }
          functions = {
            scatter = "anna-chunked-scatter"
            process = "anna-chunked-process"
            gather  = "anna-chunked-gather"
          }
        }
      }
    }
    error_message = "the deployment output is all that a client needs to know"
  }
}

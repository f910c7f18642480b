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
      functions     = { for function in ["scatter", "process", "gather", "bury", "sweep"] : function => "anna-chunked-${function}" }
    }
    error_message = "every name begins with scope and variant"
  }

  assert {
    condition     = var.variants == toset(["chunked"]) && var.chunk_size == 500 && var.key_field == "itemNo" && var.architecture == "x86_64"
    error_message = "by default, chunks of 500 records with key itemNo, on x86_64"
  }

  assert {
    condition     = var.memory == { scatter = 1769, process = 512, gather = 1769, bury = 512, sweep = 512, consolidate = 512, notify = 256 } && var.timeout == { scatter = 900, process = 120, gather = 900, bury = 120, sweep = 300, consolidate = 180, notify = 60 }
    error_message = "by default, a whole processor to scatter and to gather, 512 MB to the others, 15 minutes to scatter and to gather, 2 to process and to bury, 5 to sweep, 3 to consolidate; 256 MB and 1 to notify"
  }

  assert {
    condition     = var.write_mode == "batch" && var.results == "all" && var.limits == "{}" && var.stall_after == 900 && var.give_up_after == 86400 && var.sweep_rate == "rate(1 minute)" && var.alarm_age == 3600 && var.alarm_email == null && var.kms_key_arn == null && var.output_expiry_days == 0
    error_message = "by default, items are written in batches, all outcomes are written, a batch stalls after 15 minutes and is given up after a day, sweep runs every minute, and a message may wait for an hour"
  }

  assert {
    condition     = var.concurrency == 50 && var.scatter_concurrency == 10 && var.records_api == "" && var.records_by == "queue" && var.records_concurrency == 10 && var.batch_size == null && module.pipeline["chunked"].settings["process"].triggers["queue"].batch_size == 4 && var.log_retention_days == 14 && var.log_level == "info" && !var.s3_path_style
    error_message = "by default, 50 invocations of process at a time, of four chunks each, ten of scatter, no records one at a time, two weeks of logs at info"
  }

  assert {
    condition     = var.protect_data && module.pipeline["chunked"].protected
    error_message = "data are protected unless it is said otherwise"
  }

  assert {
    condition     = output.deployment.region == "eu-central-1" && output.deployment.pipelines["chunked"].parameters.key_field == "itemNo"
    error_message = "a client learns region and key field"
  }
}

run "every_variant" {
  command = plan

  variables {
    variants = ["sync", "async", "chunked", "dynamodb", "ranged", "notification", "sns", "sfn"]
  }

  assert {
    condition     = { for variant, pipeline in module.pipeline : variant => pipeline.settings["process"].triggers["queue"].batch_size } == { sync = 10, async = 10, chunked = 4, dynamodb = 4, ranged = 4, notification = 4, sns = 4, sfn = 4 }
    error_message = "an invocation takes ten messages where one is a record, and four where one is a chunk"
  }

  assert {
    condition     = { for variant, pipeline in module.pipeline : variant => pipeline.deployment.tasks_table if pipeline.deployment.tasks_table != null } == { dynamodb = "anna-dynamodb-tasks" }
    error_message = "only dynamodb keeps tasks in a table"
  }

  assert {
    condition     = [for variant, pipeline in module.pipeline : variant if can(pipeline.resource_policies["chunks"])] == ["sns"]
    error_message = "only sns has a topic that tells of chunks"
  }

  assert {
    condition     = [for variant, pipeline in module.pipeline : variant if can(pipeline.policies["map"])] == ["sfn"]
    error_message = "only sfn has a state machine"
  }

  assert {
    condition     = alltrue([for pipeline in module.pipeline : alltrue(flatten([for settings in pipeline.settings : [for trigger in settings.triggers : trigger.batch_size == 1 || trigger.maximum_concurrency == 50]]))])
    error_message = "only process takes several messages"
  }
}

run "records_one_at_a_time_of_one_pipeline" {
  command = plan

  variables {
    pipelines           = { orders = { records_api = "KEY", records_by = "table" }, readings = { records_api = "", processors = "[{\"http\":{\"url\":\"https://api.example.com\"}}]" }, rest = {} }
    records_api         = "IAM"
    records_concurrency = 7
  }

  assert {
    condition     = { for name, pipeline in module.pipeline : name => keys(pipeline.settings) if contains(keys(pipeline.settings), "records") } == { for name in ["orders", "rest"] : name => ["bury", "gather", "process", "records", "scatter", "sweep"] }
    error_message = "a pipeline has such an API as it says itself, or else as the deployment does"
  }

  assert {
    condition     = { for name in ["orders", "rest"] : name => module.pipeline[name].deployment.records_api.by } == { orders = "table", rest = "queue" }
    error_message = "what takes records is what a pipeline says itself, or else what the deployment does"
  }

  assert {
    condition     = module.pipeline["orders"].settings.records.triggers.queue.maximum_concurrency == 7
    error_message = "so many invocations store such records at the same time"
  }
}

run "concurrency_that_is_checked" {
  command = plan

  variables {
    pipelines           = { orders = {}, readings = { variant = "sync" } }
    concurrency         = 100
    scatter_concurrency = 20
  }

  assert {
    condition     = module.quota[0].concurrency == 2 * (100 + 20 + 10 + 1)
    error_message = "the quota is compared with what process, scatter, gather and sweep of all pipelines may use"
  }
}

run "concurrency_that_is_not_checked" {
  command = plan

  variables {
    concurrency  = 1000
    check_quotas = false
  }

  assert {
    condition     = length(module.quota) == 0 && module.pipeline["chunked"].concurrency == 1021
    error_message = "an emulator is asked for no quota"
  }
}

run "every_variant_with_a_batch_size" {
  command = plan

  variables {
    variants   = ["sync", "async", "chunked", "dynamodb", "ranged", "notification", "sns", "sfn"]
    batch_size = 3
  }

  assert {
    condition = { for variant, pipeline in module.pipeline : variant => { for function, settings in pipeline.settings : function => [for trigger in settings.triggers : trigger.batch_size] } } == {
      for variant in ["sync", "async", "chunked", "dynamodb", "ranged", "notification", "sns", "sfn"] : variant => { scatter = [1], process = [3], gather = [1], bury = [1, 1, 1], sweep = [] }
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
    condition     = var.memory == { scatter = 1769, process = 1024, gather = 1769, bury = 512, sweep = 512, consolidate = 512, notify = 256 } && var.timeout == { scatter = 900, process = 120, gather = 300, bury = 120, sweep = 300, consolidate = 180, notify = 60 }
    error_message = "what an object leaves out has its default"
  }
}

run "settings" {
  command = plan

  variables {
    architecture        = "arm64"
    memory              = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
    timeout             = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
    write_mode          = "ordered"
    results             = "failed"
    stall_after         = 600
    give_up_after       = 7200
    sweep_rate          = "rate(5 minutes)"
    concurrency         = 20
    scatter_concurrency = 7
    batch_size          = 3
    chunk_size          = 250
    key_field           = "zip_code"
    log_level           = "debug"
    log_retention_days  = 30
    protect_data        = false
    uploader_arns       = ["arn:aws:iam::123456789012:role/uploads"]
  }

  assert {
    condition = { for stage, settings in module.pipeline["chunked"].settings : stage => [
      settings.architecture, settings.memory, settings.timeout, settings.log_retention_days,
      ] } == {
      scatter = ["arm64", 300, 800, 30]
      process = ["arm64", 400, 100, 30]
      gather  = ["arm64", 500, 700, 30]
      bury    = ["arm64", 600, 90, 30]
      sweep   = ["arm64", 200, 60, 30]
    }
    error_message = "architecture, memory, timeout and log retention reach the functions"
  }

  assert {
    condition     = module.pipeline["chunked"].settings.process.triggers["queue"].maximum_concurrency == 20 && module.pipeline["chunked"].settings.scatter.triggers["queue"].maximum_concurrency == 7 && module.pipeline["chunked"].settings.process.triggers["queue"].batch_size == 3
    error_message = "concurrency and batch size reach the trigger of process, and its own concurrency that of scatter"
  }

  assert {
    condition = module.pipeline["chunked"].settings.process.environment["WRITE_MODE"] == "ordered" && module.pipeline["chunked"].settings.gather.environment["RESULTS"] == "failed" && [for name in ["STALL_AFTER", "GIVE_UP_AFTER"] :
      module.pipeline["chunked"].settings.sweep.environment[name]
    ] == ["600", "7200"]
    error_message = "the write mode reaches process, which outcomes to write reaches gather, and when to help on and to give up reaches sweep"
  }

  assert {
    condition = [for name in ["VARIANT", "CHUNK_SIZE", "KEY_FIELD", "RUST_LOG"] :
      module.pipeline["chunked"].settings.scatter.environment[name]
    ] == ["chunked", "250", "zip_code", "debug"]
    error_message = "variant, chunk size, key field and log level reach the functions"
  }

  assert {
    condition     = output.deployment.pipelines["chunked"].parameters.key_field == "zip_code"
    error_message = "a client learns the key field"
  }

  assert {
    condition     = strcontains(module.pipeline["chunked"].resource_policies.input, "role/uploads")
    error_message = "who alone may upload reaches the policy of the input bucket"
  }

  assert {
    condition     = !module.pipeline["chunked"].protected
    error_message = "data are left unprotected when it is said so"
  }
}

run "schema_of_the_examples" {
  command = plan

  assert {
    condition     = module.pipeline["chunked"].record_schema == file("../examples/orders.schema.json")
    error_message = "the default key field comes with the schema of the examples"
  }

  assert {
    condition     = jsondecode(local.record_schemas["chunked"]).required == ["itemNo", "price"]
    error_message = "the schema of the examples wants itemNo and price"
  }
}

run "schema_of_another_key" {
  command = plan

  variables {
    key_field = "zip_code"
  }

  assert {
    condition     = module.pipeline["chunked"].record_schema == jsonencode({ type = "object" })
    error_message = "another key field comes with a schema that any object satisfies"
  }
}

run "schema_given" {
  command = plan

  variables {
    record_schema = "./tests/fixtures/fits.schema.json"
  }

  assert {
    condition     = module.pipeline["chunked"].record_schema == file("./tests/fixtures/fits.schema.json")
    error_message = "a schema that is given is taken, whatever the key field"
  }
}

# The mock invents the URLs of queues, so they are given the form that they have on AWS.
run "deployment" {
  command = apply

  override_resource {
    target = module.pipeline["chunked"].module.function["process"].aws_lambda_event_source_mapping.this
    values = { uuid = "01234567-89ab-cdef-0123-456789abcdef" }
  }

  override_resource {
    target = module.pipeline["chunked"].aws_sqs_queue.parked
    values = { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-parked" }
  }

  override_resource {
    target = module.pipeline["chunked"].module.alarms.aws_sns_topic.this
    values = { arn = "arn:aws:sns:eu-central-1:123456789012:anna-chunked-alarms" }
  }

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
      region = "eu-central-1"
      pipelines = {
        chunked = {
          variant    = "chunked"
          definition = { variant = "chunked" }
          parameters = {
            key_field    = "itemNo"
            chunk_size   = 500
            processors   = "[\"items\"]"
            format       = "{}"
            input_prefix = ""
            input_suffix = ""
            concurrency  = 50
            memory_mb    = 512
          }
          input_bucket   = "anna-chunked-input-123456789012"
          work_bucket    = "anna-chunked-work-123456789012"
          output_bucket  = "anna-chunked-output-123456789012"
          items_table    = "anna-chunked-items"
          counters_table = null
          ledger_table   = "anna-chunked-ledger"
          requests_table = null
          tasks_table    = null
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
          uploader_policy = {
            Version = "2012-10-17"
            Statement = [
              { Sid = "Upload", Effect = "Allow", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["arn:aws:s3:::anna-chunked-input-123456789012/*"] },
              { Sid = "ReadOutputs", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::anna-chunked-output-123456789012/*"] },
            ]
          }
          parked_queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-parked"
          alarm_topic  = "arn:aws:sns:eu-central-1:123456789012:anna-chunked-alarms"
          topic_arn    = null
          machine_arn  = null
          records_api  = null
          reports      = null
          billing      = null
          usage_table  = null
          webhooks     = []
          functions = {
            scatter = "anna-chunked-scatter"
            process = "anna-chunked-process"
            gather  = "anna-chunked-gather"
            bury    = "anna-chunked-bury"
            sweep   = "anna-chunked-sweep"
          }
          mappings = { process = "01234567-89ab-cdef-0123-456789abcdef" }
        }
      }
      api     = null
      press   = null
      sockets = null
    }
    error_message = "the deployment output is all that a client needs to know"
  }
}

run "pipelines" {
  command = plan

  variables {
    results      = "failed"
    input_prefix = "incoming/"
    pipelines = {
      orders   = { chunk_size = 20, input_prefix = "", input_suffix = ".csv", timeout = { process = 300 } }
      readings = { variant = "sync", key_field = "sensor", write_mode = "ordered", results = "none", record_schema = "./tests/fixtures/fits.schema.json" }
      totals   = { processors = "[{\"aggregate\":{\"group_by\":[\"client\"]}}]", fair_by = "prefix", tolerate = "5%" }
    }
  }

  assert {
    condition     = { for name, pipeline in module.pipeline : name => pipeline.deployment.input_bucket } == { orders = "anna-orders-input-123456789012", readings = "anna-readings-input-123456789012", totals = "anna-totals-input-123456789012" }
    error_message = "there is a pipeline for each name, and none besides"
  }

  assert {
    condition = { for name, pipeline in module.pipeline : name => [
      pipeline.settings.scatter.environment["VARIANT"], pipeline.settings.scatter.environment["CHUNK_SIZE"], pipeline.settings.scatter.environment["KEY_FIELD"],
      pipeline.settings.process.environment["WRITE_MODE"], pipeline.settings.gather.environment["RESULTS"],
      pipeline.settings.scatter.environment["FAIR_BY"], lookup(pipeline.settings.process.environment, "TOLERATE", "any"),
      ] } == {
      orders   = ["chunked", "20", "itemNo", "batch", "failed", "batch", "any"]
      readings = ["sync", "500", "sensor", "ordered", "none", "batch", "any"]
      totals   = ["chunked", "500", "itemNo", "batch", "failed", "prefix", "5%"]
    }
    error_message = "a pipeline has its own settings, and those of the deployment where it says nothing"
  }

  assert {
    condition = { for name, pipeline in output.deployment.pipelines : name => [pipeline.parameters.input_prefix, pipeline.parameters.input_suffix] } == {
      orders   = ["", ".csv"]
      readings = ["incoming/", ""]
      totals   = ["incoming/", ""]
    }
    error_message = "a pipeline announces keys by its own prefix and suffix, and a client learns them"
  }

  assert {
    condition = { for name, pipeline in module.pipeline : name => pipeline.record_schema } == {
      orders   = file("../examples/orders.schema.json")
      readings = file("./tests/fixtures/fits.schema.json")
      totals   = file("../examples/orders.schema.json")
    }
    error_message = "a pipeline has its own schema, or the one that goes with its key field"
  }

  assert {
    condition     = { for name, pipeline in module.pipeline : name => pipeline.settings["process"].triggers["queue"].batch_size } == { orders = 4, readings = 10, totals = 4 }
    error_message = "the variant of a pipeline decides how many messages an invocation takes"
  }

  assert {
    condition     = { for name, pipeline in module.pipeline : name => [for function in ["scatter", "process"] : pipeline.settings[function].timeout] } == { orders = [900, 300], readings = [900, 120], totals = [900, 120] }
    error_message = "a function has the time that its pipeline gives it, or that of the deployment"
  }

  assert {
    condition = { for name, pipeline in output.deployment.pipelines : name => [pipeline.items_table, pipeline.counters_table] } == {
      orders   = ["anna-orders-items", null]
      readings = ["anna-readings-items", null]
      totals   = [null, "anna-totals-counters"]
    }
    error_message = "a pipeline has tables for what its processors store, and a client learns them"
  }

  assert {
    condition = { for name, pipeline in output.deployment.pipelines : name => pipeline.definition } == {
      orders   = { variant = "chunked", chunk_size = 20, input_prefix = "", input_suffix = ".csv", timeout = tomap({ process = 300 }) }
      readings = { variant = "sync", key_field = "sensor", write_mode = "ordered", results = "none", record_schema = file("./tests/fixtures/fits.schema.json") }
      totals   = { variant = "chunked", processors = "[{\"aggregate\":{\"group_by\":[\"client\"]}}]", fair_by = "prefix", tolerate = "5%" }
    }
    error_message = "a pipeline's definition is what was said of it, so that a later deployment can say it again, without the file of its schema"
  }
}

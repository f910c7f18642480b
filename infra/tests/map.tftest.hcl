# Where Step Functions runs the workers.

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

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-central-1:123456789012:stateMachine:mock" }
  }
}

variables {
  name               = "anna-sfn"
  variant            = "sfn"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "map", condition = "tree" }
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

run "map" {
  command = apply # the URLs of queues are known only then; nothing is created, the provider is a mock

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = module.map[0].arn == "arn:aws:states:eu-central-1:123456789012:stateMachine:anna-sfn-chunks" && output.deployment.machine_arn == module.map[0].arn
    error_message = "a client learns which state machine it is"
  }

  assert {
    condition = { for function, made in module.function : function => made.settings.environment["PROCESS_MACHINE_ARN"] if can(made.settings.environment["PROCESS_MACHINE_ARN"]) } == {
      scatter = "arn:aws:states:eu-central-1:123456789012:stateMachine:anna-sfn-chunks"
    }
    error_message = "scatter alone is told of it"
  }

  assert {
    condition = [for function, made in module.function : "${function} ${join(" ", flatten([for statement in jsondecode(made.policy).Statement : statement.Resource if contains(statement.Action, "states:StartExecution")]))}" if strcontains(made.policy, "states:")] == [
      "scatter arn:aws:states:eu-central-1:123456789012:stateMachine:anna-sfn-chunks"
    ]
    error_message = "scatter alone may start it"
  }

  assert {
    condition = flatten([for statement in jsondecode(module.function["scatter"].policy).Statement : statement.Resource if statement.Sid == "WriteWork"]) == [
      for key in ["*/pending/*", "*/objects/*", "*/map/claims-*.jsonl"] : "arn:aws:s3:::anna-sfn-work-123456789012/${key}"
    ]
    error_message = "scatter may write the list that the map reads"
  }

  # The prefix of the names is left out.
  assert {
    condition = toset([for statement in jsondecode(module.map[0].policy).Statement :
      "${join(" ", [for resource in flatten([statement.Resource]) : split("anna-sfn-", resource)[1]])}: ${join(" ", sort(statement.Action))}"
      ]) == toset([
      "chunks: states:StartExecution",
      "chunks:*: states:DescribeExecution states:StopExecution",
      "process: lambda:InvokeFunction",
      "work-123456789012/*/map/claims-*.jsonl: s3:GetObject",
      "work-123456789012/*/map/results/*: s3:AbortMultipartUpload s3:GetObject s3:ListMultipartUploadParts s3:PutObject",
      "process-dlq gather.fifo process: sqs:SendMessage",
    ])
    error_message = "the state machine may run itself and the workers, read the list, and send what is left and when it is through: ${module.map[0].policy}"
  }

  assert {
    condition = (
      jsondecode(module.map[0].definition).States.Chunks.MaxConcurrency == 20
      && jsondecode(module.map[0].definition).States.Chunks.ItemProcessor.ProcessorConfig == { Mode = "DISTRIBUTED", ExecutionType = "EXPRESS" }
      && jsondecode(module.map[0].definition).States.Chunks.ItemProcessor.States.Process.Parameters.FunctionName == "arn:aws:lambda:eu-central-1:123456789012:function:anna-sfn-process"
      && jsondecode(module.map[0].definition).States.Chunks.ItemProcessor.States.Process.TimeoutSeconds == 110
    )
    error_message = "as many workers as the pipeline may have run the function in express executions, a little longer than it may take"
  }

  assert {
    condition     = [for state in ["Chunks", "EndBatch"] : jsondecode(module.map[0].definition).States[state].Next] == ["Gather", "Failed"] && [for catch in jsondecode(module.map[0].definition).States.Chunks.Catch : "${catch.ErrorEquals[0]} ${catch.Next}"] == ["States.ResultWriterFailed Gather", "States.ALL EndBatch"]
    error_message = "a map that is through tells gather, and one that failed tells bury"
  }

  assert {
    condition = (
      jsondecode(module.map[0].definition).States.Chunks.ItemProcessor.States.Told.Choices == [{ Variable = "$.told.again[0]", IsPresent = true, Next = "HandOver" }]
      && jsondecode(module.map[0].definition).States.Chunks.ItemProcessor.States.Process.ResultSelector == { "again.$" = "$.Payload.batchItemFailures" }
      && jsondecode(module.map[0].definition).States.Chunks.ItemProcessor.States.Process.Catch[0].Next == "HandOver"
      && jsondecode(module.map[0].definition).States.Gather.Parameters["MessageDeduplicationId.$"] == "States.Format('{}/map', $.batchId)"
    )
    error_message = "what a worker names in its answer is handed over, and so is what has no answer; a question does not hide an announcement"
  }

  assert {
    condition     = output.concurrency == 5 + 20 + 10 + 1 + 20
    error_message = "what the queue feeds comes beside the workers of a batch"
  }

  assert {
    condition     = length(module.queue["process"].policy) > 0 && module.function["process"].settings.triggers.queue.queue_arn == "arn:aws:sqs:eu-central-1:123456789012:anna-sfn-process"
    error_message = "the workers' queue feeds the same function with what was handed over"
  }
}

run "map_with_a_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition = [for statement in jsondecode(module.map[0].policy).Statement : [statement.Action, statement.Resource, statement.Condition] if statement.Sid == "UseKey"] == [
      [["kms:Decrypt", "kms:GenerateDataKey"], [var.kms_key_arn], { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com", "sqs.eu-central-1.amazonaws.com"] } }]
    ]
    error_message = "the state machine may use the key through S3 and SQS"
  }
}

run "refuses_workers_that_outlast_an_express_execution" {
  command = plan

  module {
    source = "./modules/map"
  }

  variables {
    function    = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:anna-sfn-process", timeout = 181 }
    work_bucket = { name = "work", arn = "arn:aws:s3:::work" }
    queues      = { for queue in ["process", "dead_letters", "gather"] : queue => { arn = "arn:aws:sqs:eu-central-1:123456789012:${queue}", url = "https://sqs/${queue}" } }
    concurrency = 5
  }

  expect_failures = [var.function]
}

run "no_map" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-chunked"
    variant = "chunked"
    parts   = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
    timeout = { scatter = 800, process = 900, gather = 700, bury = 90, sweep = 60 }
  }

  assert {
    condition     = length(module.map) == 0 && output.deployment.machine_arn == null && alltrue([for function in module.function : !strcontains(function.policy, "states:")])
    error_message = "where a queue feeds the workers, there is no state machine"
  }
}

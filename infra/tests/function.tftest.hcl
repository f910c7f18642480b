mock_provider "aws" {}

variables {
  name               = "anna-chunked-process"
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  stage              = "process"
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "arm64"
  memory             = 256
  timeout            = 120
  environment        = { VARIANT = "chunked" }
  permissions        = { Send = { actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo"] } }
  triggers           = { queue = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process", batch_size = 1, maximum_concurrency = 7 } }
  log_retention_days = 14
}

run "function" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function.this.function_name == "anna-chunked-process"
    error_message = "the function has the name it was given"
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.handler == "process"
    error_message = "the binary learns its stage from the handler"
  }

  assert {
    condition     = aws_lambda_function.this.architectures == tolist(["arm64"])
    error_message = "the function runs on the architecture it was built for"
  }

  assert {
    condition     = aws_lambda_function.this.memory_size == 256 && aws_lambda_function.this.timeout == 120
    error_message = "memory and timeout are those given"
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables == tomap({ VARIANT = "chunked" })
    error_message = "the environment is the one given"
  }

  assert {
    condition     = [aws_lambda_function.this.s3_bucket, aws_lambda_function.this.s3_key, aws_lambda_function.this.source_code_hash] == ["anna-package-123456789012", "bootstrap.zip", "aGFzaA=="]
    error_message = "the code is the package in the bucket, and another package is another version of the code"
  }
}

run "trigger" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this["queue"].event_source_arn == "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process"
    error_message = "the function is fed by its queue"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this["queue"].function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "the function reports which messages of a batch failed"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this["queue"].scaling_config[0].maximum_concurrency == 7
    error_message = "the mapping has the maximum concurrency given"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this["queue"].batch_size == 1 && aws_lambda_event_source_mapping.this["queue"].maximum_batching_window_in_seconds == 0
    error_message = "a message is handed on at once, in batches of the size given"
  }
}

run "mappings" {
  command = apply

  module {
    source = "./modules/function"
  }

  override_resource {
    target = aws_iam_role.this
    values = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  override_resource {
    target = aws_lambda_function.this
    values = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  assert {
    condition     = output.mappings == { queue = aws_lambda_event_source_mapping.this["queue"].uuid } && output.role == aws_iam_role.this.name
    error_message = "who pauses the function learns which mapping to disable"
  }
}

run "log" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/anna-chunked-process"
    error_message = "the log group is the one Lambda writes to"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 14
    error_message = "the log is kept for the days given"
  }
}

run "role" {
  command = plan

  module {
    source = "./modules/function"
  }

  assert {
    condition = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" } }
    }]
    error_message = "Lambda takes the role for functions of the account, and nobody else does"
  }

  assert {
    condition     = aws_iam_role_policy.this.role == aws_iam_role.this.name && aws_iam_role.this.name == "anna-chunked-process"
    error_message = "the policy belongs to the function's own role"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${statement.Effect} ${pair[0]} ${pair[1]}"]
      ])) == toset([
      "Allow sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "Allow sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "Allow sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "Allow sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "Allow logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-process:*",
      "Allow logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-process:*",
    ])
    error_message = "the role may consume its queue, write its log, do what was given, and nothing else"
  }
}

run "without_a_queue" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    triggers = {}
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.this) == 0 && !strcontains(aws_iam_role_policy.this.policy, "sqs:ReceiveMessage")
    error_message = "a function without queues has no right to consume one"
  }
}

run "with_several_queues" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    triggers = {
      one = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:one", batch_size = 1, maximum_concurrency = 2 }
      two = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:two", batch_size = 3, maximum_concurrency = null }
    }
  }

  assert {
    condition = { for name, trigger in output.settings.triggers : name => "${trigger.queue_arn} ${trigger.batch_size} ${coalesce(trigger.maximum_concurrency, 0)}" } == {
      one = "arn:aws:sqs:eu-central-1:123456789012:one 1 2"
      two = "arn:aws:sqs:eu-central-1:123456789012:two 3 0"
    }
    error_message = "each queue has a mapping of its own"
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.this["one"].scaling_config) == 1 && length(aws_lambda_event_source_mapping.this["two"].scaling_config) == 0
    error_message = "a queue without a maximum concurrency has no scaling configuration, so that Lambda may ask it less often"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Resource if statement.Sid == "Consume"] == [
      ["arn:aws:sqs:eu-central-1:123456789012:one", "arn:aws:sqs:eu-central-1:123456789012:two"],
    ]
    error_message = "the role may consume each of its queues"
  }
}

run "encrypted_with_a_key" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.kms_key_arn && aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "the key encrypts environment and log"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : [statement.Action, statement.Resource] if statement.Sid == "UseKey"] == [
      [["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-central-1:123456789012:key/1234"]],
    ]
    error_message = "the role may use exactly this key"
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Sid => statement.Condition if can(statement.Condition) } == {
      UseKey = { StringEquals = { "kms:ViaService" = [
        "dynamodb.eu-central-1.amazonaws.com", "lambda.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com", "sqs.eu-central-1.amazonaws.com",
      ] } }
    }
    error_message = "the role may use the key only through the services that store what is encrypted with it"
  }
}

run "publishes_with_a_key" {
  command = plan

  module {
    source = "./modules/function"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
    publishes   = true
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if statement.Sid == "UseKey"] == [[
      for service in ["dynamodb", "lambda", "s3", "sns", "sqs"] : "${service}.eu-central-1.amazonaws.com"
    ]]
    error_message = "a role that publishes may use the key through SNS, too"
  }
}

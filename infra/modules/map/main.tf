# The state machine of a pipeline whose workers Step Functions runs: a Distributed Map over the claim checks of a batch, with an express
# execution for each chunk. What does not succeed at once is handed over to the workers' queue, where it is tried again like any other
# message: an express execution lasts five minutes at most
# (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).

locals {
  arn           = "arn:${var.account.partition}:states:${var.account.region}:${var.account.id}:stateMachine:${var.name}"
  execution_arn = "arn:${var.account.partition}:states:${var.account.region}:${var.account.id}:execution:${var.name}"

  # https://docs.aws.amazon.com/general/latest/gr/rande.html
  dns_suffix = var.account.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"

  service = { for name in ["lambda:invoke", "s3:getObject", "s3:putObject", "sqs:sendMessage"] : name => "arn:${var.account.partition}:states:::${name}" }

  # A message that is sent late is better than one that is lost.
  patiently = [{ ErrorEquals = ["States.ALL"], IntervalSeconds = 1, BackoffRate = 2, MaxAttempts = 4, JitterStrategy = "FULL" }]

  # What happens to one chunk.
  chunk = {
    ProcessorConfig = { Mode = "DISTRIBUTED", ExecutionType = "EXPRESS" }
    StartAt         = "Process"
    States = {
      # The event has the form of one of the queue, and so has the answer.
      Process = {
        Type     = "Task"
        Resource = local.service["lambda:invoke"]
        Parameters = {
          FunctionName = var.function.arn
          Payload = { Records = [{
            "messageId.$" = "States.Format('{}/{}', $.claim.batchId, $.claim.chunk)"
            "body.$"      = "States.JsonToString($.claim)"
            attributes    = { ApproximateReceiveCount = "1" }
          }] }
        }
        # Longer than the function may take, so that it ends first.
        TimeoutSeconds = var.function.timeout + 10
        ResultSelector = { "again.$" = "$.Payload.batchItemFailures" }
        ResultPath     = "$.told"
        # No function ran then, which other errors of Lambda do not say: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        Retry = [{ ErrorEquals = ["Lambda.TooManyRequestsException"], IntervalSeconds = 1, BackoffRate = 2, MaxDelaySeconds = 10, MaxAttempts = 8, JitterStrategy = "FULL" }]
        Catch = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.told", Next = "HandOver" }]
        Next  = "Told"
      }
      Told = {
        Type    = "Choice"
        Choices = [{ Variable = "$.told.again[0]", IsPresent = true, Next = "HandOver" }]
        Default = "Done"
      }
      # As late as a message comes again that failed for the first time.
      HandOver = {
        Type       = "Task"
        Resource   = local.service["sqs:sendMessage"]
        Parameters = { QueueUrl = var.queues.process.url, "MessageBody.$" = "States.JsonToString($.claim)", DelaySeconds = 5 }
        Retry      = local.patiently
        Next       = "Done"
      }
      Done = { Type = "Pass", Result = {}, End = true }
    }
  }

  definition = {
    Comment = "Runs a worker for each chunk of a batch."
    StartAt = "Chunks"
    States = {
      Chunks = {
        Type           = "Map"
        Label          = "chunks"
        MaxConcurrency = var.concurrency
        # A chunk that could not even be handed over is found by sweep.
        ToleratedFailurePercentage = 100
        ItemReader = {
          Resource     = local.service["s3:getObject"]
          ReaderConfig = { InputType = "JSONL" }
          Parameters   = { Bucket = var.work_bucket.name, "Key.$" = "States.Format('{}/map/claims-{}.jsonl', $.batchId, $.chunks)" }
        }
        ItemSelector  = { "claim.$" = "$$.Map.Item.Value" }
        ItemProcessor = local.chunk
        # What the executions return would be too much for this one's state: nobody reads it.
        ResultWriter = {
          Resource     = local.service["s3:putObject"]
          Parameters   = { Bucket = var.work_bucket.name, "Prefix.$" = "States.Format('{}/map/results', $.batchId)" }
          WriterConfig = { OutputType = "JSONL", Transformation = "COMPACT" }
        }
        ResultPath = null
        # When only the results cannot be written, each chunk was worked on or handed over. States.Runtime and States.DataLimitExceeded are
        # not caught by States.ALL (https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html): sweep sees to those.
        Catch = [
          { ErrorEquals = ["States.ResultWriterFailed"], ResultPath = null, Next = "Gather" },
          { ErrorEquals = ["States.ALL"], ResultPath = "$.failed", Next = "EndBatch" },
        ]
        Next = "Gather"
      }
      # The worker that ends the last chunk has said so, too, and says it later if that is one that was handed over.
      Gather = {
        Type     = "Task"
        Resource = local.service["sqs:sendMessage"]
        Parameters = {
          QueueUrl                   = var.queues.gather.url
          MessageBody                = { v = 1, "batchId.$" = "$.batchId", ifComplete = true }
          "MessageGroupId.$"         = "$.batchId"
          "MessageDeduplicationId.$" = "States.Format('{}/map', $.batchId)"
        }
        Retry = local.patiently
        End   = true
      }
      # Bury reads it, which stops the batch.
      EndBatch = {
        Type     = "Task"
        Resource = local.service["sqs:sendMessage"]
        Parameters = {
          QueueUrl    = var.queues.dead_letters.url
          MessageBody = { v = 1, "map.$" = "$.batchId", "failed.$" = "$.failed" }
        }
        Retry = local.patiently
        Next  = "Failed"
      }
      Failed = { Type = "Fail", Error = "MapFailed", Cause = "The batch was ended with the fault MAP_FAILED." }
    }
  }

  permissions = merge({
    # https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
    RunMap   = { actions = ["states:StartExecution"], resources = [local.arn] }
    WatchMap = { actions = ["states:DescribeExecution", "states:StopExecution"], resources = ["${local.execution_arn}:*"] }
    # https://docs.aws.amazon.com/step-functions/latest/dg/lambda-iam.html
    Invoke       = { actions = ["lambda:InvokeFunction"], resources = [var.function.arn] }
    ReadClaims   = { actions = ["s3:GetObject"], resources = ["${var.work_bucket.arn}/*/map/claims-*.jsonl"] }
    WriteResults = { actions = ["s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"], resources = ["${var.work_bucket.arn}/*/map/results/*"] }
    Send         = { actions = ["sqs:SendMessage"], resources = [for queue in values(var.queues) : queue.arn] }
    }, { for key in var.kms_key_arn[*] : "UseKey" => {
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [key]
      condition = { StringEquals = { "kms:ViaService" = [for service in ["s3", "sqs"] : "${service}.${var.account.region}.${local.dns_suffix}"] } }
  } })
}

resource "aws_iam_role" "this" {
  name = var.name

  # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html#prevent-cross-service-confused-deputy
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "map"
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for id, permission in local.permissions : merge({
      Sid      = id
      Effect   = "Allow"
      Action   = permission.actions
      Resource = permission.resources
    }, { for condition in [lookup(permission, "condition", null)] : "Condition" => condition if condition != null })]
  })
}

resource "aws_sfn_state_machine" "this" {
  #checkov:skip=CKV_AWS_284:the actions of X-Ray cannot be limited to resources, which every right of these roles is; logs of the functions and the count of requests in the ledger tell what was done
  #checkov:skip=CKV_AWS_285:the actions that deliver logs cannot be limited to resources, either; a chunk that failed tells why through the queue, and the history of an execution is kept for 90 days

  name       = var.name
  role_arn   = aws_iam_role.this.arn
  definition = jsonencode(local.definition)

  # Step Functions tries whether the role may do what the definition says.
  depends_on = [aws_iam_role_policy.this]
}

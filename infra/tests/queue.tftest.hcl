mock_provider "aws" {}

variables {
  name             = "anna-chunked-process"
  account          = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  function_timeout = 120

  dead_letter_function_timeout = 30
}

run "standard" {
  command = plan

  module {
    source = "./modules/queue"
  }

  assert {
    condition     = aws_sqs_queue.this.name == "anna-chunked-process"
    error_message = "the queue has the name it was given"
  }

  assert {
    condition     = aws_sqs_queue.dead_letter.name == "anna-chunked-process-dlq"
    error_message = "the dead-letter queue has the queue's name and -dlq"
  }

  assert {
    condition     = !aws_sqs_queue.this.fifo_queue && !aws_sqs_queue.dead_letter.fifo_queue
    error_message = "a queue is standard unless it is said to be FIFO"
  }

  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds >= 6 * var.function_timeout
    error_message = "the visibility timeout is at least six times the function's timeout"
  }

  assert {
    condition     = aws_sqs_queue.dead_letter.visibility_timeout_seconds == 6 * var.dead_letter_function_timeout
    error_message = "a dead message that is not worked on comes back after six times the timeout of its function"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.this.redrive_policy) == {
      deadLetterTargetArn = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process-dlq"
      maxReceiveCount     = 1000
    }
    error_message = "SQS itself moves a message to the dead-letter queue only after many more receives than a function needs to give it up"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.dead_letter.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process"]
    }
    error_message = "only its own queue may move messages to a dead-letter queue"
  }

  assert {
    condition     = aws_sqs_queue.dead_letter.message_retention_seconds == 14 * 86400
    error_message = "the dead-letter queue keeps messages for 14 days"
  }

  assert {
    condition     = aws_sqs_queue.this.message_retention_seconds + aws_sqs_queue.dead_letter.message_retention_seconds < 30 * 86400
    error_message = "no message outlives the chunk in the work bucket that it stands for"
  }

  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.dead_letter.sqs_managed_sse_enabled
    error_message = "both queues are encrypted"
  }

  assert {
    condition = alltrue([for queue in [aws_sqs_queue.this, aws_sqs_queue.dead_letter] :
      jsondecode(queue.policy).Statement == [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = "arn:aws:sqs:eu-central-1:123456789012:${queue.name}"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    ])
    error_message = "the policies of both queues deny requests without TLS and allow nobody anything"
  }

  assert {
    condition     = output.arn == "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process"
    error_message = "the ARN is known before the queue exists"
  }
}

run "fifo" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    name = "anna-chunked-gather"
    fifo = true
  }

  assert {
    condition     = aws_sqs_queue.this.name == "anna-chunked-gather.fifo" && aws_sqs_queue.this.fifo_queue
    error_message = "a FIFO queue is one, and its name says so"
  }

  assert {
    condition     = aws_sqs_queue.dead_letter.name == "anna-chunked-gather-dlq.fifo" && aws_sqs_queue.dead_letter.fifo_queue
    error_message = "the dead-letter queue of a FIFO queue is FIFO"
  }

  assert {
    condition     = aws_sqs_queue.this.content_based_deduplication != true
    error_message = "messages carry their own deduplication ids"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy).deadLetterTargetArn == "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather-dlq.fifo"
    error_message = "a FIFO queue's dead-letter queue is found under its FIFO name"
  }
}

run "fed_by_a_bucket" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    name           = "anna-chunked-scatter"
    sending_bucket = "arn:aws:s3:::anna-chunked-input-123456789012"
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue.this.policy).Statement : statement if statement.Effect == "Allow"] == [{
      Sid       = "BucketEvents"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:aws:s3:::anna-chunked-input-123456789012" }
        StringEquals = { "aws:SourceAccount" = "123456789012" }
      }
    }]
    error_message = "S3 may send, for that bucket of that account only"
  }

  assert {
    condition     = length([for statement in jsondecode(aws_sqs_queue.this.policy).Statement : statement if statement.Sid == "TlsOnly"]) == 1
    error_message = "a queue that a bucket feeds still denies requests without TLS"
  }

  assert {
    condition     = length(jsondecode(aws_sqs_queue.dead_letter.policy).Statement) == 1
    error_message = "no bucket may send to a dead-letter queue"
  }
}

run "fed_by_a_topic" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    sending_topic = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"
  }

  assert {
    condition = [for statement in jsondecode(aws_sqs_queue.this.policy).Statement : statement if statement.Sid != "TlsOnly"] == [{
      Sid       = "TopicMessages"
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process"
      Condition = { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks" } }
    }]
    error_message = "SNS may send, for that topic only"
  }

  assert {
    condition     = length(jsondecode(aws_sqs_queue.this.policy).Statement) == 2 && length(jsondecode(aws_sqs_queue.dead_letter.policy).Statement) == 1
    error_message = "a queue that a topic feeds still denies requests without TLS, and its dead-letter queue takes nothing from the topic"
  }
}

run "encrypted_with_a_key" {
  command = plan

  module {
    source = "./modules/queue"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.this, aws_sqs_queue.dead_letter] : queue.kms_master_key_id == var.kms_key_arn])
    error_message = "a key that is given encrypts both queues instead of SQS's own"
  }
}

run "urls" {
  command = apply # a URL is known only then; nothing is created, the provider is a mock

  module {
    source = "./modules/queue"
  }

  variables {
    name = "anna-chunked-gather"
    fifo = true
  }

  override_resource {
    target = aws_sqs_queue.dead_letter
    values = { url = "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-gather-dlq.fifo" }
  }

  assert {
    condition     = try(jsondecode(aws_sqs_queue.dead_letter.redrive_policy).deadLetterTargetArn, null) == null
    error_message = "a dead-letter queue has none of its own"
  }

  assert {
    condition     = output.url == "https://sqs.eu-central-1.amazonaws.com/123456789012/anna-chunked-gather.fifo"
    error_message = "the queue's URL is its dead-letter queue's with the queue's own name"
  }
}

locals {
  suffix           = var.fifo ? ".fifo" : ""
  name             = "${var.name}${local.suffix}"
  dead_letter_name = "${var.name}-dlq${local.suffix}"

  # Computed, not referenced: the queue and its dead-letter queue name each other, and the provider takes about
  # 25 s to create a queue and again as long to change one, so that a queue is created with everything it needs.
  arn_prefix      = "arn:${var.account.partition}:sqs:${var.account.region}:${var.account.id}"
  arn             = "${local.arn_prefix}:${local.name}"
  dead_letter_arn = "${local.arn_prefix}:${local.dead_letter_name}"

  day = 24 * 60 * 60

  # The customer's key, or otherwise SQS's own; they exclude each other.
  own_encryption = var.kms_key_arn == null ? true : null

  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html
  tls_only = { for arn in [local.arn, local.dead_letter_arn] : arn => {
    Sid       = "TlsOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = "sqs:*"
    Resource  = arn
    Condition = { Bool = { "aws:SecureTransport" = "false" } }
  } }

  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html
  bucket_events = [for bucket in var.sending_bucket[*] : {
    Sid       = "BucketEvents"
    Effect    = "Allow"
    Principal = { Service = "s3.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Resource  = local.arn
    Condition = {
      ArnEquals    = { "aws:SourceArn" = bucket }
      StringEquals = { "aws:SourceAccount" = var.account.id }
    }
  }]

  # https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
  topic_messages = [for topic in var.sending_topic[*] : {
    Sid       = "TopicMessages"
    Effect    = "Allow"
    Principal = { Service = "sns.amazonaws.com" }
    Action    = "sqs:SendMessage"
    Resource  = local.arn
    Condition = { ArnEquals = { "aws:SourceArn" = topic } }
  }]
}

resource "aws_sqs_queue" "this" {
  name       = local.name
  fifo_queue = var.fifo

  # Six times the timeout lets Lambda retry a throttled batch before the message is seen again:
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  visibility_timeout_seconds = 6 * var.function_timeout

  # A message is worked on until it has failed five times for another reason than throttling; its function then sends
  # it to the dead-letter queue itself. SQS counts every receive, those of throttled invocations too, so that its own
  # count is the last resort against a function that cannot even say that a message failed. A
  # message that meets a busy service is received as often in some three days; its batch is given up before:
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.dead_letter_arn
    maxReceiveCount     = 1000
  })

  # Including the 14 days of the dead-letter queue, less than the work bucket keeps the chunks that the messages
  # refer to. What a topic delivers late, for up to 23 days, may be older: its batch was given up long before, and a batch
  # that the ledger has forgotten has nothing to be done.
  message_retention_seconds = 4 * local.day

  sqs_managed_sse_enabled = local.own_encryption
  kms_master_key_id       = var.kms_key_arn

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat([local.tls_only[local.arn]], local.bucket_events, local.topic_messages)
  })

  # SQS rejects a redrive policy whose target does not exist yet.
  depends_on = [aws_sqs_queue.dead_letter]
}

resource "aws_sqs_queue" "dead_letter" {
  name       = local.dead_letter_name
  fifo_queue = var.fifo # a FIFO queue's dead-letter queue has to be FIFO too

  # As above, for the function that consumes the dead-letter queue. There is no redrive policy: a message that
  # this function cannot handle is redelivered until it expires.
  visibility_timeout_seconds = 6 * var.dead_letter_function_timeout

  # The longest that SQS offers. In a standard queue, a moved message keeps the time at which it was first sent,
  # so this has to exceed the retention of the queue itself:
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
  message_retention_seconds = 14 * local.day

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arn]
  })

  sqs_managed_sse_enabled = local.own_encryption
  kms_master_key_id       = var.kms_key_arn

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.tls_only[local.dead_letter_arn]]
  })
}

# Where workers learn of chunks by a topic: others can subscribe to it, too.

locals {
  topic_name = "${var.name}-chunks"
  # None or one; computed, so that no policy waits for the resource it names.
  topic_arns = [for fan_out in [var.parts.fanOut] : "arn:${var.account.partition}:sns:${var.account.region}:${var.account.id}:${local.topic_name}" if fan_out == "topic"]
}

resource "aws_sns_topic" "chunks" {
  count = length(local.topic_arns)

  name = local.topic_name

  # The customer's key or none, as for the topic of alarms: a claim check names a chunk and holds none of its records.
  kms_master_key_id = var.kms_key_arn

  # It allows nobody anything, so that IAM decides within the account and no other account is let in. A policy of a topic knows no
  # "sns:*": https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html
  # https://docs.aws.amazon.com/sns/latest/dg/sns-security-best-practices.html#enforce-encryption-data-in-transit
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = local.topic_arns[count.index]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# SNS tries for 23 days to deliver what the queue does not take, but gives up at once if it is not allowed to, as when somebody
# changed the queue's policy: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
# Then the message is parked, of which an alarm tells: https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
# Sweep sends a claim check for that chunk again, straight to the queue.
resource "aws_sns_topic_subscription" "process" {
  count = length(local.topic_arns)

  topic_arn = local.topic_arns[count.index]
  protocol  = "sqs"
  endpoint  = module.queue["process"].arn

  # The workers parse what scatter published: https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
  raw_message_delivery = true

  redrive_policy = jsonencode({ deadLetterTargetArn = local.parked_arn })

  depends_on = [aws_sns_topic.chunks, aws_sqs_queue.parked]
}

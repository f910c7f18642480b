locals {
  # Those that work on batches, those whose dead letters bury works on, and all that have a queue.
  batch_stages  = toset(["scatter", "process", "gather"])
  buried_stages = setunion(local.batch_stages, local.records)
  stages        = setunion(local.buried_stages, local.report_stages)

  # Whose objects are announced to a queue.
  sending_buckets = merge(
    { scatter = local.buckets["input"] },
    { for stage in ["process"] : stage => local.buckets["work"] if local.notifies },
    { for stage in local.report_stages : stage => local.buckets["output"] },
  )

  parked_name = "${var.name}-parked"
  parked_arn  = "arn:${var.account.partition}:sqs:${var.account.region}:${var.account.id}:${local.parked_name}"
}

module "queue" {
  source   = "../queue"
  for_each = local.stages

  name                         = "${var.name}-${each.key}"
  account                      = var.account
  fifo                         = each.key == "gather" # completion may be announced more than once, and the queue drops duplicates
  function_timeout             = local.timeout[each.key]
  dead_letter_function_timeout = var.timeout.bury
  sending_bucket               = lookup(local.sending_buckets, each.key, null)
  sending_topic                = each.key == "process" ? one(local.topic_arns) : null
  kms_key_arn                  = var.kms_key_arn
}

# Messages that no stage can handle, for people to read. Nothing consumes them.
resource "aws_sqs_queue" "parked" {
  name = local.parked_name

  message_retention_seconds = 14 * 24 * 60 * 60 # the longest that SQS offers

  sqs_managed_sse_enabled = var.kms_key_arn == null ? true : null
  kms_master_key_id       = var.kms_key_arn

  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = local.parked_arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }], [for topic in local.topic_arns : {
      Sid       = "Undelivered"
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = local.parked_arn
      Condition = { ArnEquals = { "aws:SourceArn" = topic } }
    }])
  })
}

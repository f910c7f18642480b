locals {
  minute = 60

  # A stream of a table forgets what is older than a day: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
  stream_age = min(var.age, 12 * 60 * 60)

  topic     = "${var.name}-alarms"
  topic_arn = "arn:${var.account.partition}:sns:${var.account.region}:${var.account.id}:${local.topic}"

  # Metrics of queues and functions, with one value per minute:
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
  # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
  alarms = merge(
    {
      parked = {
        description = "A message is parked that nobody can work on. Read it, mend the cause, and send it to the queue it came from or delete it."
        metric      = "SQS ApproximateNumberOfMessagesVisible", dimension = { QueueName = var.parked_queue }
        statistic   = "Maximum", above = 0, period = local.minute, of = 1, breaching = 1
      }

      # Not a metric of the dead-letter queues themselves: NumberOfMessagesSent excludes messages that SQS moves
      # there by a redrive policy. Each message is an invocation of bury, whoever sent it there.
      # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/dead-letter-queues-alarms-cloudwatch.html
      dead-letters = {
        description = "Messages reached a dead-letter queue, where ${var.bury_function} works on them. Its log says what they were. Repeated alarms without new batches: it fails at a message that comes back."
        metric      = "Lambda Invocations", dimension = { FunctionName = var.bury_function }
        statistic   = "Sum", above = 0, period = local.minute, of = 1, breaching = 1
      }

      sweep = {
        description = "${var.sweep_function} fails again and again: batches that stall are not found. Its log says why."
        metric      = "Lambda Errors", dimension = { FunctionName = var.sweep_function }
        statistic   = "Sum", above = 0, period = var.sweep_period, of = 5, breaching = 3
      }
    },
    { for function in var.billing_function[*] : "billing" => {
      description = "${function} fails again and again: half months are not listed, or packages not sent. Its log says why."
      metric      = "Lambda Errors", dimension = { FunctionName = function }
      statistic   = "Sum", above = 0, period = local.minute, of = 5, breaching = 3
    } },
    { for stage, queue in var.dead_letter_queues : "${stage}-dlq" => {
      description = "Messages wait in ${queue} for 15 minutes: ${var.bury_function} is throttled, disabled or too slow."
      metric      = "SQS ApproximateNumberOfMessagesVisible", dimension = { QueueName = queue }
      statistic   = "Maximum", above = 0, period = local.minute, of = 15, breaching = 15
    } },
    { for stage, queue in var.kept_letters : "${stage}-dlq" => {
      description = "A message is in ${queue}, where ${stage} gave it up: its log says why. Mend the cause, and send the message to the queue it came from or delete it."
      metric      = "SQS ApproximateNumberOfMessagesVisible", dimension = { QueueName = queue }
      statistic   = "Maximum", above = 0, period = local.minute, of = 1, breaching = 1
    } },
    # Also of what could not even be parked, as when SNS may not use the key of the queues:
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    { for topic in var.topic[*] : "undelivered" => {
      description = "The topic ${topic} could not deliver messages to a queue, whose policy or key does not let it. Chunks wait until sweep sends them again."
      metric      = "SNS NumberOfNotificationsFailed", dimension = { TopicName = topic }
      statistic   = "Sum", above = 0, period = local.minute, of = 1, breaching = 1
    } },
    { for stage, queue in var.queues : "${stage}-age" => {
      description = "A message has waited in ${queue} for more than ${var.age} s: its function is throttled, disabled or too slow."
      metric      = "SQS ApproximateAgeOfOldestMessage", dimension = { QueueName = queue }
      statistic   = "Maximum", above = var.age, period = local.minute, of = 1, breaching = 1
    } },
    # In milliseconds.
    { for stage, function in var.stream_functions : "${stage}-stream-age" => {
      description = "A change has waited in the stream of ${function} for more than ${local.stream_age} s: it is throttled or fails. After a day, the stream forgets it."
      metric      = "Lambda IteratorAge", dimension = { FunctionName = function }
      statistic   = "Maximum", above = local.stream_age * 1000, period = local.minute, of = 1, breaching = 1
    } },
  )
}

resource "aws_sns_topic" "this" {
  name = local.topic

  # The customer's key or none: CloudWatch could not publish under SNS's own key. The messages are about alarms,
  # not records.
  kms_master_key_id = var.kms_key_arn

  # https://docs.aws.amazon.com/sns/latest/dg/sns-security-best-practices.html#enforce-encryption-data-in-transit
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = {
          ArnLike      = { "aws:SourceArn" = "arn:${var.account.partition}:cloudwatch:${var.account.region}:${var.account.id}:alarm:${var.name}-*" }
          StringEquals = { "aws:SourceAccount" = var.account.id }
        }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.email[*])

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email" # the owner of the address has to confirm it
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if var.enabled }

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = each.value.description
  alarm_actions     = [aws_sns_topic.this.arn]

  namespace   = "AWS/${split(" ", each.value.metric)[0]}"
  metric_name = split(" ", each.value.metric)[1]
  dimensions  = each.value.dimension

  statistic           = each.value.statistic
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.above
  period              = each.value.period
  evaluation_periods  = each.value.of
  datapoints_to_alarm = each.value.breaching

  # A queue that was not used for hours has no metrics.
  treat_missing_data = "notBreaching"
}

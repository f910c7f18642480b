mock_provider "aws" {}

variables {
  name               = "anna-chunked"
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  enabled            = true
  queues             = { scatter = "anna-chunked-scatter", process = "anna-chunked-process", gather = "anna-chunked-gather.fifo" }
  dead_letter_queues = { scatter = "anna-chunked-scatter-dlq", process = "anna-chunked-process-dlq", gather = "anna-chunked-gather-dlq.fifo" }
  parked_queue       = "anna-chunked-parked"
  bury_function      = "anna-chunked-bury"
  sweep_function     = "anna-chunked-sweep"
  sweep_period       = 60
  age                = 1800
}

run "alarms" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition = toset([for alarm in aws_cloudwatch_metric_alarm.this :
      "${alarm.alarm_name}: ${alarm.statistic} ${alarm.namespace} ${alarm.metric_name} of ${join(" ", values(alarm.dimensions))} > ${alarm.threshold} in ${alarm.datapoints_to_alarm} of ${alarm.evaluation_periods} times ${alarm.period} s"
      ]) == toset([
      "anna-chunked-parked: Maximum AWS/SQS ApproximateNumberOfMessagesVisible of anna-chunked-parked > 0 in 1 of 1 times 60 s",
      "anna-chunked-dead-letters: Sum AWS/Lambda Invocations of anna-chunked-bury > 0 in 1 of 1 times 60 s",
      "anna-chunked-sweep: Sum AWS/Lambda Errors of anna-chunked-sweep > 0 in 3 of 5 times 60 s",
      "anna-chunked-scatter-dlq: Maximum AWS/SQS ApproximateNumberOfMessagesVisible of anna-chunked-scatter-dlq > 0 in 15 of 15 times 60 s",
      "anna-chunked-process-dlq: Maximum AWS/SQS ApproximateNumberOfMessagesVisible of anna-chunked-process-dlq > 0 in 15 of 15 times 60 s",
      "anna-chunked-gather-dlq: Maximum AWS/SQS ApproximateNumberOfMessagesVisible of anna-chunked-gather-dlq.fifo > 0 in 15 of 15 times 60 s",
      "anna-chunked-scatter-age: Maximum AWS/SQS ApproximateAgeOfOldestMessage of anna-chunked-scatter > 1800 in 1 of 1 times 60 s",
      "anna-chunked-process-age: Maximum AWS/SQS ApproximateAgeOfOldestMessage of anna-chunked-process > 1800 in 1 of 1 times 60 s",
      "anna-chunked-gather-age: Maximum AWS/SQS ApproximateAgeOfOldestMessage of anna-chunked-gather.fifo > 1800 in 1 of 1 times 60 s",
    ])
    error_message = "there are alarms of parked and dead messages, of bury and sweep that fail, and of messages that wait too long"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.comparison_operator == "GreaterThanThreshold" && alarm.treat_missing_data == "notBreaching" && alarm.alarm_description != ""])
    error_message = "no metrics are no alarm, and every alarm says what it means"
  }

  assert {
    condition     = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => join(" ", keys(alarm.dimensions)) } == { for name, alarm in aws_cloudwatch_metric_alarm.this : name => contains(["dead-letters", "sweep"], name) ? "FunctionName" : "QueueName" }
    error_message = "metrics are found by the name of their queue or function"
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "nobody is told unless an address is given"
  }
}

run "letters_that_nothing_consumes" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    kept_letters = { consolidate = "anna-chunked-consolidate-dlq" }
  }

  assert {
    condition     = [for alarm in [aws_cloudwatch_metric_alarm.this["consolidate-dlq"]] : [alarm.metric_name, alarm.dimensions.QueueName, tostring(alarm.threshold), tostring(alarm.evaluation_periods)]] == [["ApproximateNumberOfMessagesVisible", "anna-chunked-consolidate-dlq", "0", "1"]]
    error_message = "people are told at once of a letter that only they can work on"
  }

  assert {
    condition     = !strcontains(aws_cloudwatch_metric_alarm.this["consolidate-dlq"].alarm_description, "bury")
    error_message = "they are not told that bury does"
  }
}

run "topic" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = aws_sns_topic.this.name == "anna-chunked-alarms"
    error_message = "the topic is named {scope}{pipeline}-alarms"
  }

  assert {
    condition = jsondecode(aws_sns_topic.this.policy).Statement == [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-central-1:123456789012:anna-chunked-alarms"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = "arn:aws:sns:eu-central-1:123456789012:anna-chunked-alarms"
        Condition = {
          ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:anna-chunked-*" }
          StringEquals = { "aws:SourceAccount" = "123456789012" }
        }
      },
    ]
    error_message = "the pipeline's own alarms may publish, and nobody without TLS"
  }
}

run "slower_sweep" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    sweep_period = 86400
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["sweep"].period == 86400 && aws_cloudwatch_metric_alarm.this["sweep"].period * aws_cloudwatch_metric_alarm.this["sweep"].evaluation_periods <= 7 * 86400
    error_message = "the alarm looks at five sweeps, and at no more than the week that CloudWatch allows"
  }
}

run "told_by_email" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    email       = "oncall@example.com"
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = [for subscription in aws_sns_topic_subscription.email : "${subscription.protocol} ${subscription.endpoint}"] == ["email oncall@example.com"]
    error_message = "an address is subscribed"
  }

  assert {
    condition     = aws_sns_topic.this.kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/1234"
    error_message = "a key that is given encrypts what is published"
  }
}

run "disabled" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    enabled = false
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 0 && aws_sns_topic.this.name == "anna-chunked-alarms"
    error_message = "without alarms there is still the topic"
  }
}

run "undelivered" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    topic = "anna-sns-chunks"
  }

  assert {
    condition = [for alarm in [aws_cloudwatch_metric_alarm.this["undelivered"]] :
      "${alarm.statistic} ${alarm.namespace} ${alarm.metric_name} of ${join(" ", values(alarm.dimensions))} > ${alarm.threshold}"
    ] == ["Sum AWS/SNS NumberOfNotificationsFailed of anna-sns-chunks > 0"]
    error_message = "what a topic cannot deliver is an alarm"
  }
}

run "streams" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    stream_functions = { records = "anna-chunked-records" }
    age              = 100000
  }

  # In milliseconds, and long before the stream forgets.
  assert {
    condition = [for alarm in [aws_cloudwatch_metric_alarm.this["records-stream-age"]] :
      "${alarm.statistic} ${alarm.namespace} ${alarm.metric_name} of ${join(" ", values(alarm.dimensions))} > ${alarm.threshold} in ${alarm.datapoints_to_alarm} of ${alarm.evaluation_periods} times ${alarm.period} s"
    ] == ["Maximum AWS/Lambda IteratorAge of anna-chunked-records > 43200000 in 1 of 1 times 60 s"]
    error_message = "a change that waits in a stream for half a day is an alarm, whatever may wait in queues"
  }
}

run "streams_like_queues" {
  command = plan

  module {
    source = "./modules/alarms"
  }

  variables {
    stream_functions = { records = "anna-chunked-records" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["records-stream-age"].threshold == 1800000
    error_message = "a change may wait in a stream as long as a message in a queue"
  }
}

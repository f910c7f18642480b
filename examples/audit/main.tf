terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "topic_arn" {
  description = "ARN of the topic of a pipeline of the variant sns: topic_arn in the output deployment."
  type        = string
}

variable "customer" {
  description = "First folder of the keys under which the customer's files are uploaded."
  type        = string
}

variable "name" {
  description = "Name of the queue."
  type        = string
  default     = "audit"
}

resource "aws_sqs_queue" "audit" {
  name                    = var.name
  sqs_managed_sse_enabled = true
}

# https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html
resource "aws_sqs_queue_policy" "audit" {
  queue_url = aws_sqs_queue.audit.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.audit.arn
      Condition = { ArnEquals = { "aws:SourceArn" = var.topic_arn } }
    }]
  })
}

# https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
resource "aws_sns_topic_subscription" "audit" {
  topic_arn            = var.topic_arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.audit.arn
  raw_message_delivery = true
  filter_policy        = jsonencode({ group = [var.customer] })

  # SNS gives a message up at once that the queue does not let it send.
  depends_on = [aws_sqs_queue_policy.audit]
}

output "queue_url" {
  description = "URL of the queue."
  value       = aws_sqs_queue.audit.url
}

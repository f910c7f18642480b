# The example of a second subscriber.

mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:123456789012:audit" }
  }
}

run "audit" {
  command = apply # the queue's ARN is known only then; nothing is created, the provider is a mock

  module {
    source = "../examples/audit"
  }

  variables {
    topic_arn = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks"
    customer  = "acme"
  }

  assert {
    condition     = aws_sns_topic_subscription.audit.topic_arn == var.topic_arn && aws_sns_topic_subscription.audit.endpoint == aws_sqs_queue.audit.arn && aws_sns_topic_subscription.audit.raw_message_delivery
    error_message = "the queue is subscribed to the topic"
  }

  assert {
    condition     = jsondecode(aws_sns_topic_subscription.audit.filter_policy) == { group = ["acme"] } && aws_sns_topic_subscription.audit.filter_policy_scope != "MessageBody"
    error_message = "it gets the chunks of one customer, by the attribute that names the group"
  }

  assert {
    condition     = one(jsondecode(aws_sqs_queue_policy.audit.policy).Statement).Condition == { ArnEquals = { "aws:SourceArn" = "arn:aws:sns:eu-central-1:123456789012:anna-sns-chunks" } }
    error_message = "it takes messages of that topic only"
  }
}

output "topic_arn" {
  description = "ARN of the topic that is told of every alarm."
  value       = aws_sns_topic.this.arn
}

output "topic_policy" {
  description = "Resource policy of the topic, as JSON."
  value       = aws_sns_topic.this.policy
}

output "names" {
  description = "Names of the alarms, without what all begin with."
  value       = keys(aws_cloudwatch_metric_alarm.this)
}

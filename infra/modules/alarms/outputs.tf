output "topic_arn" {
  description = "ARN of the topic that is told of every alarm."
  value       = aws_sns_topic.this.arn
}

output "topic_policy" {
  description = "Resource policy of the topic, as JSON."
  value       = aws_sns_topic.this.policy
}

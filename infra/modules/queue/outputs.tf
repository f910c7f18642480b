output "arn" {
  description = "ARN of the queue. Known before the queue exists; who uses it waits until it does."
  value       = local.arn
  depends_on  = [aws_sqs_queue.this]
}

# An account's queues of one region differ in the last part of their URLs only, whoever serves them. So a function can be
# made while the queues it is told of are; its policy, which its event source mapping waits for, takes their ARNs.
output "url" {
  description = "URL of the queue. Known as soon as its dead-letter queue exists; who uses it does not wait for the queue."
  value       = "${trimsuffix(aws_sqs_queue.dead_letter.url, local.dead_letter_name)}${local.name}"
}

output "dead_letter_url" {
  description = "URL of the queue's dead-letter queue."
  value       = aws_sqs_queue.dead_letter.url
}

output "visibility_timeout" {
  description = "Visibility timeout of the queue, in seconds."
  value       = aws_sqs_queue.this.visibility_timeout_seconds
}

output "policy" {
  description = "Resource policy of the queue, as JSON."
  value       = aws_sqs_queue.this.policy
}

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

# Without waiting for anything: an alarm may watch a queue that is not there yet.
output "names" {
  description = "Names of the queue and of its dead-letter queue."
  value       = { queue = local.name, dead_letter = local.dead_letter_name }
}

output "dead_letter_arn" {
  description = "ARN of the queue's dead-letter queue. Known before it exists; who uses it waits until it does, and not for the queue."
  value       = local.dead_letter_arn
  depends_on  = [aws_sqs_queue.dead_letter]
}

output "dead_letter_url" {
  description = "URL of the queue's dead-letter queue."
  value       = aws_sqs_queue.dead_letter.url
}

output "visibility_timeout" {
  description = "Visibility timeout of the queue, in seconds."
  value       = aws_sqs_queue.this.visibility_timeout_seconds
}

output "dead_letter_visibility_timeout" {
  description = "Visibility timeout of the dead-letter queue, in seconds."
  value       = aws_sqs_queue.dead_letter.visibility_timeout_seconds
}

output "policy" {
  description = "Resource policy of the queue, as JSON."
  value       = aws_sqs_queue.this.policy
}

output "dead_letter_policy" {
  description = "Resource policy of the dead-letter queue, as JSON."
  value       = aws_sqs_queue.dead_letter.policy
}

output "arn" {
  description = "ARN of the queue. Known before the queue exists; who uses it waits until it does."
  value       = local.arn
  depends_on  = [aws_sqs_queue.this]
}

# The URLs of an account's queues in one region differ only in their last part, whatever serves them. So a
# function can be created along with the queues named in its environment; its policy, which its event source
# mapping waits for, takes their ARNs.
output "url" {
  description = "URL of the queue. Known as soon as its dead-letter queue exists; who uses it does not wait for the queue."
  value       = "${trimsuffix(aws_sqs_queue.dead_letter.url, local.dead_letter_name)}${local.name}"
}

# These wait for nothing: an alarm may watch a queue that does not exist yet.
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

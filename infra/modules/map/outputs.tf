output "arn" {
  description = "ARN of the state machine. Known before it exists; who uses it waits until it does, with its rights."
  value       = local.arn
  depends_on  = [aws_sfn_state_machine.this]
}

output "policy" {
  description = "Inline policy of the role of the state machine, as JSON."
  value       = aws_iam_role_policy.this.policy
}

output "definition" {
  description = "What the state machine does, as JSON."
  value       = aws_sfn_state_machine.this.definition
}

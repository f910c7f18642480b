output "policies" {
  description = "The policies, as JSON. Who uses them waits until the role has them."
  value       = aws_iam_policy.this[*].policy
  depends_on  = [aws_iam_role_policy_attachment.this]
}

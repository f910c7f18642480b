output "rule" {
  description = "Name of the rule."
  value       = aws_cloudwatch_event_rule.this.name
}

output "rate" {
  description = "How often the rule invokes its function."
  value       = aws_cloudwatch_event_rule.this.schedule_expression
}

output "name" {
  description = "Name of the function."
  value       = module.function.name
}

output "schedules" {
  description = "How often each rule invokes the function, and with what."
  value       = { for name, rule in aws_cloudwatch_event_rule.this : name => { rate = rule.schedule_expression, event = jsondecode(aws_cloudwatch_event_target.this[name].input) } }
}

output "settings" {
  description = "What the function runs with."
  value       = module.function.settings
}

output "policy" {
  description = "Policy of the function's role, as JSON."
  value       = module.function.policy
}

output "protected" {
  description = "Whether the tables withstand a destroy."
  value       = alltrue([for table in [aws_dynamodb_table.events, aws_dynamodb_table.packages, aws_dynamodb_table.aggregates] : table.deletion_protection_enabled])
}

output "arn" {
  description = "ARN of the function. Known before it exists; who uses it waits until it does."
  value       = local.arn
  depends_on  = [module.function]
}

output "name" {
  description = "Name of the function."
  value       = module.function.name
}

output "policy" {
  description = "Policy of the function's role, as JSON."
  value       = module.function.policy
}

output "settings" {
  description = "What the function runs with."
  value       = module.function.settings
}

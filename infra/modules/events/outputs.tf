output "url" {
  description = "Where the events are: the address of the function."
  value = (
    var.emulator_endpoint == null
    ? trimsuffix(aws_lambda_function_url.this.function_url, "/")
    : "${trimsuffix(coalesce(var.emulator_endpoint, "none"), "/")}/_aws/lambda-url/${aws_lambda_function_url.this.url_id}"
  )
  depends_on = [module.policies]
}

output "authorisation" {
  description = "How callers are let in, and how they are answered."
  value       = { type = aws_lambda_function_url.this.authorization_type, mode = aws_lambda_function_url.this.invoke_mode }
}

output "settings" {
  description = "What the function runs with."
  value       = module.function.settings
}

output "policies" {
  description = "Policies of the function's role, as JSON: its own, and those for the pipelines."
  value       = concat([module.function.policy], module.policies.policies)
}

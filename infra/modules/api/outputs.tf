output "api" {
  description = "Where the API is reached, and how callers show who they are: IAM or JWT."
  value = {
    url = (
      var.emulator_endpoint == null
      ? aws_apigatewayv2_api.this.api_endpoint
      : "${trimsuffix(coalesce(var.emulator_endpoint, "none"), "/")}/_aws/execute-api/${aws_apigatewayv2_api.this.id}"
    )
    authorisation = local.authorisation
  }
}

# Only of the API itself, so that buckets can allow the page without a circle.
output "page_origins" {
  description = "Origins of the page, if a browser can load it: none with IAM, which a browser does not sign for."
  value       = var.jwt == null ? [] : [aws_apigatewayv2_api.this.api_endpoint]
}

# As page_origins: only of the API itself.
output "report_page" {
  description = "Where people find a report in a browser, whose id is put behind it; null with IAM."
  value       = var.jwt == null ? null : "${aws_apigatewayv2_api.this.api_endpoint}/reports.html#/"
}

output "function" {
  description = "Name and ARN of the function."
  value       = { name = module.function.name, arn = module.function.arn }
}

output "settings" {
  description = "What the function runs with."
  value       = module.function.settings
}

output "description" {
  description = "What the function reads about the deployment: the object and its content, which is JSON."
  value       = { bucket = aws_s3_object.deployment.bucket, key = aws_s3_object.deployment.key, content = aws_s3_object.deployment.content }
}

output "policies" {
  description = "Policies of the function's role, as JSON: its own, and those for the pipelines."
  value       = concat([module.function.policy], module.policies.policies)
}

output "routes" {
  description = "Routes with how they are authorised: AWS_IAM, JWT or NONE."
  value = merge(
    { for key, route in aws_apigatewayv2_route.page : key => route.authorization_type },
    { (aws_apigatewayv2_route.default.route_key) = aws_apigatewayv2_route.default.authorization_type },
  )
}

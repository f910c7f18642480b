output "api" {
  description = "Where the API is reached, and how callers show who they are: IAM. There is no key."
  value = {
    url = (
      var.emulator_endpoint == null
      ? "${aws_apigatewayv2_api.this.api_endpoint}/${local.stage}"
      : "${trimsuffix(coalesce(var.emulator_endpoint, "none"), "/")}/_aws/execute-api/${aws_apigatewayv2_api.this.id}/${local.stage}"
    )
    authorisation = "IAM"
    by            = "function"
    key           = null
  }
}

output "routes" {
  description = "Routes with how they are authorised."
  value       = { for key, route in aws_apigatewayv2_route.this : key => route.authorization_type }
}

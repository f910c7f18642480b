output "api" {
  description = "Where the API is reached, how callers show who they are (IAM or KEY), where records go (queue or table), and of the key, which is a secret, its id and the command that reads it; null with IAM."
  value = {
    url = (
      var.emulator_endpoint == null
      ? "https://${aws_api_gateway_rest_api.this.id}.execute-api.${var.account.region}.${local.dns_suffix}/${local.stage}"
      : "${trimsuffix(coalesce(var.emulator_endpoint, "none"), "/")}/_aws/execute-api/${aws_api_gateway_rest_api.this.id}/${local.stage}"
    )
    authorisation = var.authorisation
    by            = var.by
    key = one([for id in aws_api_gateway_api_key.this[*].id : {
      id   = id
      read = "aws apigateway get-api-key --region ${var.account.region} --api-key ${id} --include-value --query value --output text"
    }])
  }
}

output "document" {
  description = "What the API does, as OpenAPI: JSON."
  value       = aws_api_gateway_rest_api.this.body
}

output "policy" {
  description = "Policy of the gateway's role, as JSON."
  value       = aws_iam_role_policy.gateway.policy
}

output "trust" {
  description = "Who may take the gateway's role, as JSON."
  value       = aws_iam_role.gateway.assume_role_policy
}

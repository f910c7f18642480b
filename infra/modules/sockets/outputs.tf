# These wait for the API itself and for nothing else: the function that the routes need is told them.

output "sockets" {
  description = "The table of who waits, where clients connect, and where messages are sent to connections."
  value = {
    table       = var.name
    url         = replace(local.connections, "/^http/", "ws")
    connections = local.connections
  }
}

output "table_arn" {
  description = "ARN of the table. Known before it exists."
  value       = local.table_arn
}

output "connect_arn" {
  description = "What who connects is allowed to invoke."
  value       = "${local.execution_arn}/$connect"
}

output "manage_arn" {
  description = "What who sends messages to connections is allowed to invoke."
  value       = "${local.execution_arn}/POST/@connections/*"
}

output "routes" {
  description = "Routes with how they are authorised: AWS_IAM or NONE."
  value       = { for key, route in aws_apigatewayv2_route.this : key => route.authorization_type }
}

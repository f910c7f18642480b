# An API of one OpenAPI document, for scripts/rest_apis_tests.py. What stands behind it is there before.

variable "document" {
  description = "What the document is told: region, account, queue, table, and the roles gateway, powerless and distrustful"
  type        = map(string)
}

variable "key" {
  description = "Value of the API key"
  type        = string
}

provider "aws" {
  region                      = var.document.region
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

resource "aws_api_gateway_rest_api" "this" {
  name = "jobs"
  body = jsonencode(yamldecode(templatefile("${path.module}/api.yaml", var.document)))

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  triggers    = { body = sha256(aws_api_gateway_rest_api.this.body) }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "this" {
  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = "v1"
  variables     = { greeting = "hello" }

  lifecycle {
    # MiniStack tells of an empty one.
    ignore_changes = [access_log_settings]
  }
}

resource "aws_api_gateway_usage_plan" "this" {
  for_each = {
    throttled = { rate = 0.001, burst = 1, requests = 1000 }
    quota     = { rate = 1000, burst = 1000, requests = 1 }
  }

  name = each.key

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = each.value.rate
    burst_limit = each.value.burst
  }

  quota_settings {
    limit  = each.value.requests
    period = "DAY"
  }
}

resource "aws_api_gateway_api_key" "this" {
  for_each = aws_api_gateway_usage_plan.this

  name  = each.key
  value = "${var.key}-${each.key}"
}

resource "aws_api_gateway_usage_plan_key" "this" {
  for_each = aws_api_gateway_usage_plan.this

  key_id        = aws_api_gateway_api_key.this[each.key].id
  key_type      = "API_KEY"
  usage_plan_id = each.value.id
}

output "api" {
  value = { id = aws_api_gateway_rest_api.this.id, stage = aws_api_gateway_stage.this.stage_name }
}

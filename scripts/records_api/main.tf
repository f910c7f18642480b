# APIs of records that are sent one at a time, for scripts/records_api_tests.py. What stands behind them is there before.

variable "behind" {
  description = "What the APIs are told: region, account, endpoint, and the names of what is behind them"
  type        = map(string)
}

variable "record_schema" {
  description = "JSON Schema of a record"
  type        = string
}

variable "by" {
  description = "Where records are put"
  type        = string
}

variable "function" {
  description = "A function to have an HTTP API before, too: its name and its ARN"
  type        = object({ name = string, arn = string })
  default     = null
}

provider "aws" {
  region                      = var.behind.region
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

locals {
  arn = { for service in ["sqs", "dynamodb"] : service => "arn:aws:${service}:${var.behind.region}:${var.behind.account}" }
}

module "records" {
  source = "./modules/records"
  for_each = {
    iam   = { authorisation = "IAM", queue = var.behind.queue, requests = var.behind.requests, rate = 1000 }
    key   = { authorisation = "KEY", queue = var.behind.queue, requests = var.behind.requests, rate = 1000 }
    tight = { authorisation = "KEY", queue = var.behind.queue, requests = var.behind.requests, rate = 0.001 }
    lost  = { authorisation = "KEY", queue = "${var.behind.queue}-lost", requests = "${var.behind.requests}-lost", rate = 1000 }
  }

  name          = "${var.behind.queue}-${each.key}"
  account       = { partition = "aws", region = var.behind.region, id = var.behind.account }
  authorisation = each.value.authorisation
  by            = var.by

  queue = { name = each.value.queue, arn = "${local.arn.sqs}:${each.value.queue}" }
  tables = {
    requests = { name = each.value.requests, arn = "${local.arn.dynamodb}:table/${each.value.requests}" }
    items    = { name = var.behind.items, arn = "${local.arn.dynamodb}:table/${var.behind.items}" }
  }
  key_field     = var.behind.key_field
  record_schema = var.record_schema

  rate               = each.value.rate
  burst              = each.value.rate < 1 ? 1 : 1000
  emulator_endpoint  = var.behind.endpoint
  log_retention_days = 14
}

module "submit" {
  source = "./modules/submit"
  count  = length(var.function[*])

  name     = "${var.behind.queue}-submit"
  account  = { partition = "aws", region = var.behind.region, id = var.behind.account }
  function = var.function

  emulator_endpoint  = var.behind.endpoint
  log_retention_days = 14
}

output "api" {
  value = merge({ for name, api in module.records : name => api.api }, { for api in module.submit : "function" => api.api })
}

# Events of batches and reports: a function that answers while it writes, at an address of its own, since an HTTP API waits for whole
# answers. Callers sign their requests, and IAM lets them in.

locals {
  # What is looked at to tell how a batch or a report stands.
  reads = ["ReadObjects", "ReadInput", "ListBuckets", "ListInput", "ReadLedger", "Watch"]
}

module "function" {
  source = "../function"

  name         = var.name
  account      = var.account
  stage        = "events"
  package      = var.package
  architecture = var.architecture
  memory       = 256
  # A client that went away is waited for until then, and paid for:
  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html. One that is there comes back by itself.
  timeout = 300

  environment = {
    DEPLOYMENT = "s3://${var.description.bucket}/${var.description.key}"
    RUST_LOG   = var.log_level
  }

  permissions = {
    ReadDeployment = { actions = ["s3:GetObject"], resources = ["arn:${var.account.partition}:s3:::${var.description.bucket}/deployments/*"] }
  }

  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

module "policies" {
  source = "../policies"

  name        = var.name
  role        = module.function.role
  permissions = { for name, statements in var.permissions : name => { for sid, permission in statements : sid => permission if contains(local.reads, sid) } }
}

# Whoever may call it needs the rights to lambda:InvokeFunctionUrl and lambda:InvokeFunction:
# https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
resource "aws_lambda_function_url" "this" {
  function_name      = module.function.name
  authorization_type = "AWS_IAM"
  invoke_mode        = "RESPONSE_STREAM"
}

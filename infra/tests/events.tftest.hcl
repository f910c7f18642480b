# The function that tells of events while it writes, and what it may read.

mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  mock_resource "aws_lambda_function_url" {
    defaults = {
      function_url = "https://u1.lambda-url.eu-central-1.on.aws/"
      url_id       = "u1"
    }
  }
}

variables {
  name         = "anna-api-events"
  account      = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package      = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture = "arm64"
  description  = { bucket = "anna-package-123456789012", key = "deployments/anna-api-0123.json" }
  permissions = {
    monthly = {
      ReadObjects = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::monthly/*"] }
      ReadLedger  = { actions = ["dynamodb:GetItem"], resources = ["arn:aws:dynamodb:eu-central-1:123456789012:table/monthly"] }
      KeepLedger  = { actions = ["dynamodb:UpdateItem"], resources = ["arn:aws:dynamodb:eu-central-1:123456789012:table/monthly"] }
      Watch       = { actions = ["sqs:GetQueueAttributes"], resources = ["arn:aws:sqs:eu-central-1:123456789012:monthly"] }
      Upload      = { actions = ["s3:PutObject"], resources = ["arn:aws:s3:::monthly/*"] }
    }
  }
  log_level          = "debug"
  log_retention_days = 30
}

run "events" {
  command = apply

  module {
    source = "./modules/events"
  }

  assert {
    condition     = output.authorisation == { type = "AWS_IAM", mode = "RESPONSE_STREAM" }
    error_message = "IAM lets callers in, and answers reach them while they are written"
  }

  assert {
    condition     = [output.settings.handler, output.settings.memory, output.settings.timeout, output.settings.triggers] == ["events", 256, 300, {}]
    error_message = "the function is told what it is by its handler, does not wait for long for who is gone, and has no trigger"
  }

  assert {
    condition     = output.settings.environment == tomap({ DEPLOYMENT = "s3://anna-package-123456789012/deployments/anna-api-0123.json", RUST_LOG = "debug" })
    error_message = "the function reads the same description as the API"
  }

  assert {
    condition = toset(flatten([for policy in output.policies : [for statement in jsondecode(policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ]])) == toset([
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/monthly",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-api-events:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-api-events:*",
      "s3:GetObject arn:aws:s3:::anna-package-123456789012/deployments/*",
      "s3:GetObject arn:aws:s3:::monthly/*",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:monthly",
    ])
    error_message = "the function reads and changes nothing"
  }

  assert {
    condition     = output.url == "https://u1.lambda-url.eu-central-1.on.aws"
    error_message = "a path can be put behind the address"
  }
}

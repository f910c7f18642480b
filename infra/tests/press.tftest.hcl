# The function that prints reports.

mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }
}

variables {
  name               = "anna-press"
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  bucket             = "anna-package-123456789012"
  file               = "./own_attributes.json" # any file: the provider is a mock
  architecture       = "arm64"
  log_level          = "debug"
  log_retention_days = 30
}

run "press" {
  command = plan

  module {
    source = "./modules/press"
  }

  assert {
    condition     = [output.settings.handler, output.settings.architecture, output.settings.log_retention_days] == ["press", "arm64", 30] && output.settings.memory == 2048 && output.settings.timeout == 120
    error_message = "it has two gigabytes and two minutes, and all else as the other functions"
  }

  assert {
    condition     = output.settings.environment == tomap({ RUST_LOG = "debug" }) && output.settings.triggers == {} && output.settings.stream == null
    error_message = "it is told nothing, and nothing feeds it"
  }

  assert {
    condition     = output.arn == "arn:aws:lambda:eu-central-1:123456789012:function:anna-press" && output.name == "anna-press"
    error_message = "its ARN is known before it is made"
  }

  assert {
    condition = jsondecode(output.policy).Statement == [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-press:*"]
    }]
    error_message = "it may write its log and nothing else"
  }

  assert {
    condition     = [aws_s3_object.this.bucket, aws_s3_object.this.key] == ["anna-package-123456789012", "press-${substr(filesha256("./own_attributes.json"), 0, 16)}.zip"]
    error_message = "its zip lies beside that of the other functions, named by what it holds"
  }
}

run "with_a_key" {
  command = plan

  module {
    source = "./modules/press"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition = [for statement in jsondecode(output.policy).Statement : [statement.Action, statement.Resource, statement.Condition] if statement.Sid != "Log"] == [[
      ["kms:Decrypt"], ["arn:aws:kms:eu-central-1:123456789012:key/1234"], { StringEquals = { "kms:ViaService" = ["lambda.eu-central-1.amazonaws.com"] } },
    ]]
    error_message = "it decrypts its own environment, and no data"
  }
}

# The API of a deployment: that there is none unless it is asked for, who is let in, and what its function may do.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_servicequotas_service_quota" {
    defaults = { value = 1000 }
  }

  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mock" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/mock" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:mock" }
  }

  mock_resource "aws_lambda_event_source_mapping" {
    defaults        = { uuid = "01234567-89ab-cdef-0123-456789abcdef" }
    override_during = plan
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3"
      api_endpoint  = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3"
    }
    override_during = plan
  }

  mock_resource "aws_lambda_function_url" {
    defaults = {
      function_url = "https://u1.lambda-url.eu-central-1.on.aws/"
      url_id       = "u1"
    }
    override_during = plan
  }
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock
}

run "no_api_unless_it_is_asked_for" {
  command = plan

  variables {
    api_jwt = { issuer = "https://issuer.example.com", audience = ["fanfold"] }
  }

  assert {
    condition     = length(module.api) == 0 && output.deployment.api == null
    error_message = "without api there is no API, no function and no policy of it"
  }

  assert {
    condition     = module.pipeline["chunked"].page_origins == toset(["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"])
    error_message = "without an API, only pages of this machine send forms to the input bucket"
  }

  assert {
    condition     = output.deployment.pipelines["chunked"].mappings == { process = "01234567-89ab-cdef-0123-456789abcdef" }
    error_message = "a client learns by which mapping a pipeline is paused"
  }
}

run "iam" {
  command = plan

  variables {
    api = true
  }

  assert {
    condition     = module.api[0].routes == { "$default" = "AWS_IAM" }
    error_message = "with IAM, every route is for callers whom IAM lets in, the page too"
  }

  assert {
    condition     = output.deployment.api == { url = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com", authorisation = "IAM", events = "https://u1.lambda-url.eu-central-1.on.aws" }
    error_message = "a client learns where the API is, where its events are, and who is let in"
  }

  assert {
    condition     = module.pipeline["chunked"].page_origins == toset(["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"])
    error_message = "a page that no browser can load sends no forms"
  }
}

run "jwt" {
  command = plan

  variables {
    api     = true
    api_jwt = { issuer = "https://issuer.example.com", audience = ["fanfold"] }
  }

  assert {
    condition     = module.api[0].routes["$default"] == "JWT"
    error_message = "with JWT, whatever no other route names is for callers with a token"
  }

  assert {
    condition     = [for route, authorisation in module.api[0].routes : route if authorisation != "JWT"] == concat(["GET /"], [for file in jsondecode(file("./page.json")) : "GET /${file}"])
    error_message = "nothing is open but the files of the page"
  }

  assert {
    condition     = alltrue([for route in keys(module.api[0].routes) : route == "$default" || can(regex("^GET /([a-z]+[.](html|js|css|svg))?$", route))])
    error_message = "an open route names one file: no variable, no other method, and no name that a request of the API could have"
  }

  assert {
    condition     = output.deployment.api == { url = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com", authorisation = "JWT", events = null } && length(module.events) == 0
    error_message = "a client learns where the API is and who is let in; no function has an address that knows no tokens"
  }

  assert {
    condition     = contains(module.pipeline["chunked"].page_origins, "https://a1b2c3.execute-api.eu-central-1.amazonaws.com")
    error_message = "the page may send its forms to the input bucket"
  }
}

run "an_emulators_address" {
  command = plan

  variables {
    api               = true
    emulator_endpoint = "http://127.0.0.1:4566/"
  }

  assert {
    condition     = [output.deployment.api.url, output.deployment.api.events] == ["http://127.0.0.1:4566/_aws/execute-api/a1b2c3", "http://127.0.0.1:4566/_aws/lambda-url/u1"]
    error_message = "on an emulator, the API has a path"
  }
}

run "rejects_an_issuer_without_https" {
  command = plan

  variables {
    api_jwt = { issuer = "http://issuer.example.com", audience = ["fanfold"] }
  }

  expect_failures = [var.api_jwt]
}

run "rejects_an_issuer_that_only_begins_like_this_machine" {
  command = plan

  variables {
    api_jwt = { issuer = "http://localhost.example.com", audience = ["fanfold"] }
  }

  expect_failures = [var.api_jwt]
}

run "rejects_tokens_for_anybody" {
  command = plan

  variables {
    api_jwt = { issuer = "https://issuer.example.com", audience = [] }
  }

  expect_failures = [var.api_jwt]
}

run "rights" {
  command = plan

  variables {
    api       = true
    pipelines = { a = { input_prefix = "incoming/" }, b = { variant = "dynamodb" }, c = {}, d = {}, e = {}, f = {}, g = {} }
  }

  assert {
    condition     = length(module.api[0].policies) == 4 && alltrue([for policy in module.api[0].policies : length(policy) <= 6144])
    error_message = "however many pipelines there are, each policy is as short as IAM wants it"
  }

  assert {
    condition = alltrue(flatten([for policy in module.api[0].policies : [for statement in jsondecode(policy).Statement : [
      statement.Effect == "Allow",
      [for action in statement.Action : can(regex("^[a-z0-9]+:[A-Za-z]+$", action))],
      length(statement.Resource) > 0,
      [for resource in statement.Resource : !strcontains(replace(resource, "/((/|:)[*]|/incoming/[*]|/deployments/anna-api-[*])$/", ""), "*")],
    ]]]))
    error_message = "no action and no name has a wildcard"
  }

  assert {
    condition     = length(distinct(flatten([for policy in module.api[0].policies : [for statement in jsondecode(policy).Statement : [for resource in statement.Resource : resource if endswith(resource, "-scatter")]]]))) == 7
    error_message = "every pipeline is among those that the function may work on"
  }
}

run "rights_of_one_pipeline" {
  command = plan

  variables {
    api       = true
    pipelines = { b = { variant = "dynamodb", input_prefix = "incoming/" } }
  }

  assert {
    condition = toset(flatten([for policy in module.api[0].policies : [for statement in jsondecode(policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ]])) == toset([
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-b-ledger",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-b-ledger",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-b-ledger",
      "dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/anna-b-ledger/index/all-batches",
      "dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/anna-b-tasks",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-b-ledger",
      "lambda:GetEventSourceMapping arn:aws:lambda:eu-central-1:123456789012:event-source-mapping:01234567-89ab-cdef-0123-456789abcdef",
      "lambda:UpdateEventSourceMapping arn:aws:lambda:eu-central-1:123456789012:event-source-mapping:01234567-89ab-cdef-0123-456789abcdef",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-api:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-api:*",
      "s3:GetObject arn:aws:s3:::anna-b-input-123456789012/*",
      "s3:GetObject arn:aws:s3:::anna-b-output-123456789012/*",
      "s3:GetObject arn:aws:s3:::anna-b-work-123456789012/*",
      "s3:GetObject arn:aws:s3:::anna-package-123456789012/deployments/anna-api-*",
      "s3:GetObjectVersion arn:aws:s3:::anna-b-input-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-b-input-123456789012",
      "s3:ListBucket arn:aws:s3:::anna-b-output-123456789012",
      "s3:ListBucket arn:aws:s3:::anna-b-work-123456789012",
      "s3:ListBucketVersions arn:aws:s3:::anna-b-input-123456789012",
      "s3:PutObject arn:aws:s3:::anna-b-input-123456789012/incoming/*",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-b-process",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-b-scatter",
    ])
    error_message = "the function may do exactly this with a pipeline"
  }
}

run "key" {
  command = plan

  variables {
    api         = true
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = [for statement in jsondecode(module.api[0].policies[0]).Statement : statement.Resource if statement.Sid == "UseKey"] == [["arn:aws:kms:eu-central-1:123456789012:key/1234"]]
    error_message = "the function may use exactly the key that is given"
  }
}

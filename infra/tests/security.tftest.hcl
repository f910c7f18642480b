# Limits on permissions, and encryption, in every variant.

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

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:mock" }
  }
}

variables {
  scope   = "anna-"
  package = "./versions.tf" # any file: the provider is a mock

  variants = ["sync", "async", "chunked", "dynamodb", "ranged", "notification", "sns", "sfn"]
}

run "rights" {
  command = plan

  assert {
    condition     = alltrue([for pipeline in module.pipeline : keys(pipeline.policies) == concat(["bury", "gather"], can(pipeline.policies["map"]) ? ["map"] : [], ["process", "scatter", "sweep"])])
    error_message = "every function of every variant has a policy to look at"
  }

  assert {
    condition = alltrue(flatten([for pipeline in module.pipeline : [for policy in pipeline.policies : [for statement in jsondecode(policy).Statement : [
      statement.Effect == "Allow",
      can(statement.Action) && !can(statement.NotAction) && can(statement.Resource) && !can(statement.NotResource),
      length(statement.Action) > 0 && length(statement.Resource) > 0,
      [for action in statement.Action : can(regex("^[a-z0-9]+:[A-Za-z]+$", action))],
    ]]]]))
    error_message = "no role may do \"*\", \"service:*\" or any action with a wildcard"
  }

  # A wildcard stands for the objects of a bucket, for those of a kind in all batches, for the schemas of a pipeline, or for the
  # streams of a log group, never for a name.
  assert {
    condition = alltrue(flatten([for variant, pipeline in module.pipeline : [for policy in pipeline.policies : [for statement in jsondecode(policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : startswith(pair[1], {
        s3       = endswith(pair[1], "/schemas/anna-${variant}-*") ? "arn:aws:s3:::anna-package-123456789012/" : "arn:aws:s3:::anna-${variant}-"
        sqs      = "arn:aws:sqs:eu-central-1:123456789012:anna-${variant}-"
        sns      = "arn:aws:sns:eu-central-1:123456789012:anna-${variant}-chunks"
        dynamodb = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-${variant}-"
        lambda   = "arn:aws:lambda:eu-central-1:123456789012:function:anna-${variant}-process"
        states   = "arn:aws:states:eu-central-1:123456789012:"
        logs     = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-${variant}-"
        kms      = "none"
      }[split(":", pair[0])[0]]) && !strcontains(replace(pair[1], "/((/[*]/(pending|done|answers|objects|gather|map/results))?(/|:)[*]|/[*]/(summary[.]json|map/claims-[*][.]jsonl)|/schemas/anna-${variant}-[*])$/", ""), "*")]
    ]]]))
    error_message = "no role may do anything to \"*\" or to a resource that is not its own pipeline's"
  }

  assert {
    condition     = !anytrue(flatten([for pipeline in module.pipeline : [for policy in pipeline.policies : strcontains(policy, "kms:")]]))
    error_message = "no role may use a key unless one is given"
  }

  assert {
    condition = alltrue(flatten([for variant, pipeline in module.pipeline : [for name, policy in pipeline.resource_policies : [
      [for statement in jsondecode(policy).Statement : [statement.Principal, statement.Condition.Bool] if statement.Sid == "TlsOnly"] == [["*", { "aws:SecureTransport" = "false" }]],
      [for statement in jsondecode(policy).Statement : statement.Principal if statement.Effect == "Deny" && statement.Principal != "*"] == [],
      [for statement in jsondecode(policy).Statement : statement.Principal if statement.Effect == "Allow" && !can(statement.Principal.Service)] == [],
    ]]]))
    error_message = "every bucket, queue and topic refuses plain HTTP, and allows nobody anything but a service of AWS"
  }

  assert {
    condition = alltrue([for variant, pipeline in module.pipeline : keys(pipeline.resource_policies) == concat(["alarms"], variant == "sns" ? ["chunks"] : [], [
      "gather", "gather-dlq", "input", "output", "parked", "process", "process-dlq", "scatter", "scatter-dlq", "work",
    ])])
    error_message = "every bucket, queue and topic of every variant has a policy to look at"
  }

  assert {
    condition     = jsondecode(module.package.policy).Statement[0].Effect == "Deny" && jsondecode(module.package.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } } && jsondecode(module.package.policy).Statement[0].Resource == ["arn:aws:s3:::anna-package-123456789012", "arn:aws:s3:::anna-package-123456789012/*"]
    error_message = "the bucket of the package refuses plain HTTP"
  }
}

run "rights_with_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = alltrue([for pipeline in module.pipeline : keys(pipeline.policies) == concat(["bury", "gather"], can(pipeline.policies["map"]) ? ["map"] : [], ["process", "scatter", "sweep"])])
    error_message = "every function of every variant has a policy to look at"
  }

  assert {
    condition = alltrue(flatten([for pipeline in module.pipeline : [for policy in pipeline.policies : [for statement in jsondecode(policy).Statement : [
      statement.Effect == "Allow",
      can(statement.Action) && !can(statement.NotAction) && can(statement.Resource) && !can(statement.NotResource),
      length(statement.Action) > 0 && length(statement.Resource) > 0,
      [for action in statement.Action : can(regex("^[a-z0-9]+:[A-Za-z]+$", action))],
    ]]]]))
    error_message = "no role may do \"*\", \"service:*\" or any action with a wildcard"
  }

  # A wildcard stands for the objects of a bucket, for those of a kind in all batches, for the schemas of a pipeline, or for the
  # streams of a log group, never for a name.
  assert {
    condition = alltrue(flatten([for variant, pipeline in module.pipeline : [for policy in pipeline.policies : [for statement in jsondecode(policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : startswith(pair[1], {
        s3       = endswith(pair[1], "/schemas/anna-${variant}-*") ? "arn:aws:s3:::anna-package-123456789012/" : "arn:aws:s3:::anna-${variant}-"
        sqs      = "arn:aws:sqs:eu-central-1:123456789012:anna-${variant}-"
        sns      = "arn:aws:sns:eu-central-1:123456789012:anna-${variant}-chunks"
        dynamodb = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-${variant}-"
        lambda   = "arn:aws:lambda:eu-central-1:123456789012:function:anna-${variant}-process"
        states   = "arn:aws:states:eu-central-1:123456789012:"
        logs     = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-${variant}-"
        kms      = "arn:aws:kms:eu-central-1:123456789012:key/1234"
      }[split(":", pair[0])[0]]) && !strcontains(replace(pair[1], "/((/[*]/(pending|done|answers|objects|gather|map/results))?(/|:)[*]|/[*]/(summary[.]json|map/claims-[*][.]jsonl)|/schemas/anna-${variant}-[*])$/", ""), "*")]
    ]]]))
    error_message = "no role may do anything to \"*\" or to a resource that is not its own pipeline's"
  }

  assert {
    condition = alltrue(flatten([for pipeline in module.pipeline : [for policy in pipeline.policies :
      [for statement in jsondecode(policy).Statement : [join(" ", statement.Action), statement.Resource] if statement.Sid == "UseKey"] == [
        ["kms:Decrypt kms:GenerateDataKey", ["arn:aws:kms:eu-central-1:123456789012:key/1234"]],
      ]
    ]]))
    error_message = "every role may use exactly the key that is given"
  }
}

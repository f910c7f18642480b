# Billing in a deployment: whose terms, whose tables, who may do what, and what is refused.

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
  pipelines = {
    clients = { key_field = "client", processors = "[\"terms\",\"items\"]" }
    usage   = { key_field = "id", processors = "[{\"meter\":{\"billed_by\":\"billing\"}}]" }
    billing = {
      key_field    = "id"
      input_prefix = "runs/"
      chunk_size   = 20
      processors   = "[{\"bill\":{\"clients_of\":\"clients\",\"invoices\":{\"url\":\"https://api.example.com/invoices\",\"rate\":5,\"secrets\":{\"token\":\"arn:aws:ssm:eu-central-1:123456789012:parameter/token\"}}}}]"
    }
  }
}

run "a_deployment_that_bills" {
  command = plan

  assert {
    condition     = { for name, pipeline in output.deployment.pipelines : name => pipeline.billing == null ? null : { for key, value in pipeline.billing : key => value if key != "client_policy" } } == { clients = null, usage = null, billing = { events_table = "anna-billing-events", packages_table = "anna-billing-packages", aggregates_table = "anna-billing-aggregates", clients_table = "anna-clients-items", function = "anna-billing-billing" } }
    error_message = "a client learns where billing is, from the pipeline that closes half months"
  }

  assert {
    condition = output.deployment.pipelines.billing.billing.client_policy == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "ReadPackages"
          Effect    = "Allow"
          Action    = ["dynamodb:GetItem", "dynamodb:Query"]
          Resource  = ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-billing-packages"]
          Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["$${aws:PrincipalTag/client}#????-??-H?"] }, Null = { "dynamodb:LeadingKeys" = "false" } }
        },
        {
          Sid       = "ReadUsage"
          Effect    = "Allow"
          Action    = ["dynamodb:GetItem", "dynamodb:Query"]
          Resource  = ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-billing-aggregates"]
          Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["$${aws:PrincipalTag/client}"] }, Null = { "dynamodb:LeadingKeys" = "false" } }
        },
      ]
    }
    error_message = "a client may read its own rows"
  }

  assert {
    condition     = [for statement in jsondecode(module.billing["billing"].policy).Statement : statement.Condition if statement.Sid == "Meter"] == [{ "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["METER#invoices"] } }]
    error_message = "what sends packages changes nothing of the ledger but its meter"
  }

  assert {
    condition     = module.pipeline["billing"].settings.process.environment.BILLING_AGGREGATES_TABLE == "anna-billing-aggregates" && !contains(keys(module.pipeline["usage"].settings.process.environment), "BILLING_AGGREGATES_TABLE")
    error_message = "what closes half months counts days, and nothing else does"
  }

  assert {
    condition     = [for name in ["EVENTS", "PACKAGES", "CLIENTS"] : module.pipeline["usage"].settings.process.environment["BILLING_${name}_TABLE"]] == ["anna-billing-events", "anna-billing-packages", "anna-clients-items"]
    error_message = "what keeps events is told the tables of the pipeline that bills them"
  }

  assert {
    condition     = module.pipeline["billing"].settings.process.environment.OUTPUT_BUCKET == "anna-billing-output-123456789012" && !contains(keys(module.pipeline["usage"].settings.process.environment), "OUTPUT_BUCKET")
    error_message = "what closes half months writes packages, and nothing else does"
  }

  assert {
    condition     = [for name in ["ReadTerms", "KeepEvents", "FindEvents", "SealPackages", "SetAggregates", "ReadParameters"] : contains(jsondecode(module.pipeline["usage"].policies.process).Statement[*].Sid, name)] == [true, true, false, false, false, false]
    error_message = "what keeps events reads terms, and no packages"
  }

  assert {
    condition     = [for name in ["ReadTerms", "KeepEvents", "FindEvents", "SealPackages", "SetAggregates", "ReadParameters"] : contains(jsondecode(module.pipeline["billing"].policies.process).Statement[*].Sid, name)] == [true, false, true, true, true, false]
    error_message = "what closes half months keeps no events, and calls no API"
  }

  assert {
    condition     = !strcontains(module.pipeline["clients"].policies.process, "billing")
    error_message = "who uploads terms has nothing to do with what is billed"
  }

  assert {
    condition = { for statement in jsondecode(module.billing["billing"].policy).Statement : statement.Sid => statement.Resource if statement.Sid != "Log" } == {
      FindPackages   = ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-billing-packages/index/open"]
      List           = ["arn:aws:s3:::anna-billing-input-123456789012/runs/*"]
      ListOutput     = ["arn:aws:s3:::anna-billing-output-123456789012"]
      Meter          = ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-billing-ledger"]
      ReadPackages   = ["arn:aws:s3:::anna-billing-output-123456789012/packages/*"]
      ReadParameters = ["arn:aws:ssm:eu-central-1:123456789012:parameter/token"]
      ReadProcessors = ["arn:aws:s3:::anna-package-123456789012/processors/anna-billing-*"]
      ReadTerms      = ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-clients-items"]
      SendPackages   = ["arn:aws:dynamodb:eu-central-1:123456789012:table/anna-billing-packages"]
    }
    error_message = "what sends packages reads no events"
  }

  assert {
    condition     = module.billing["billing"].schedules == { closed = { rate = "rate(1 hour)", event = { action = "plan" } }, all = { rate = "rate(1 day)", event = { action = "plan", all = true } }, send = { rate = "rate(1 minute)", event = { action = "send" } } }
    error_message = "half months are listed every hour, all of them every day, and packages are sent every minute"
  }

  assert {
    condition     = [for name in ["INPUT_BUCKET", "INPUT_PREFIX", "OUTPUT_BUCKET", "LEDGER_TABLE"] : module.billing["billing"].settings.environment[name]] == ["anna-billing-input-123456789012", "runs/", "anna-billing-output-123456789012", "anna-billing-ledger"] && module.billing["billing"].settings.timeout == 120
    error_message = "lists become batches of the pipeline, whose ledger has the meter"
  }
}

run "events_are_sent_one_at_a_time" {
  command = plan

  variables {
    pipelines = {
      clients = { key_field = "client", processors = "[\"terms\",\"items\"]" }
      usage   = { key_field = "id", records_api = "IAM", records_by = "function", processors = "[{\"meter\":{\"billed_by\":\"billing\"}}]" }
      stored  = { key_field = "id", records_api = "KEY", processors = "[{\"meter\":{\"billed_by\":\"billing\"}},\"items\"]" }
      billing = { key_field = "id", chunk_size = 20, processors = "[{\"bill\":{\"clients_of\":\"clients\"}}]" }
    }
  }

  assert {
    condition     = contains(keys(module.pipeline["usage"].settings.records.environment), "BILLING_EVENTS_TABLE") && length([for name in ["records", "submit"] : name if contains(keys(module.pipeline["usage"].settings[name].environment), "ITEMS_TABLE")]) == 0
    error_message = "what is sent by itself is kept as an event, and no item is made of it"
  }

  assert {
    condition     = [for function in ["records", "submit"] : contains(jsondecode(module.pipeline["usage"].policies[function]).Statement[*].Sid, "KeepEvents")] == [true, false] && !strcontains(module.pipeline["usage"].policies.submit, "-items")
    error_message = "what takes events keeps none, and reads no items"
  }

  assert {
    condition     = [for statement in jsondecode(module.pipeline["stored"].policies.records).Statement : statement.Sid if contains(["KeepEvents", "WriteItems"], statement.Sid)] == ["KeepEvents", "WriteItems"]
    error_message = "events can become items, too"
  }
}

run "without_an_api_nothing_is_sent" {
  command = plan

  variables {
    pipelines = {
      clients = { key_field = "client", processors = "[\"items\",\"terms\",{\"aggregate\":{\"group_by\":[\"zone\"]}}]" }
      billing = { key_field = "id", chunk_size = 50, processors = "{\"bill\":{\"clients_of\":\"clients\"}}" }
    }
    protect_data = true
    kms_key_arn  = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = keys(module.billing["billing"].schedules) == ["all", "closed"] && [for statement in jsondecode(module.billing["billing"].policy).Statement : statement.Sid] == ["List", "Log", "ReadProcessors", "ReadTerms", "UseKey"]
    error_message = "packages are sealed, and stay"
  }

  assert {
    condition     = [for statement in output.deployment.pipelines.billing.billing.client_policy.Statement : statement.Condition if statement.Sid == "UseKey"] == [{ StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com"] } }]
    error_message = "with a key, whoever reads rows decrypts them"
  }

  assert {
    condition     = module.billing["billing"].protected
    error_message = "what is billed is protected as all data are"
  }
}

run "nobody_bills" {
  command = plan

  variables {
    pipelines = {}
  }

  assert {
    condition     = length(module.billing) == 0 && output.deployment.pipelines.chunked.billing == null
    error_message = "without the processor bill, there is none of it"
  }
}

# The REST API of records that are sent one at a time, as it is made: its document, its role, and what stands before it.

mock_provider "aws" {
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mock" }
  }
}

variables {
  name          = "anna-orders-records"
  account       = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  authorisation = "IAM"
  queue         = { name = "anna-orders-records", arn = "arn:aws:sqs:eu-central-1:123456789012:anna-orders-records" }
  tables = {
    requests = { name = "anna-orders-requests", arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-orders-requests" }
    items    = { name = "anna-orders-items", arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-orders-items" }
  }
  key_field          = "id"
  record_schema      = "{}"
  log_retention_days = 30
}

run "signed" {
  command = apply

  module {
    source = "./modules/records"
  }

  assert {
    condition = alltrue(flatten([for path in values(jsondecode(output.document).paths) : [for operation in values(path) :
      operation.security == [{ caller = [] }] && operation["x-amazon-apigateway-integration"].passthroughBehavior == "never"
    ]])) && length(jsondecode(output.document).paths) == 3
    error_message = "no operation is open, and none passes a body on as it is"
  }

  assert {
    condition     = jsondecode(output.document).components.securitySchemes.caller == { type = "apiKey", name = "Authorization", in = "header", "x-amazon-apigateway-authtype" = "awsSigv4" }
    error_message = "callers sign their requests"
  }

  assert {
    condition     = length(regexall("[$]context[.]identity[.]user\\b", output.document)) == 2 && !strcontains(output.document, "apiKeyId")
    error_message = "callers are told apart by who signed"
  }

  assert {
    condition     = length(aws_api_gateway_usage_plan.this) + length(aws_api_gateway_api_key.this) + length(aws_api_gateway_usage_plan_key.this) == 0
    error_message = "without keys there is no plan that counts by them"
  }

  assert {
    condition     = one(aws_api_gateway_method_settings.all.settings).throttling_rate_limit == 100 && one(aws_api_gateway_method_settings.all.settings).throttling_burst_limit == 200 && aws_api_gateway_method_settings.all.method_path == "*/*"
    error_message = "so many requests are let in and no more, whoever signs them"
  }

  assert {
    condition = jsondecode(output.policy).Statement == [
      { Sid = "Read", Effect = "Allow", Action = ["dynamodb:GetItem"], Resource = [var.tables.requests.arn, var.tables.items.arn] },
      { Sid = "Send", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [var.queue.arn] },
    ]
    error_message = "the gateway sends to one queue and reads two tables"
  }

  assert {
    condition     = [for statement in jsondecode(output.trust).Statement : statement.Principal] == [{ Service = "apigateway.amazonaws.com" }]
    error_message = "nobody but API Gateway takes its role"
  }

  assert {
    condition = toset(flatten([for path in values(jsondecode(output.document).paths) : [for operation in values(path) :
      operation["x-amazon-apigateway-integration"].credentials
    ]])) == toset(["arn:aws:iam::123456789012:role/${aws_iam_role.gateway.name}"])
    error_message = "every integration has that role"
  }

  assert {
    condition     = !anytrue([for secret in ["querystring", "body", "header", "context.path\"", "identity.apiKey\"", "requestOverride"] : strcontains(one(aws_api_gateway_stage.this.access_log_settings).format, secret)])
    error_message = "the log of requests has no bodies, no keys of records and no ids of requests"
  }

  assert {
    condition     = aws_cloudwatch_log_group.access.retention_in_days == 30 && aws_api_gateway_deployment.this.triggers == tomap({ document = sha256(output.document) })
    error_message = "the log is kept as others are, and a change of the document is deployed"
  }

  assert {
    condition     = jsondecode(output.document).components.schemas.Record == { type = "object" }
    error_message = "of a schema that says nothing, models know that a record is an object"
  }

  assert {
    condition = toset(keys(jsondecode(output.document).paths["/records"].post.responses)) == toset(["202", "400", "403", "413", "415", "422", "429", "500", "502", "503", "504"]) && alltrue([
      for path in ["/status/{id}", "/records/{key}"] : toset(keys(jsondecode(output.document).paths[path].get.responses)) == toset(["200", "400", "403", "404", "415", "429", "500", "502", "503", "504"])
    ])
    error_message = "every status is described"
  }
}

run "of_events" {
  command = apply

  module {
    source = "./modules/records"
  }

  variables {
    tables = { requests = { name = "anna-orders-requests", arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-orders-requests" } }
  }

  assert {
    condition     = keys(jsondecode(output.document).paths) == ["/events", "/status/{id}"]
    error_message = "events are kept, and none is shown"
  }

  assert {
    condition = alltrue([for taken in [jsondecode(output.document).paths["/events"].post.requestBody.content, jsondecode(output.document).paths["/events"].post["x-amazon-apigateway-integration"].requestTemplates] :
      keys(taken) == ["application/cloudevents+json", "application/json"] && length(distinct(values(taken))) == 1
    ])
    error_message = "an event is taken as JSON or by its own media type, and is the same by both"
  }

  assert {
    condition     = [for statement in jsondecode(output.policy).Statement : statement.Resource if statement.Sid == "Read"] == [[var.tables.requests.arn]]
    error_message = "there are no items to be read"
  }
}

run "with_a_key" {
  command = apply

  module {
    source = "./modules/records"
  }

  variables {
    authorisation = "KEY"
    rate          = 5
    burst         = 6
    kms_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/1234"
    key_field     = "a \"$b\" #set"
    record_schema = <<-EOT
      {"type": "object", "required": ["a", "b"], "minProperties": 1, "additionalProperties": false, "$defs": {"d": {"type": "string"}},
       "properties": {"a": {"type": "string", "minLength": 3}, "b": {"type": "integer"}, "c": {"type": ["number", "null"]}, "d": {"$ref": "#/$defs/d"},
                      "e": true, "f": {"enum": [1]}, "g": {"type": "object", "required": ["h"]}, "i": {"type": "null"}}}
    EOT
  }

  assert {
    condition     = jsondecode(output.document).components.securitySchemes.caller == { type = "apiKey", name = "x-api-key", in = "header" }
    error_message = "callers send a key"
  }

  assert {
    condition     = length(regexall("[$]context[.]identity[.]apiKeyId\\b", output.document)) == 2 && !strcontains(output.document, "identity.user")
    error_message = "callers are told apart by their keys' ids"
  }

  assert {
    condition     = one(aws_api_gateway_usage_plan.this[0].throttle_settings).rate_limit == 5 && one(aws_api_gateway_usage_plan.this[0].throttle_settings).burst_limit == 6 && one(aws_api_gateway_usage_plan.this[0].api_stages).stage == "v1"
    error_message = "the plan of the key lets in so many requests and no more"
  }

  assert {
    condition     = aws_api_gateway_usage_plan_key.this[0].key_id == aws_api_gateway_api_key.this[0].id && output.api.key.id == aws_api_gateway_api_key.this[0].id && !strcontains(jsonencode(output.api), aws_api_gateway_api_key.this[0].value)
    error_message = "the key is in the plan, and what is told of it is not its value"
  }

  assert {
    condition = jsondecode(output.document).components.schemas.Record == {
      type     = "object"
      required = ["a", "b"]
      properties = {
        a = { type = "string" }, b = { type = "number" }, g = { type = "object" }, i = { type = "null" }
      }
    }
    error_message = "models have what they surely know of the schema, and an integer is a number to them"
  }

  assert {
    condition     = strcontains(jsondecode(output.document).paths["/records/{key}"].get["x-amazon-apigateway-integration"].requestTemplates["application/json"], "{\"a \\\"\\u0024b\\\" \\u0023set\":{\"S\":")
    error_message = "a name that means something in JSON or in a template stays a name"
  }

  assert {
    condition = [for statement in jsondecode(output.policy).Statement : statement if statement.Sid == "UseKey"] == [{
      Sid       = "UseKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = ["arn:aws:kms:eu-central-1:123456789012:key/1234"]
      Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com", "sqs.eu-central-1.amazonaws.com"] } }
    }] && aws_cloudwatch_log_group.access.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/1234"
    error_message = "the gateway may use exactly the key that is given, for the queue and the tables"
  }
}

run "by_the_table" {
  command = apply

  module {
    source = "./modules/records"
  }

  variables {
    by          = "table"
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition = [for statement in jsondecode(output.policy).Statement : [statement.Sid, statement.Action, statement.Resource]] == [
      ["Keep", ["dynamodb:UpdateItem"], [var.tables.requests.arn]],
      ["Read", ["dynamodb:GetItem"], [var.tables.requests.arn, var.tables.items.arn]],
      ["UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-central-1:123456789012:key/1234"]],
    ] && jsondecode(output.policy).Statement[2].Condition == { StringEquals = { "kms:ViaService" = ["dynamodb.eu-central-1.amazonaws.com"] } }
    error_message = "the gateway writes to the table of requests, and has nothing to do with the queue"
  }

  assert {
    condition = (
      jsondecode(output.document).paths["/records"].post["x-amazon-apigateway-integration"].uri == "arn:aws:apigateway:eu-central-1:dynamodb:action/UpdateItem"
      && jsondecode(output.document).paths["/records"].post["x-amazon-apigateway-integration"].passthroughBehavior == "never"
      && jsondecode(output.document).paths["/records"].post["x-amazon-apigateway-integration"].credentials == "arn:aws:iam::123456789012:role/anna-orders-records-gateway"
      && jsondecode(output.document).paths["/records"].post.security == [{ caller = [] }]
    )
    error_message = "a record becomes a row of the table"
  }

  assert {
    condition     = output.api.by == "table" && strcontains(jsondecode(output.document).paths["/records"].post.description, "at most 261,000 bytes") && !strcontains(output.document, "sqs")
    error_message = "the document says how long a record may be"
  }
}

run "rejects_another_place" {
  command = plan

  module {
    source = "./modules/records"
  }

  variables {
    by = "topic"
  }

  expect_failures = [var.by]
}

run "rejects_an_open_api" {
  command = plan

  module {
    source = "./modules/records"
  }

  variables {
    authorisation = "NONE"
  }

  expect_failures = [var.authorisation]
}

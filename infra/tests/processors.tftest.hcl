# What is done with records: the rights and tables that follow from it, and what is refused.

mock_provider "aws" {
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
  name               = "anna-chunked"
  variant            = "chunked"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20 }
  batch_size         = 3
  write_mode         = "ordered"
  item_attributes    = "prefixed"
  format             = "{}"
  input_prefix       = ""
  input_suffix       = ""
  limits             = "{}"
  results            = "failed"
  stall_after        = 600
  give_up_after      = 7200
  sweep_rate         = "rate(5 minutes)"
  alarms             = true
  alarm_age          = 1800
  chunk_size         = 250
  key_field          = "zip_code"
  record_schema      = "{}"
  log_level          = "debug"
  log_retention_days = 30
  protect_data       = true
}

run "items_by_name" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "items"
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "process WriteItems: dynamodb:BatchWriteItem dynamodb:PutItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-items",
    ])
    error_message = "items are written by process, and no function reads what it does without being told"
  }

  assert {
    condition     = length(aws_s3_object.processors) == 0 && length(aws_dynamodb_table.items) == 1 && length(aws_dynamodb_table.counters) == 0
    error_message = "there is an items table, and nothing else that processors need"
  }

  assert {
    condition     = { for function, made in module.function : function => [for name in ["PROCESSORS", "ITEMS_TABLE", "COUNTERS_TABLE", "FAIR_BY", "TOLERATE"] : name if can(made.settings.environment[name])] } == { scatter = ["FAIR_BY"], process = ["ITEMS_TABLE"], gather = [], bury = [], sweep = ["FAIR_BY"] }
    error_message = "only process is told the items table"
  }
}

run "items_in_a_list" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "[\"items\"]"
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "process WriteItems: dynamodb:BatchWriteItem dynamodb:PutItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-items",
    ])
    error_message = "items are written by process, and no function reads what it does without being told"
  }

  assert {
    condition     = length(aws_s3_object.processors) == 0 && length(aws_dynamodb_table.items) == 1 && length(aws_dynamodb_table.counters) == 0
    error_message = "there is an items table, and nothing else that processors need"
  }

  assert {
    condition     = { for function, made in module.function : function => [for name in ["PROCESSORS", "ITEMS_TABLE", "COUNTERS_TABLE", "FAIR_BY", "TOLERATE"] : name if can(made.settings.environment[name])] } == { scatter = ["FAIR_BY"], process = ["ITEMS_TABLE"], gather = [], bury = [], sweep = ["FAIR_BY"] }
    error_message = "only process is told the items table"
  }
}

run "a_function_invoked" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "{\"invoke\":{\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:check:live\"}}"
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process InvokeFunction: lambda:InvokeFunction on arn:aws:lambda:eu-central-1:123456789012:function:check:live",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
    ])
    error_message = "process may invoke exactly the alias that is named, and keeps what it answers"
  }

  assert {
    condition     = length(aws_dynamodb_table.items) == 0 && length(aws_dynamodb_table.counters) == 0
    error_message = "a pipeline without items has no items table"
  }

  assert {
    condition     = [for object in aws_s3_object.processors : [object.bucket, object.key, object.content]] == [["anna-package-123456789012", "processors/anna-chunked-${substr(sha256(var.processors), 0, 16)}.json", var.processors]]
    error_message = "what is done with records lies beside the schema, under a name made from its text"
  }

  assert {
    condition     = { for function, made in module.function : function => [for name in ["PROCESSORS", "ITEMS_TABLE", "COUNTERS_TABLE", "FAIR_BY", "TOLERATE"] : name if can(made.settings.environment[name])] } == { scatter = ["PROCESSORS", "FAIR_BY"], process = ["PROCESSORS"], gather = ["PROCESSORS"], bury = ["PROCESSORS"], sweep = ["PROCESSORS", "FAIR_BY"] }
    error_message = "every function is told what is done with records, and none a table that is not there"
  }

  assert {
    condition     = module.function["process"].settings.environment["PROCESSORS"] == "s3://anna-package-123456789012/processors/anna-chunked-${substr(sha256(var.processors), 0, 16)}.json"
    error_message = "the variable names the object"
  }
}

run "a_function_beside_items" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode(["items", { invoke = { function_arn = "arn:aws:lambda:eu-central-1:210987654321:function:check", contract = "map" } }])
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process WriteItems: dynamodb:BatchWriteItem dynamodb:PutItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-items",
      "process InvokeFunction: lambda:InvokeFunction on arn:aws:lambda:eu-central-1:210987654321:function:check",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
    ])
    error_message = "process may invoke a function of another account, and write items"
  }

  assert {
    condition     = length(aws_dynamodb_table.items) == 1
    error_message = "there is an items table"
  }
}

run "a_function_of_records_in_a_table" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    parts      = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    processors = "{\"invoke\":{\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:check:live\"}}"
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process InvokeFunction: lambda:InvokeFunction on arn:aws:lambda:eu-central-1:123456789012:function:check:live",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
      "process ReadAnswers: s3:GetObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
      "bury ReadAnswers: s3:GetObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
      "sweep ReadAnswers: s3:GetObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
      "process ListAnswers: s3:ListBucket on arn:aws:s3:::anna-chunked-work-123456789012",
      "bury ListAnswers: s3:ListBucket on arn:aws:s3:::anna-chunked-work-123456789012",
      "sweep ListAnswers: s3:ListBucket on arn:aws:s3:::anna-chunked-work-123456789012",
      "scatter ResolveTasks: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-tasks",
      "bury ResolveTasks: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-tasks",
      "sweep ResolveTasks: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-tasks",
    ])
    error_message = "answers are kept in the work bucket, wherever records wait"
  }
}

run "an_api_called" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode({ http = { url = "https://api.example.com/orders", secrets = { token = "arn:aws:ssm:eu-central-1:123456789012:parameter/orders/token", key = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbC123#key", other = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbC123" } } })
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadParameters: ssm:GetParameter on arn:aws:ssm:eu-central-1:123456789012:parameter/orders/token",
      "process ReadSecrets: secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbC123",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
    ])
    error_message = "process may read exactly the secrets that are named, and no key"
  }
}

run "an_api_called_with_a_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
    processors  = jsonencode({ http = { url = "https://api.example.com/orders", secrets = { token = "arn:aws:ssm:eu-central-1:123456789012:parameter/orders/token", key = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbC123#key", other = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbC123" } } })
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadParameters: ssm:GetParameter on arn:aws:ssm:eu-central-1:123456789012:parameter/orders/token",
      "process ReadSecrets: secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders-AbC123",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
      "process DecryptSecrets: kms:Decrypt on arn:aws:kms:eu-central-1:123456789012:key/1234",
    ])
    error_message = "with a key of the deployment's, process may decrypt secrets with it"
  }

  assert {
    condition     = [for statement in jsondecode(module.function["process"].policy).Statement : statement.Condition if statement.Sid == "DecryptSecrets"] == [{ StringEquals = { "kms:ViaService" = ["ssm.eu-central-1.amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com"] } }]
    error_message = "it may do so only through the services that keep them"
  }
}

run "an_api_called_without_secrets" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode({ http = { url = "https://api.example.com/orders" } })
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
    ])
    error_message = "a call without secrets needs no right"
  }
}

run "counters" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode({ aggregate = { group_by = ["client", "day"], sum = ["quantity"] } })
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "scatter SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "process SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "bury SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "sweep SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
    ])
    error_message = "counters are set by every function that decides outcomes, which gather does only without a tree; no answers are kept"
  }

  assert {
    condition     = length(aws_dynamodb_table.items) == 0 && output.deployment.items_table == null && output.deployment.counters_table == "anna-chunked-counters"
    error_message = "there is a counters table, no items table, and a client learns that"
  }

  assert {
    condition     = aws_dynamodb_table.counters[0].hash_key == "group" && aws_dynamodb_table.counters[0].range_key == "chunk" && aws_dynamodb_table.counters[0].attribute == toset([{ name = "group", type = "S" }, { name = "chunk", type = "S" }])
    error_message = "a counter's key is its group and the chunk that it counts"
  }

  assert {
    condition     = aws_dynamodb_table.counters[0].billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.counters[0].deletion_protection_enabled && aws_dynamodb_table.counters[0].point_in_time_recovery[0].enabled && !aws_dynamodb_table.counters[0].server_side_encryption[0].enabled && output.protected
    error_message = "the counters are paid for by request, protected, can be restored, and are encrypted with DynamoDB's own key"
  }

  assert {
    condition     = { for function, made in module.function : function => [for name in ["PROCESSORS", "ITEMS_TABLE", "COUNTERS_TABLE", "FAIR_BY", "TOLERATE"] : name if can(made.settings.environment[name])] } == { scatter = ["PROCESSORS", "COUNTERS_TABLE", "FAIR_BY"], process = ["PROCESSORS", "COUNTERS_TABLE"], gather = ["PROCESSORS"], bury = ["PROCESSORS", "COUNTERS_TABLE"], sweep = ["PROCESSORS", "COUNTERS_TABLE", "FAIR_BY"] }
    error_message = "whoever sets counters is told their table"
  }
}

run "counters_without_a_tree" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    parts      = { unit = "record", pending = "bucket", fanOut = "messages", condition = "listing" }
    processors = jsonencode({ aggregate = { group_by = ["client"] } })
  }

  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}" if statement.Sid == "SetCounters"
      ]])) == toset([for function in ["scatter", "process", "gather", "bury", "sweep"] :
      "${function}: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters"
    ])
    error_message = "gather counts a chunk that was decided and not counted, too"
  }

  assert {
    condition     = alltrue([for made in module.function : made.settings.environment["COUNTERS_TABLE"] == "anna-chunked-counters"])
    error_message = "whoever sets counters is told their table"
  }
}

run "whoever_ends_chunks_reads_decisions_and_answers" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = jsonencode(["custom", { aggregate = { group_by = ["client"] } }])
  }

  # By whatever statement: a right to all of the work bucket is one to its objects.
  assert {
    condition = alltrue([for function in ["scatter", "process", "bury", "sweep"] : alltrue([for kind in ["done", "answers"] : anytrue([for statement in jsondecode(module.function[function].policy).Statement :
      contains(statement.Action, "s3:GetObject") && length(setintersection(statement.Resource, ["arn:aws:s3:::anna-chunked-work-123456789012/*", "arn:aws:s3:::anna-chunked-work-123456789012/*/${kind}/*"])) > 0
    ])])])
    error_message = "decisions and answers are read by every function that ends chunks"
  }

  assert {
    condition = alltrue([for function in ["scatter", "process", "bury", "sweep"] : alltrue([for right in [["s3:ListBucket", "arn:aws:s3:::anna-chunked-work-123456789012"], ["s3:PutObject", "arn:aws:s3:::anna-chunked-work-123456789012/*/done/*"]] :
      anytrue([for statement in jsondecode(module.function[function].policy).Statement : contains(statement.Action, right[0]) && contains(statement.Resource, right[1])])
    ])])
    error_message = "they list answers, and write decisions"
  }
}

run "whoever_ends_chunks_of_a_table_reads_decisions_and_answers" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    parts      = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    processors = jsonencode(["custom", { aggregate = { group_by = ["client"] } }])
  }

  assert {
    condition = alltrue([for function in ["scatter", "process", "bury", "sweep"] : anytrue([for statement in jsondecode(module.function[function].policy).Statement :
      contains(statement.Action, "s3:GetObject") && length(setintersection(statement.Resource, ["arn:aws:s3:::anna-chunked-work-123456789012/*", "arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*"])) > 0
    ])])
    error_message = "answers are read by every function that ends chunks"
  }

  assert {
    condition = alltrue([for function in ["scatter", "process", "bury", "sweep"] : alltrue([for action in ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:BatchWriteItem"] :
      anytrue([for statement in jsondecode(module.function[function].policy).Statement : contains(statement.Action, action) && contains(statement.Resource, "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-tasks")])
    ])])
    error_message = "they read decisions, and write them with the outcomes"
  }

  assert {
    condition = alltrue([for function in ["scatter", "process", "bury", "sweep"] :
      anytrue([for statement in jsondecode(module.function[function].policy).Statement : contains(statement.Action, "s3:ListBucket") && contains(statement.Resource, "arn:aws:s3:::anna-chunked-work-123456789012")])
    ])
    error_message = "they list answers"
  }
}

run "counters_with_a_key_unprotected" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    kms_key_arn  = "arn:aws:kms:eu-central-1:123456789012:key/1234"
    protect_data = false
    processors   = jsonencode({ aggregate = { group_by = ["client"] } })
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "scatter SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "process SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "bury SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "sweep SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
    ])
    error_message = "a key changes no right to counters"
  }

  assert {
    condition     = aws_dynamodb_table.counters[0].server_side_encryption[0].enabled && aws_dynamodb_table.counters[0].server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "the key encrypts the counters"
  }

  assert {
    condition     = !aws_dynamodb_table.counters[0].deletion_protection_enabled && !aws_dynamodb_table.counters[0].point_in_time_recovery[0].enabled && !output.protected
    error_message = "unprotected: the counters may be deleted and keep no backups"
  }
}

run "custom_items_and_counters" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    fair_by    = "prefix"
    tolerate   = "5%"
    processors = jsonencode(["custom", "items", { aggregate = { group_by = ["client"] } }])
  }

  # The rights that follow from processors; roles.tftest.hcl has the others.
  assert {
    condition = toset(flatten([for function, made in module.function : [for statement in jsondecode(made.policy).Statement :
      "${function} ${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}"
      if contains(["ReadProcessors", "WriteItems", "SetCounters", "InvokeFunction", "ReadParameters", "ReadSecrets", "KeepAnswers", "ReadAnswers", "ListAnswers", "ResolveTasks", "DecryptSecrets"], statement.Sid)
      ]])) == toset([
      "scatter ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "gather ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "bury ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "sweep ReadProcessors: s3:GetObject on arn:aws:s3:::anna-package-123456789012/processors/anna-chunked-*",
      "process WriteItems: dynamodb:BatchWriteItem dynamodb:PutItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-items",
      "process KeepAnswers: s3:PutObject on arn:aws:s3:::anna-chunked-work-123456789012/*/answers/*",
      "scatter SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "process SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "bury SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
      "sweep SetCounters: dynamodb:BatchWriteItem on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-counters",
    ])
    error_message = "a processor of the user's own needs no right here, but its answers are kept"
  }

  assert {
    condition     = { for function, made in module.function : function => [for name in ["PROCESSORS", "ITEMS_TABLE", "COUNTERS_TABLE", "FAIR_BY", "TOLERATE"] : name if can(made.settings.environment[name])] } == { scatter = ["PROCESSORS", "COUNTERS_TABLE", "FAIR_BY"], process = ["PROCESSORS", "ITEMS_TABLE", "COUNTERS_TABLE", "TOLERATE"], gather = ["PROCESSORS"], bury = ["PROCESSORS", "COUNTERS_TABLE"], sweep = ["PROCESSORS", "COUNTERS_TABLE", "FAIR_BY", "TOLERATE"] }
    error_message = "process and sweep are told how many failures are tolerated"
  }

  assert {
    condition     = module.function["scatter"].settings.environment["FAIR_BY"] == "prefix" && module.function["process"].settings.environment["TOLERATE"] == "5%"
    error_message = "they are told what was given"
  }
}

run "rejects_an_empty_list" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = "[]"
  }

  expect_failures = [output.processors]
}

run "rejects_what_is_not_json" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = "[items"
  }

  expect_failures = [output.processors]
}

run "rejects_a_number_in_the_list" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = "[7]"
  }

  expect_failures = [output.processors]
}

run "rejects_an_entry_of_two_processors" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = "[{\"items\":null,\"custom\":null}]"
  }

  expect_failures = [output.processors]
}

run "rejects_a_processor_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = "[\"sort\"]"
  }

  expect_failures = [output.processors]
}

run "rejects_a_contract_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ invoke = { function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:f", contract = "soap" } })
  }

  expect_failures = [output.processors]
}

run "rejects_a_function_of_another_region" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ invoke = { function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:f" } })
  }

  expect_failures = [output.processors]
}

run "rejects_a_function_by_its_name" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ invoke = { function_arn = "f" } })
  }

  expect_failures = [output.processors]
}

run "rejects_functions_by_a_wildcard" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ invoke = { function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:*" } })
  }

  expect_failures = [output.processors]
}

run "rejects_invoke_without_a_function" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ invoke = { contract = "sqs" } })
  }

  expect_failures = [output.processors]
}

run "rejects_invoke_and_http" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode([{ invoke = { function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:f" } }, { http = { url = "https://api.example.com" } }])
  }

  expect_failures = [output.processors]
}

run "rejects_custom_and_http" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode(["custom", { http = { url = "https://api.example.com" } }])
  }

  expect_failures = [output.processors]
}

run "rejects_http_without_a_url" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ http = { method = "PUT" } })
  }

  expect_failures = [output.processors]
}

run "rejects_a_secret_in_plain_text" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ http = { url = "https://api.example.com", secrets = { token = "s3cr3t" } } })
  }

  expect_failures = [output.processors]
}

run "rejects_secrets_that_are_no_object" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ http = { url = "https://api.example.com", secrets = { token = ["s3cr3t"] } } })
  }

  expect_failures = [output.processors]
}

run "rejects_a_secret_without_the_end_of_its_arn" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ http = { url = "https://api.example.com", secrets = { token = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders" } } })
  }

  expect_failures = [output.processors]
}

run "rejects_parameters_by_a_wildcard" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ http = { url = "https://api.example.com", secrets = { token = "arn:aws:ssm:eu-central-1:123456789012:parameter/*" } } })
  }

  expect_failures = [output.processors]
}

run "rejects_a_parameter_of_another_region" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode({ http = { url = "https://api.example.com", secrets = { token = "arn:aws:ssm:us-east-1:123456789012:parameter/token" } } })
  }

  expect_failures = [output.processors]
}

run "rejects_aggregate_without_group_by" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode(["items", { aggregate = { sum = ["quantity"] } }])
  }

  expect_failures = [output.processors]
}

run "rejects_aggregate_by_nothing" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = jsonencode(["items", { aggregate = { group_by = [] } }])
  }

  expect_failures = [output.processors]
}

run "rejects_aggregate_by_its_name" {
  command = plan

  module {
    source = "./modules/processors"
  }

  variables {
    name   = "anna-orders"
    region = "eu-central-1"
    text   = "[\"aggregate\"]"
  }

  expect_failures = [output.processors]
}

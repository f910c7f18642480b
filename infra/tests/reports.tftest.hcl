# Reports: that there are none unless they are asked for, what is made for them, what their functions may do, and what is refused.

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

  mock_resource "aws_lambda_event_source_mapping" {
    defaults        = { uuid = "01234567-89ab-cdef-0123-456789abcdef" }
    override_during = plan
  }
}

variables {
  name               = "anna-monthly"
  variant            = "chunked"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20 }
  batch_size         = 3
  write_mode         = "batch"
  item_attributes    = "prefixed"
  format             = "{}"
  limits             = "{}"
  stall_after        = 600
  give_up_after      = 7200
  sweep_rate         = "rate(5 minutes)"
  alarms             = true
  alarm_age          = 1800
  chunk_size         = 250
  record_schema      = "{}"
  log_level          = "debug"
  log_retention_days = 30
  protect_data       = true

  reports      = true
  press_arn    = "arn:aws:lambda:eu-central-1:123456789012:function:anna-press"
  key_field    = "part"
  results      = "all"
  input_prefix = "reports/"
  input_suffix = ""
  processors   = "[{\"usage\":{\"counters_of\":\"metering\",\"sum\":[\"kwh\"],\"keep_hours\":24}},\"items\"]"
  counted      = { metering = { table = "anna-metering-counters", group_by = 2, sum = ["kwh", "price"] } }
}

run "nothing_unless_they_are_asked_for" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    reports    = false
    processors = "items"
  }

  assert {
    condition     = [length(aws_s3_bucket_notification.output), length(module.function), length(module.queue), length(aws_dynamodb_table.items[0].ttl)] == [0, 5, 3, 0]
    error_message = "without reports nobody hears of summaries, there is no function and no queue for them, and items stay"
  }

  assert {
    condition     = output.deployment.reports == null && output.deployment.webhooks == [] && output.concurrency == 1 + 5 + 20 + 10
    error_message = "a client learns that there are none"
  }

  assert {
    condition     = output.api_permissions.Upload.resources == ["arn:aws:s3:::anna-monthly-input-123456789012/reports/*"] && !strcontains(join(" ", values(output.policies)), "press")
    error_message = "nobody writes requests, and nobody invokes what prints"
  }
}

run "nobody_is_told_where_clients_connect_for_others_reports" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    reports    = false
    processors = "items"
    sockets    = { table = "anna-sockets", table_arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sockets", connections = "https://w1x2y3.execute-api.eu-central-1.amazonaws.com/live", manage_arn = "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/POST/@connections/*" }
  }

  assert {
    condition     = length(module.function) == 5 && length(module.queue) == 3 && !strcontains(join(" ", values(output.policies)), "sockets")
    error_message = "a pipeline without reports has nothing to tell"
  }
}

run "of_counters" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = output.deployment.reports == "usage" && output.deployment.items_table == "anna-monthly-items" && contains(keys(output.deployment.queues), "consolidate") && output.deployment.functions.consolidate == "anna-monthly-consolidate"
    error_message = "a client learns that the pipeline makes reports, where their rows are, and the names of what makes them"
  }

  assert {
    condition     = !contains(keys(module.function), "notify") && !contains(keys(module.queue), "notify") && output.deployment.webhooks == []
    error_message = "without an API and webhooks nobody can wait, and nothing tells of ends"
  }

  assert {
    condition     = output.settings.consolidate.handler == "consolidate" && output.settings.consolidate.memory == 512 && output.settings.consolidate.timeout == 180
    error_message = "by default, the function that makes documents has half a gigabyte and three minutes"
  }

  assert {
    condition     = output.settings.consolidate.triggers == { queue = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-consolidate", batch_size = 1, maximum_concurrency = 10 } }
    error_message = "it makes one report at a time"
  }

  assert {
    condition     = module.queue["consolidate"].visibility_timeout == 6 * 180
    error_message = "its queue waits for it as the others do for theirs"
  }

  assert {
    condition     = output.concurrency == 1 + 5 + 20 + 10 + 10 + 10
    error_message = "what the account allows is compared with these functions, too, and with what prints for each"
  }

  assert {
    condition = toset(keys(output.settings.consolidate.environment)) == toset([
      "DEAD_LETTER_QUEUE_URL", "INPUT_BUCKET", "ITEMS_TABLE", "LEDGER_TABLE", "OUTPUT_BUCKET", "PRESS_FUNCTION_ARN", "PROCESSORS", "RUST_LOG", "SOURCE_QUEUE_URL", "VARIANT", "WORK_BUCKET",
    ])
    error_message = "it learns where requests, outcomes and rows are, and what prints"
  }

  assert {
    condition     = [for name in ["ITEMS_TABLE", "OUTPUT_BUCKET", "PRESS_FUNCTION_ARN"] : output.settings.consolidate.environment[name]] == ["anna-monthly-items", "anna-monthly-output-123456789012", "arn:aws:lambda:eu-central-1:123456789012:function:anna-press"]
    error_message = "it is told the pipeline's own table and bucket, and the deployment's function"
  }

  # The prefix of the names is left out.
  assert {
    condition = toset([for statement in jsondecode(output.policies.consolidate).Statement :
      "${join(" ", [for resource in statement.Resource : split("anna-", resource)[length(split("anna-", resource)) - 1]])}: ${join(" ", sort(statement.Action))}"
      ]) == toset([
      "monthly-*: s3:GetObject",
      "monthly-input-123456789012/requests/*: s3:GetObject",
      "monthly-output-123456789012/*/summary.json monthly-output-123456789012/*/results.jsonl: s3:GetObject",
      "monthly-output-123456789012/*/report/*: s3:AbortMultipartUpload s3:GetObject s3:PutObject",
      "monthly-input-123456789012 monthly-output-123456789012: s3:ListBucket",
      "monthly-items: dynamodb:GetItem",
      "press: lambda:InvokeFunction",
      "monthly-ledger: dynamodb:UpdateItem",
      "monthly-consolidate-dlq: sqs:SendMessage",
      "monthly-consolidate: sqs:ChangeMessageVisibility",
      "monthly-consolidate: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
      "monthly-consolidate:*: logs:CreateLogStream logs:PutLogEvents",
    ])
    error_message = "the function that makes documents may do exactly this"
  }

  assert {
    condition = toset([for statement in jsondecode(output.policies.process).Statement :
      "${statement.Sid}: ${join(" ", statement.Action)} on ${join(" ", statement.Resource)}" if contains(["ReadUsage", "KeepAnswers", "InvokeFunction"], statement.Sid)
      ]) == toset([
      "ReadUsage: dynamodb:Query on arn:aws:dynamodb:eu-central-1:123456789012:table/anna-metering-counters",
      "KeepAnswers: s3:PutObject on arn:aws:s3:::anna-monthly-work-123456789012/*/answers/*",
    ])
    error_message = "process reads the counters of the other pipeline, and keeps what it answers"
  }

  assert {
    condition     = { for stage, settings in output.settings : stage => settings.environment.USAGE_TABLE if contains(keys(settings.environment), "USAGE_TABLE") } == { process = "anna-metering-counters" }
    error_message = "process alone is told the counters of the other pipeline"
  }

  assert {
    condition     = [for stage, policy in output.policies : stage if strcontains(policy, "metering") || strcontains(policy, "anna-press")] == ["consolidate", "process"]
    error_message = "no other function has to do with another pipeline or with what prints"
  }

  assert {
    condition     = one(aws_dynamodb_table.items[0].ttl).attribute_name == "expiresAt" && one(aws_dynamodb_table.items[0].ttl).enabled && aws_dynamodb_table.items[0].hash_key == "part"
    error_message = "rows expire, each when it says"
  }

  assert {
    condition     = aws_s3_bucket_notification.output["consolidate"].bucket == "anna-monthly-output-123456789012" && [for queue in aws_s3_bucket_notification.output["consolidate"].queue : [join(" ", queue.events), coalesce(queue.filter_prefix, "any"), queue.filter_suffix, queue.queue_arn]] == [["s3:ObjectCreated:*", "any", "summary.json", "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-consolidate"]]
    error_message = "summaries in the output bucket are announced to the queue"
  }

  assert {
    condition = [for statement in jsondecode(output.resource_policies.consolidate).Statement : [statement.Principal.Service, statement.Action, statement.Resource, statement.Condition] if statement.Effect == "Allow"] == [[
      "s3.amazonaws.com", "sqs:SendMessage", "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-consolidate",
      { ArnEquals = { "aws:SourceArn" = "arn:aws:s3:::anna-monthly-output-123456789012" }, StringEquals = { "aws:SourceAccount" = "123456789012" } },
    ]]
    error_message = "the output bucket alone may send to it"
  }

  assert {
    condition     = keys(output.settings.bury.triggers) == ["gather", "process", "scatter"] && !strcontains(output.policies.bury, "consolidate") && !strcontains(output.policies.sweep, "consolidate")
    error_message = "its dead letters wait for people: bury knows nothing of them, and sweep sends nothing to its queue"
  }

  assert {
    condition     = length(setsubtract(["consolidate-age", "consolidate-dlq"], module.alarms.names)) == 0
    error_message = "people are told of reports that wait, and of those that were given up"
  }

  assert {
    condition     = output.api_permissions.Upload.resources == ["arn:aws:s3:::anna-monthly-input-123456789012/reports/*", "arn:aws:s3:::anna-monthly-input-123456789012/requests/*"] && contains(output.api_permissions.ReadObjects.resources, "arn:aws:s3:::anna-monthly-input-123456789012/*") && contains(output.api_permissions.ReadObjects.resources, "arn:aws:s3:::anna-monthly-output-123456789012/*")
    error_message = "the API writes requests and files of reports, and reads them and their documents"
  }
}

run "of_a_function" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors   = "[{\"invoke\":{\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:rows:live\",\"contract\":\"fanfold\"}},\"items\"]"
    counted      = {}
    input_suffix = ".jsonl"
    memory       = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200, consolidate = 700 }
    timeout      = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60, consolidate = 50 }
  }

  assert {
    condition     = length([for stage, settings in output.settings : stage if contains(keys(settings.environment), "USAGE_TABLE")]) == 0 && !strcontains(output.policies.process, "dynamodb:Query")
    error_message = "where a function answers, no counters are read"
  }

  assert {
    condition     = output.settings.consolidate.memory == 700 && output.settings.consolidate.timeout == 50 && module.queue["consolidate"].visibility_timeout == 300
    error_message = "memory and timeout are those that are given"
  }
}

run "with_a_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = [for statement in jsondecode(output.policies.consolidate).Statement : [statement.Action, statement.Resource] if statement.Sid == "UseKey"] == [[["kms:Decrypt", "kms:GenerateDataKey"], ["arn:aws:kms:eu-central-1:123456789012:key/1234"]]]
    error_message = "the function that makes documents uses the key, also by the links that it signs"
  }
}

run "of_records_in_a_table_that_are_counted" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    variant    = "dynamodb"
    parts      = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    processors = "[{\"usage\":{\"counters_of\":\"metering\"}},\"items\",{\"aggregate\":{\"group_by\":[\"asset\"]}}]"
  }

  assert {
    condition     = output.settings.consolidate.environment.TASKS_TABLE == "anna-monthly-tasks" && output.settings.consolidate.environment.COUNTERS_TABLE == "anna-monthly-counters"
    error_message = "it is told what every function is told that starts with these settings"
  }

  assert {
    condition     = !strcontains(output.policies.consolidate, "anna-monthly-tasks") && !strcontains(output.policies.consolidate, "anna-monthly-counters")
    error_message = "it has no rights to tables that it does not use"
  }
}

run "who_waits_is_told" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    variant  = "dynamodb"
    parts    = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    sockets  = { table = "anna-sockets", table_arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sockets", connections = "https://w1x2y3.execute-api.eu-central-1.amazonaws.com/live", manage_arn = "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/POST/@connections/*" }
    webhooks = "{\"urls\":[\"https://example.com/hooks/\",\"https://example.org/\"],\"secrets\":[\"arn:aws:ssm:eu-central-1:123456789012:parameter/hooks\",\"arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbC123#old\"]}"
  }

  assert {
    condition     = [output.settings.notify.handler, tostring(output.settings.notify.memory), tostring(output.settings.notify.timeout)] == ["notify", "256", "60"] && module.queue["notify"].visibility_timeout == 360
    error_message = "by default, the function that tells has a quarter of a gigabyte and a minute, and its queue waits for it"
  }

  assert {
    condition     = output.settings.notify.triggers == { queue = { queue_arn = "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-notify", batch_size = 1, maximum_concurrency = 10 } } && output.concurrency == 1 + 5 + 20 + 10 + 10 + 10 + 10
    error_message = "it tells of one end at a time, and what the account allows is compared with it, too"
  }

  assert {
    condition = toset(keys(output.settings.notify.environment)) == toset([
      "DEAD_LETTER_QUEUE_URL", "INPUT_BUCKET", "LEDGER_TABLE", "OUTPUT_BUCKET", "PIPELINE", "RUST_LOG", "SOCKETS_ENDPOINT", "SOCKETS_TABLE", "SOURCE_QUEUE_URL", "TASKS_TABLE", "VARIANT", "WEBHOOKS", "WORK_BUCKET",
    ])
    error_message = "it learns where requests and ends are and who is told, beside what every function is told, and nothing of rows and processors"
  }

  assert {
    condition     = [for name in ["OUTPUT_BUCKET", "PIPELINE", "SOCKETS_TABLE", "SOCKETS_ENDPOINT", "WEBHOOKS"] : output.settings.notify.environment[name]] == ["anna-monthly-output-123456789012", "anna-monthly", "anna-sockets", "https://w1x2y3.execute-api.eu-central-1.amazonaws.com/live", var.webhooks]
    error_message = "it is told the table of who waits, where connections are, and the webhooks as they were given"
  }

  # The prefix of the names is left out.
  assert {
    condition = toset([for statement in jsondecode(output.policies.notify).Statement :
      "${statement.Sid}: ${join(" ", [for resource in statement.Resource : replace(resource, "/^.*(anna-|:parameter|:secret:|w1x2y3)/", "")])}: ${join(" ", sort(statement.Action))}"
      ]) == toset([
      "ReadRequest: monthly-input-123456789012/requests/* monthly-input-123456789012/reports/*: s3:GetObject",
      "ReadOutcome: monthly-output-123456789012/*/report/* monthly-output-123456789012/*/summary.json: s3:GetObject",
      "List: monthly-input-123456789012 monthly-output-123456789012: s3:ListBucket",
      "ReadLedger: monthly-ledger: dynamodb:BatchGetItem dynamodb:UpdateItem",
      "Send: monthly-notify-dlq: sqs:SendMessage",
      "Postpone: monthly-notify: sqs:ChangeMessageVisibility",
      "Consume: monthly-notify: sqs:DeleteMessage sqs:GetQueueAttributes sqs:ReceiveMessage",
      "Tell: sockets: dynamodb:DeleteItem dynamodb:Query dynamodb:UpdateItem",
      "Post: /live/POST/@connections/*: execute-api:ManageConnections",
      "ReadParameters: /hooks: ssm:GetParameter",
      "ReadSecrets: hooks-AbC123: secretsmanager:GetSecretValue",
      "Log: monthly-notify:*: logs:CreateLogStream logs:PutLogEvents",
    ])
    error_message = "the function that tells may do exactly this"
  }

  assert {
    condition     = [for stage, policy in output.policies : stage if strcontains(policy, "sockets") || strcontains(policy, "execute-api") || strcontains(policy, "hooks")] == ["notify"] && [for stage, settings in output.settings : stage if length(setintersection(keys(settings.environment), ["SOCKETS_TABLE", "SOCKETS_ENDPOINT", "WEBHOOKS"])) > 0] == ["notify"]
    error_message = "no other function of the pipeline has to do with who waits"
  }

  assert {
    condition = [for queue in aws_s3_bucket_notification.output["consolidate"].queue : [queue.id, join(" ", queue.events), coalesce(queue.filter_prefix, "any"), queue.filter_suffix, queue.queue_arn]] == [
      ["consolidate", "s3:ObjectCreated:*", "any", "summary.json", "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-consolidate"],
      ["notify", "s3:ObjectCreated:*", "any", "end.json", "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-notify"],
    ]
    error_message = "summaries and ends in the output bucket are announced, each to its queue"
  }

  assert {
    condition = [for statement in jsondecode(output.resource_policies.notify).Statement : [statement.Principal.Service, statement.Action, statement.Resource, statement.Condition] if statement.Effect == "Allow"] == [[
      "s3.amazonaws.com", "sqs:SendMessage", "arn:aws:sqs:eu-central-1:123456789012:anna-monthly-notify",
      { ArnEquals = { "aws:SourceArn" = "arn:aws:s3:::anna-monthly-output-123456789012" }, StringEquals = { "aws:SourceAccount" = "123456789012" } },
    ]]
    error_message = "the output bucket alone may send to its queue"
  }

  assert {
    condition     = keys(output.settings.bury.triggers) == ["gather", "process", "scatter"] && !strcontains(output.policies.bury, "notify") && !strcontains(output.policies.sweep, "notify") && length(setsubtract(["notify-age", "notify-dlq"], module.alarms.names)) == 0
    error_message = "its dead letters wait for people, who are told of them and of ends that wait"
  }

  assert {
    condition     = output.deployment.webhooks == ["https://example.com/hooks/", "https://example.org/"] && output.deployment.functions.notify == "anna-monthly-notify" && contains(keys(output.deployment.queues), "notify")
    error_message = "a client learns which URLs may be told, and the names of what tells them"
  }
}

run "who_waits_is_told_by_connections_alone" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    sockets = { table = "anna-sockets", table_arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sockets", connections = "https://w1x2y3.execute-api.eu-central-1.amazonaws.com/live", manage_arn = "arn:aws:execute-api:eu-central-1:123456789012:w1x2y3/live/POST/@connections/*" }
    memory  = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200, notify = 700 }
    timeout = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60, notify = 50 }
  }

  assert {
    condition     = output.settings.notify.memory == 700 && output.settings.notify.timeout == 50 && module.queue["notify"].visibility_timeout == 300
    error_message = "memory and timeout are those that are given"
  }

  assert {
    condition     = !contains(keys(output.settings.notify.environment), "WEBHOOKS") && contains(keys(output.settings.notify.environment), "SOCKETS_TABLE") && length([for statement in jsondecode(output.policies.notify).Statement : statement if contains(["ReadParameters", "ReadSecrets"], statement.Sid)]) == 0
    error_message = "without webhooks it reads no secrets"
  }
}

run "who_waits_is_told_by_webhooks_alone" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    webhooks    = "{\"urls\":[\"https://example.com/hooks/\"],\"secrets\":[\"arn:aws:secretsmanager:eu-central-1:123456789012:secret:hooks-AbC123\"]}"
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition     = contains(keys(output.settings.notify.environment), "WEBHOOKS") && length(setintersection(keys(output.settings.notify.environment), ["SOCKETS_TABLE", "SOCKETS_ENDPOINT", "TASKS_TABLE"])) == 0 && length([for statement in jsondecode(output.policies.notify).Statement : statement if contains(["Tell", "Post"], statement.Sid)]) == 0
    error_message = "without an API it knows of no connections"
  }

  assert {
    condition = { for stage, policy in output.policies : stage => [for statement in jsondecode(policy).Statement : [statement.Action, statement.Resource, statement.Condition.StringEquals["kms:ViaService"]] if statement.Sid == "DecryptSecrets"] if strcontains(policy, "DecryptSecrets") } == {
      notify = [[["kms:Decrypt"], ["arn:aws:kms:eu-central-1:123456789012:key/1234"], ["secretsmanager.eu-central-1.amazonaws.com"]]]
    }
    error_message = "it alone decrypts the secret, and by the service that keeps it"
  }
}

run "rejects_webhooks_without_reports" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    reports    = false
    processors = "items"
    webhooks   = "{\"urls\":[\"https://example.com/hooks/\"],\"secrets\":[\"arn:aws:ssm:eu-central-1:123456789012:parameter/hooks\"]}"
  }

  expect_failures = [var.webhooks]
}

run "rejects_rows_that_nothing_answers" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "items"
  }

  expect_failures = [var.reports]
}

run "rejects_rows_that_are_not_kept" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "[{\"usage\":{\"counters_of\":\"metering\"}}]"
  }

  expect_failures = [var.reports]
}

run "rejects_a_function_that_answers_without_items" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    processors = "[{\"invoke\":{\"function_arn\":\"arn:aws:lambda:eu-central-1:123456789012:function:rows:live\",\"contract\":\"sqs\"}},\"items\"]"
  }

  expect_failures = [var.reports]
}

run "rejects_parts_that_are_sent_by_themselves" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    records_api = "IAM"
  }

  expect_failures = [var.reports]
}

run "rejects_another_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    key_field = "itemNo"
  }

  expect_failures = [var.reports]
}

run "rejects_results_without_an_order" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    results = "failed"
  }

  expect_failures = [var.reports]
}

run "rejects_requests_that_would_be_batches" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_prefix = ""
  }

  expect_failures = [var.reports]
}

run "rejects_another_suffix" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_suffix = ".csv"
  }

  expect_failures = [var.reports]
}

run "rejects_reports_that_nothing_prints" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    press_arn = null
  }

  expect_failures = [var.press_arn]
}

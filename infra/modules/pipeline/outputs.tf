output "deployment" {
  description = "Names of the pipeline's buckets, tables and functions, the URLs of its queues, dead-letter queues and the queue for people, the topic of its alarms, the one that tells of chunks (null if none does), the state machine that runs the workers (null if none does), the API of records that are sent one at a time (null if there is none), which reports it makes (\"usage\", those of a function of the user's as \"any\", or null), the counters table of which it makes them (or null), what the URLs begin with that are told of their ends, where its billing is if it closes half months, with the policy for a client who reads its own (or null), and the UUID of the mapping by which it can be paused."
  value = {
    input_bucket       = aws_s3_bucket.this["input"].bucket
    work_bucket        = aws_s3_bucket.this["work"].bucket
    output_bucket      = aws_s3_bucket.this["output"].bucket
    items_table        = one(aws_dynamodb_table.items[*].name)
    counters_table     = one(aws_dynamodb_table.counters[*].name)
    ledger_table       = aws_dynamodb_table.ledger.name
    requests_table     = one(aws_dynamodb_table.requests[*].name)
    tasks_table        = one(aws_dynamodb_table.tasks[*].name)
    queues             = { for stage, queue in module.queue : stage => queue.url }
    dead_letter_queues = { for stage, queue in module.queue : stage => queue.dead_letter_url }
    parked_queue       = aws_sqs_queue.parked.url
    alarm_topic        = module.alarms.topic_arn
    topic_arn          = one(aws_sns_topic.chunks[*].arn)
    machine_arn        = one(module.map[*].arn)
    functions          = { for stage, function in module.function : stage => function.name }
    records_api        = one(concat(module.records[*].api, [for submit in module.submit : submit.api]))
    reports            = one([for kind in [local.usage == null ? "any" : "usage"] : kind if var.reports])
    usage_table        = one(local.usage_tables)
    webhooks           = [for url in local.webhooks.urls : url]
    billing            = one([for tables in local.billing : { events_table = tables.events, packages_table = tables.packages, aggregates_table = tables.aggregates, clients_table = tables.clients, function = "${var.name}-billing", client_policy = local.client_policy } if local.bills != null])
    mappings           = { process = module.function["process"].mappings["queue"] }
  }
}

output "billing" {
  description = "What modules/billing needs of a pipeline that closes half months, null of any other: the object that says what is done, whether packages are sent, and the secrets of that."
  value = one([for of in local.bills[*] : {
    processors_object = one(local.processors_objects)
    sends             = of.sends
    parameter_arns    = local.processors.parameter_arns
    secret_arns       = local.processors.secret_arns
    name              = var.name
    input_bucket      = local.bucket_names["input"]
    output_bucket     = local.bucket_names["output"]
    ledger_table      = local.table_names["ledger"]
  }])
}

output "uploader_policy" {
  description = "The least that who uploads files and reads outputs has to be allowed, as an IAM policy."
  value = {
    Version = "2012-10-17"
    Statement = concat([
      # An upload in parts needs no more than these: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
      { Sid = "Upload", Effect = "Allow", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["${local.buckets["input"]}/${var.input_prefix}*"] },
      { Sid = "ReadOutputs", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.buckets["output"]}/*"] },
      ], [for key in var.kms_key_arn[*] : {
        Sid       = "UseKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [key]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.${var.account.region}.${local.dns_suffix}"] } }
    }])
  }
}

# An object that is missing is told from one that may not be read by the right to list its bucket:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
output "api_permissions" {
  description = "What the API's function may do with the pipeline: by statement id, actions on resources."
  value = { for sid, permission in {
    ReadObjects = { actions = ["s3:GetObject"], resources = [for bucket in ["input", "work", "output"] : "${local.buckets[bucket]}/*"] }
    ReadInput   = { actions = ["s3:GetObjectVersion"], resources = ["${local.buckets["input"]}/*"] }
    ListBuckets = { actions = ["s3:ListBucket"], resources = [for bucket in ["input", "work", "output"] : local.buckets[bucket]] }
    ListInput   = { actions = ["s3:ListBucketVersions"], resources = [local.buckets["input"]] }
    # A form that a browser sends to the bucket is signed with the function's credentials, and may do what they may:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
    # A report is asked for by its request, and then by its file.
    Upload      = { actions = ["s3:PutObject"], resources = [for prefix in concat([var.input_prefix], var.reports ? ["requests/"] : []) : "${local.buckets["input"]}/${prefix}*"] }
    ReadLedger  = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem"], resources = [local.tables["ledger"]] }
    KeepLedger  = { actions = ["dynamodb:PutItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
    ListBatches = { actions = ["dynamodb:Query"], resources = ["${local.tables["ledger"]}/index/all-batches"] }
    # Whoever asks for a report of all assets is told which there are.
    FindAssets = { actions = ["dynamodb:Scan"], resources = local.usage_arns }
    ReadTasks  = { actions = ["dynamodb:Query"], resources = local.in_tasks_table ? [local.tables["tasks"]] : [] }
    Watch      = { actions = ["sqs:GetQueueAttributes"], resources = [module.queue["process"].arn] }
    Redrive    = { actions = ["sqs:SendMessage"], resources = [module.queue["scatter"].arn] }
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
    Pause = {
      actions   = ["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"]
      resources = ["arn:${var.account.partition}:lambda:${var.account.region}:${var.account.id}:event-source-mapping:${module.function["process"].mappings["queue"]}"]
    }
  } : sid => permission if length(permission.resources) > 0 }
}

output "settings" {
  description = "What each function runs with."
  value       = { for stage, function in module.function : stage => function.settings }
}

output "concurrency" {
  description = "Most functions that run at the same time: as many as each trigger allows, as many workers of one batch where Step Functions runs them, one sweep, one that prints for each that makes a report, and as many as read a stream that has a single shard. Dead letters, which have no limit, are too rare to count, and how many requests an API answers at the same time is its callers' doing."
  value = 1 + sum(concat(
    flatten([for triggers in local.triggers : [for trigger in triggers : trigger.maximum_concurrency if trigger.maximum_concurrency != null]]),
    [for _ in local.machine_arns : var.concurrency.process],
    [for triggers in local.reports_triggers : triggers.queue.maximum_concurrency],
    [for stream in local.records_streams : stream.parallelization],
  ))
}

output "policies" {
  description = "Policy of each function's role, and of that of the state machine, as JSON."
  value       = merge({ for stage, function in module.function : stage => function.policy }, { for policy in module.map[*].policy : "map" => policy })
}

output "resource_policies" {
  description = "Policy of each bucket, queue and dead-letter queue and of the topics, as JSON."
  value = merge(
    { for bucket, resource in aws_s3_bucket_policy.this : bucket => resource.policy },
    { for stage, queue in module.queue : stage => queue.policy },
    { for stage, queue in module.queue : "${stage}-dlq" => queue.dead_letter_policy },
    { parked = aws_sqs_queue.parked.policy, alarms = module.alarms.topic_policy },
    { for topic in aws_sns_topic.chunks : "chunks" => topic.policy },
  )
}

output "protected" {
  description = "Whether the tables withstand a destroy."
  value       = aws_dynamodb_table.ledger.deletion_protection_enabled && alltrue([for table in concat(aws_dynamodb_table.items, aws_dynamodb_table.counters, aws_dynamodb_table.requests, aws_dynamodb_table.tasks) : table.deletion_protection_enabled])
}

output "record_schema" {
  description = "The schema that the functions read, its text."
  value       = aws_s3_object.schema.content
}

output "page_origins" {
  description = "Origins of the pages that may send forms to the input bucket."
  value       = one(aws_s3_bucket_cors_configuration.input.cors_rule).allowed_origins
}

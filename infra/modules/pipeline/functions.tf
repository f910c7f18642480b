# The schema of records, which scatter and process read when they start: an environment has no room for it.
resource "aws_s3_object" "schema" {
  #checkov:skip=CKV_AWS_186:it is encrypted as its bucket says, with the customer's key if there is one

  bucket       = var.package.bucket
  key          = local.schema_key
  content      = var.record_schema
  content_type = "application/schema+json"

  # The tags are on its bucket; tags of an object cost money.
  override_provider {
    default_tags {
      tags = {}
    }
  }

  # Functions that still run with the earlier one may start anew until they are changed.
  lifecycle {
    create_before_destroy = true
  }
}

locals {
  # Its own for each pipeline and schema, so that no two resources are one object.
  schema_key    = "schemas/${var.name}-${substr(sha256(var.record_schema), 0, 16)}.json"
  schema_object = "s3://${aws_s3_object.schema.bucket}/${aws_s3_object.schema.key}"
  read_schema   = { actions = ["s3:GetObject"], resources = ["arn:${var.account.partition}:s3:::${var.package.bucket}/schemas/${var.name}-*"] }

  # Those that work on batches, and all.
  functions      = toset(["scatter", "process", "gather", "bury", "sweep"])
  all_functions  = setunion(local.functions, local.records, local.submits, local.report_stages)
  function_names = { for function in local.all_functions : function => "${var.name}-${function}" }

  # What stores records that are sent one at a time is as large as what stores those of files. For what queues them, an HTTP API waits
  # 30 seconds: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
  memory  = merge(var.memory, { records = var.memory.process, submit = var.memory.process })
  timeout = merge(var.timeout, { records = var.timeout.process, submit = 29 })

  # A stage has a message redelivered sooner that it cannot handle yet.
  postpone = { for stage in local.stages : stage => {
    Postpone = { actions = ["sqs:ChangeMessageVisibility"], resources = [module.queue[stage].arn] }
  } }

  # What triggers a function: its own queue for a stage, the dead-letter queues for bury, and a schedule for sweep.
  triggers = merge({
    scatter = { queue = { queue_arn = module.queue["scatter"].arn, batch_size = 1, maximum_concurrency = var.concurrency.scatter } }
    process = { queue = { queue_arn = module.queue["process"].arn, batch_size = var.batch_size, maximum_concurrency = var.concurrency.process } }
    # Batches that finish at the same time; each is gathered by itself.
    gather = { queue = { queue_arn = module.queue["gather"].arn, batch_size = 1, maximum_concurrency = 10 } }
    # Without a maximum, because Lambda asks a queue that has one more often while it is empty, which these nearly always
    # are: with five pollers instead of two (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
    bury = { for stage in local.buried_stages : stage => {
      queue_arn = module.queue[stage].dead_letter_arn, batch_size = 1, maximum_concurrency = null
    } }
    sweep = {}
  }, local.records_triggers, local.reports_triggers, local.notify_triggers, { for stage in local.submits : stage => {} })

  # Environments need only the queues' URLs, while permissions and triggers wait for the queues. They are kept
  # apart, and module.queue is not indexed with each.key for the former, because a reference to a part waits for
  # the whole: this way, functions are created in the meantime.

  environments = merge({
    scatter = {
      SOURCE_QUEUE_URL      = module.queue["scatter"].url
      DEAD_LETTER_QUEUE_URL = module.queue["scatter"].dead_letter_url
      CHUNK_SIZE            = var.chunk_size
      LIMITS                = var.limits
      FORMAT                = var.format
      KEY_FIELD             = var.key_field
      RECORD_SCHEMA         = local.schema_object
      PROCESS_QUEUE_URL     = module.queue["process"].url
      GATHER_QUEUE_URL      = module.queue["gather"].url
    }
    process = {
      SOURCE_QUEUE_URL      = module.queue["process"].url
      DEAD_LETTER_QUEUE_URL = module.queue["process"].dead_letter_url
      KEY_FIELD             = var.key_field
      RECORD_SCHEMA         = local.schema_object
      FORMAT                = var.format
      WRITE_MODE            = var.write_mode
      ITEM_ATTRIBUTES       = var.item_attributes
      GATHER_QUEUE_URL      = module.queue["gather"].url
    }
    gather = {
      SOURCE_QUEUE_URL      = module.queue["gather"].url
      DEAD_LETTER_QUEUE_URL = module.queue["gather"].dead_letter_url
      OUTPUT_BUCKET         = aws_s3_bucket.this["output"].bucket
      RESULTS               = var.results
    }
    bury = {
      GATHER_QUEUE_URL = module.queue["gather"].url
      PARKED_QUEUE_URL = aws_sqs_queue.parked.url
    }
    sweep = {
      SCATTER_QUEUE_URL = module.queue["scatter"].url
      PROCESS_QUEUE_URL = module.queue["process"].url
      GATHER_QUEUE_URL  = module.queue["gather"].url
      OUTPUT_BUCKET     = aws_s3_bucket.this["output"].bucket
      STALL_AFTER       = var.stall_after
      GIVE_UP_AFTER     = var.give_up_after
    }
  }, local.records_environments, local.reports_environments, local.notify_environments)

  machine_environment = { for machine in local.machine_arns : "PROCESS_MACHINE_ARN" => machine }
  topic_environment   = { for topic in local.topic_arns : "PROCESS_TOPIC_ARN" => topic }
  tasks_environment   = { for name, table in { TASKS_TABLE = local.table_names["tasks"] } : name => table if local.in_tasks_table }

  # What is in the work bucket, of all batches: {batch}/pending/…, {batch}/done/…, {batch}/answers/…, {batch}/objects/… and
  # {batch}/gather/…; and {batch}/map/claims-….jsonl.
  work_objects = { for kind in ["pending", "done", "answers", "objects", "gather"] : kind => "${local.buckets["work"]}/*/${kind}/*" }

  # What each function may do, by statement id. Every action here can be limited to resources, and is.
  #
  # A function that reads a bucket may also list it, since S3 would otherwise answer 403 instead of 404 for a
  # missing object: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
  #
  # A stage sends what it gives up to its own dead-letter queue.
  permissions = merge({
    scatter = {
      ReadSchema = local.read_schema
      # Failed records are read from the results and put back as pending.
      RedriveWork = { actions = ["s3:GetObject"], resources = ["${local.buckets["work"]}/*"] }
      ListWork    = { actions = ["s3:ListBucket"], resources = [local.buckets["work"]] }
      KeepLedger  = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send        = { actions = ["sqs:SendMessage"], resources = concat(local.sends ? [module.queue["process"].arn] : [], [module.queue["gather"].arn, module.queue["scatter"].dead_letter_arn]) }
    }
    process = {
      ReadSchema = local.read_schema
      MarkLedger = { actions = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send       = { actions = ["sqs:SendMessage"], resources = [module.queue["gather"].arn, module.queue["process"].dead_letter_arn] }
    }
    gather = {
      # It looks for a summary that an earlier attempt may have left.
      WriteOutput = { actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], resources = ["${local.buckets["output"]}/*"] }
      ListOutput  = { actions = ["s3:ListBucket"], resources = [local.buckets["output"]] }
      # How far it is, for the invocation that goes on.
      KeepPlace   = { actions = ["s3:PutObject", "s3:DeleteObject"], resources = [local.work_objects.gather] }
      CloseLedger = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send        = { actions = ["sqs:SendMessage"], resources = [module.queue["gather"].dead_letter_arn] }
    }
    bury = {
      KeepLedger = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send       = { actions = ["sqs:SendMessage"], resources = [module.queue["gather"].arn, local.parked_arn] }
    }
    sweep = {
      FindBatches = { actions = ["dynamodb:Query"], resources = ["${local.tables["ledger"]}/index/open-batches"] }
      KeepLedger  = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      # It looks for a summary that gather, or an earlier sweep, may have left.
      WriteSummary = { actions = ["s3:GetObject", "s3:PutObject"], resources = ["${local.buckets["output"]}/*/summary.json"] }
      ListOutput   = { actions = ["s3:ListBucket"], resources = [local.buckets["output"]] }
      Send         = { actions = ["sqs:SendMessage"], resources = [for stage in local.batch_stages : module.queue[stage].arn] }
    }
  }, local.records_permissions, local.reports_permissions, local.notify_permissions)

  # Scatter reads the input. Where chunks are ranges of it, every function that processes a chunk or reports its
  # records reads them there. A version that is gone has to be told from one that may not be read, as above: versions
  # are listed by a permission of their own, which costs nothing
  # (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html).
  input_readers = local.in_input ? local.functions : toset(["scatter"])
  input_permissions = {
    ReadInput = { actions = ["s3:GetObject", "s3:GetObjectVersion"], resources = ["${local.buckets["input"]}/*"] }
    ListInput = { actions = ["s3:ListBucket", "s3:ListBucketVersions"], resources = [local.buckets["input"]] }
  }

  # Also for several messages in a request: https://docs.aws.amazon.com/sns/latest/dg/sns-batch-api-actions.html
  # The right waits for the subscription, and scatter's trigger for the right: what a topic without subscribers is told is lost.
  publish = { for topic in aws_sns_topic_subscription.process[*].topic_arn : "Publish" => { actions = ["sns:Publish"], resources = [topic] } }

  read_work = { sid = "ReadWork", actions = ["s3:GetObject"], resources = ["${local.buckets["work"]}/*"] }
  list_work = { sid = "ListWork", actions = ["s3:ListBucket"], resources = [local.buckets["work"]] }
  decide    = { sid = "Decide", actions = ["s3:PutObject"], resources = [local.work_objects.done] }
  discard   = { sid = "Discard", actions = ["s3:DeleteObject"], resources = [local.work_objects.pending] }

  # A scatter that ends its batch early ends the chunks that one before it left out; without a tree, they do not count.
  ends_missing = var.parts.condition == "tree" ? [local.decide] : []

  # Where chunks wait and results are kept: in the work bucket or in the tasks table. A file that cannot be read
  # in ranges waits in the work bucket, too.
  chunk_permissions = local.in_tasks_table ? {
    # A transaction of puts needs the permission to put:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    scatter = [
      { sid = "WriteTasks", actions = ["dynamodb:Query", "dynamodb:PutItem"], resources = [local.tables["tasks"]] },
      # What is known of the objects of a batch that is made of many.
      { sid = "WriteWork", actions = ["s3:PutObject"], resources = [local.work_objects.objects] },
    ]
    process = [{ sid = "KeepTasks", actions = ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:BatchWriteItem"], resources = [local.tables["tasks"]] }]
    gather = [
      { sid = "ReadTasks", actions = ["dynamodb:Query"], resources = [local.tables["tasks"]] },
      local.read_work,
      local.list_work,
    ]
    bury  = [{ sid = "KeepTasks", actions = ["dynamodb:Query", "dynamodb:PutItem"], resources = [local.tables["tasks"]] }]
    sweep = [{ sid = "KeepTasks", actions = ["dynamodb:Query", "dynamodb:PutItem"], resources = [local.tables["tasks"]] }]
    } : {
    scatter = concat([
      { sid = "WriteWork", actions = ["s3:PutObject"], resources = concat([local.work_objects.pending, local.work_objects.objects], [for _ in local.machine_arns : "${local.buckets["work"]}/*/map/claims-*.jsonl"]) },
      local.discard,
    ], local.ends_missing)
    process = [
      local.read_work,
      local.decide,
      local.discard,
      local.list_work,
    ]
    gather = [
      local.read_work,
      local.list_work,
      # What a repeated scatter put back of a chunk that is done.
      local.discard,
    ]
    bury  = [local.read_work, local.decide, local.discard, local.list_work]
    sweep = [local.read_work, local.decide, local.discard, local.list_work]
  }
}

module "function" {
  source   = "../function"
  for_each = local.all_functions

  name         = local.function_names[each.key]
  account      = var.account
  stage        = each.key
  package      = var.package
  architecture = var.architecture
  memory       = local.memory[each.key]
  timeout      = local.timeout[each.key]

  triggers = local.triggers[each.key]
  stream   = lookup(local.records_streams, each.key, null)

  permissions = merge(
    { for sid, permission in local.input_permissions : sid => permission if contains(local.input_readers, each.key) },
    local.permissions[each.key],
    local.processors_permissions[each.key],
    lookup(local.postpone, each.key, {}),
    each.key == "scatter" ? merge(local.publish, local.run_map) : {},
    each.key == "bury" ? local.bury_records_permissions : {},
    { for permission in try(local.chunk_permissions[each.key], []) : permission.sid => { actions = permission.actions, resources = permission.resources } },
  )

  environment = merge(local.environments[each.key], local.processors_environment[each.key], local.tasks_environment, each.key == "scatter" ? merge(local.topic_environment, local.machine_environment) : {}, contains(["bury", "records", "submit"], each.key) ? local.requests_environment : {}, {
    VARIANT      = var.variant
    LEDGER_TABLE = aws_dynamodb_table.ledger.name
    INPUT_BUCKET = aws_s3_bucket.this["input"].bucket
    WORK_BUCKET  = aws_s3_bucket.this["work"].bucket
    RUST_LOG     = var.log_level
  })

  kms_key_arn = var.kms_key_arn
  publishes   = each.key == "scatter" && length(local.topic_arns) > 0
  decrypts_for = concat(
    [for arns in [lookup(local.parameter_arns, each.key, [])] : "ssm" if length(arns) > 0],
    [for arns in [lookup(local.secret_arns, each.key, [])] : "secretsmanager" if length(arns) > 0],
  )
  log_retention_days = var.log_retention_days
}

module "schedule" {
  source = "../schedule"

  function_name = module.function["sweep"].name
  function_arn  = module.function["sweep"].arn
  rate          = var.sweep_rate
}

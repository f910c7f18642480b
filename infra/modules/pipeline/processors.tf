# What is done with records, and the rights and resources that follow from that.

module "processors" {
  source = "../processors"

  name   = var.name
  text   = var.processors
  region = var.account.region
}

locals {
  processors = module.processors.processors

  # Not for the default, which functions need not be told: each read makes a start slower.
  processors_key     = "processors/${var.name}-${substr(sha256(var.processors), 0, 16)}.json"
  processors_objects = [for object in aws_s3_object.processors : "s3://${object.bucket}/${object.key}"]
  read_processors    = { actions = ["s3:GetObject"], resources = ["arn:${var.account.partition}:s3:::${var.package.bucket}/processors/${var.name}-*"] }

  # What works on records, of files and sent by themselves.
  workers = setunion(["process"], local.records)

  # Those that know the items table: also what shows an item, or makes documents of items.
  knowing = setunion(local.workers, local.submits, local.reports)

  # Those that are told what is done with records.
  told_processors = setsubtract(local.all_functions, setunion(local.submits, local.notify))

  # The secrets that each function reads. What closes half months calls nobody.
  calls_workers  = local.bills == null ? local.workers : toset([])
  parameter_arns = merge({ for worker in local.calls_workers : worker => local.processors.parameter_arns }, { for stage in local.notify : stage => local.webhooks.parameter_arns })
  secret_arns    = merge({ for worker in local.calls_workers : worker => local.processors.secret_arns }, { for stage in local.notify : stage => local.webhooks.secret_arns })

  # Process works on records; bury, sweep and a scatter that ends its batch early decide what process leaves undone; and
  # gather tells of all that. Without a tree, gather may find a chunk that was decided and not counted.
  deciders = toset(["scatter", "process", "bury", "sweep"])
  counters = var.parts.condition == "listing" ? local.functions : local.deciders

  # What the functions are told of it.
  processors_environment = { for function in local.all_functions : function => merge(
    { for object in local.processors_objects : "PROCESSORS" => object if contains(local.told_processors, function) },
    { for table in aws_dynamodb_table.items[*].name : "ITEMS_TABLE" => table if contains(local.knowing, function) },
    { for table in aws_dynamodb_table.counters[*].name : "COUNTERS_TABLE" => table if contains(local.counters, function) },
    { for table in local.usage_tables : "USAGE_TABLE" => table if contains(local.workers, function) },
    { for name, value in local.billing_environment : name => value if contains(local.workers, function) },
    { for name, value in merge(local.seals_environment, local.counts_environment) : name => value if function == "process" },
    { for limit in var.tolerate[*] : "TOLERATE" => limit if contains(["process", "sweep"], function) },
    { for group in [var.fair_by] : "FAIR_BY" => group if contains(["scatter", "sweep"], function) },
  ) }

  # Where answers lie of records that wait in the tasks table.
  answers_beside_tasks = local.processors.keeps_answers && local.in_tasks_table ? {
    objects = local.work_objects.answers
    bucket  = local.buckets["work"]
    tasks   = local.tables["tasks"]
  } : null

  # Each by the function that it is for, its statement id and what is allowed; a statement without resources is left out.
  #
  # A call is allowed by the ARN that it names: one of an alias or a version needs a right to exactly that, and the function's
  # own ARN allows calls that name neither (https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html).
  # SSM and Secrets Manager take the ARN of a parameter and the whole ARN of a secret:
  # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
  # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
  # The meter of calls is an item of the ledger, which process may read and update anyway.
  processors_permissions = { for function in local.all_functions : function => { for sid, permission in merge(local.billing_permissions, {
    ReadProcessors = merge(local.read_processors, { functions = local.processors.default ? [] : local.told_processors })
    WriteItems     = { functions = local.workers, actions = ["dynamodb:BatchWriteItem", "dynamodb:PutItem"], resources = local.processors.items ? [local.tables["items"]] : [] }
    # A chunk's part of each group is set, never added.
    SetCounters    = { functions = local.counters, actions = ["dynamodb:BatchWriteItem"], resources = local.processors.aggregate ? [local.tables["counters"]] : [] }
    InvokeFunction = { functions = local.workers, actions = ["lambda:InvokeFunction"], resources = local.processors.function_arns }
    ReadUsage      = { functions = local.workers, actions = ["dynamodb:Query"], resources = local.usage_arns }
    ReadParameters = { functions = keys(local.parameter_arns), actions = ["ssm:GetParameter"], resources = lookup(local.parameter_arns, function, []) }
    ReadSecrets    = { functions = keys(local.secret_arns), actions = ["secretsmanager:GetSecretValue"], resources = lookup(local.secret_arns, function, []) }
    # What was answered for records whose chunk comes again.
    KeepAnswers = { functions = ["process"], actions = ["s3:PutObject"], resources = local.processors.keeps_answers ? [local.work_objects.answers] : [] }
    # Where chunks wait in the work bucket, these functions read all of it; scatter does in any case, for redrives.
    ReadAnswers = { functions = ["process", "bury", "sweep"], actions = ["s3:GetObject"], resources = local.answers_beside_tasks[*].objects }
    ListAnswers = { functions = ["process", "bury", "sweep"], actions = ["s3:ListBucket"], resources = local.answers_beside_tasks[*].bucket }
    # Of a chunk that is ended with answers, the outcomes are rows of their own, as those that process writes.
    ResolveTasks = { functions = ["scatter", "bury", "sweep"], actions = ["dynamodb:BatchWriteItem"], resources = local.answers_beside_tasks[*].tasks }
  }) : sid => { actions = permission.actions, resources = permission.resources } if contains(permission.functions, function) && length(permission.resources) > 0 } }
}

resource "aws_s3_object" "processors" {
  #checkov:skip=CKV_AWS_186:it is encrypted as its bucket says, with the customer's key if there is one

  count = local.processors.default ? 0 : 1

  bucket       = var.package.bucket
  key          = local.processors_key
  content      = var.processors
  content_type = "application/json"

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

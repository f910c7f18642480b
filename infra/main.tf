locals {
  # A variant's parts, as far as they show in resources; the engine knows the rest, and one of its tests
  # compares the two.
  variants       = jsondecode(file("${path.module}/variants.json"))
  known_variants = toset(keys(local.variants))

  # The requested pipelines, first as given, then with defaults for what they leave out.
  asked = merge(
    { for variant in var.variants : variant => { variant = variant } if length(var.pipelines) == 0 },
    { for name, pipeline in var.pipelines : name => { for setting, value in pipeline : setting => value if value != null } },
  )
  pipelines = { for name, own in local.asked : name => merge({
    chunk_size    = var.chunk_size
    format        = var.format
    input_prefix  = var.input_prefix
    input_suffix  = var.input_suffix
    key_field     = var.key_field
    fair_by       = var.fair_by
    limits        = var.limits
    processors    = var.processors
    record_schema = var.record_schema
    records_api   = var.records_api
    records_by    = var.records_by
    reports       = var.reports
    results       = var.results
    tolerate      = var.tolerate
    webhooks      = var.webhooks
    write_mode    = var.write_mode
  }, own) }

  # What a pipeline was defined as. The text of a schema stands for its file, which another machine does not have.
  definitions = { for name, own in local.asked : name => merge(own, {
    for setting, path in own : setting => file(path) if setting == "record_schema"
  }) }

  # Those that make reports.
  reporting = [for name, pipeline in local.pipelines : name if pipeline.reports]

  # Whether clients can connect, to wait for them.
  connected = var.api && length(local.reporting) > 0

  # What each pipeline counts, for those that make reports of it: the table, how many fields make a group, and of which the sum
  # is kept. What processors are, modules/processors says; what is none of them counts nothing.
  aggregates = { for name, pipeline in local.pipelines : name => [
    for entry in flatten([try(jsondecode(pipeline.processors), [])]) : entry.aggregate if can(entry.aggregate.group_by)
  ] }
  counted = { for name, of in local.aggregates : name => {
    table    = "${var.scope}${name}-counters"
    group_by = try(length(of[0].group_by), 0)
    sum      = try([for field in of[0].sum : tostring(field)], [])
  } if length(of) > 0 }

  # Those that close half months, each with whose items the terms of clients are.
  bills = { for name, pipeline in local.pipelines : name => one([
    for entry in flatten([try(jsondecode(pipeline.processors), [])]) : tostring(entry.bill.clients_of) if can(tostring(entry.bill.clients_of))
  ]) if can(regex("\"bill\"", pipeline.processors)) }
  billed = { for name, clients_of in local.bills : name => {
    events      = "${var.scope}${name}-events"
    packages    = "${var.scope}${name}-packages"
    aggregates  = "${var.scope}${name}-aggregates"
    clients     = "${var.scope}${coalesce(clients_of, "none")}-items"
    clients_of  = clients_of
    clients_key = try(alltrue([for processor in ["items", "terms"] : contains(flatten([jsondecode(local.pipelines[clients_of].processors)]), processor)]), false) ? local.pipelines[clients_of].key_field : null
  } if clients_of != null }

  # Each pipeline as clients and the API need it.
  described = { for name, pipeline in module.pipeline : name => merge(pipeline.deployment, {
    variant = local.pipelines[name].variant
    parameters = {
      key_field    = local.pipelines[name].key_field
      chunk_size   = local.pipelines[name].chunk_size
      format       = local.pipelines[name].format
      input_prefix = local.pipelines[name].input_prefix
      input_suffix = local.pipelines[name].input_suffix
      processors   = local.pipelines[name].processors
      concurrency  = var.concurrency
      memory_mb    = var.memory.process
    }
  }) }

  # All that a deployment keeps, besides its pipelines.
  settings = {
    alarm_age           = var.alarm_age
    alarm_email         = var.alarm_email
    alarms              = var.alarms
    api                 = var.api
    api_jwt             = var.api_jwt
    architecture        = var.architecture
    batch_size          = var.batch_size
    chunk_size          = var.chunk_size
    concurrency         = var.concurrency
    fair_by             = var.fair_by
    format              = var.format
    give_up_after       = var.give_up_after
    input_prefix        = var.input_prefix
    input_suffix        = var.input_suffix
    item_attributes     = var.item_attributes
    key_field           = var.key_field
    kms_key_arn         = var.kms_key_arn
    limits              = var.limits
    log_level           = var.log_level
    log_retention_days  = var.log_retention_days
    memory              = var.memory
    output_expiry_days  = var.output_expiry_days
    processors          = var.processors
    protect_data        = var.protect_data
    record_schema       = var.record_schema == null ? null : file(var.record_schema)
    records_api         = var.records_api
    records_by          = var.records_by
    records_concurrency = var.records_concurrency
    records_rate        = var.records_rate
    reports             = var.reports
    results             = var.results
    scatter_concurrency = var.scatter_concurrency
    stall_after         = var.stall_after
    sweep_rate          = var.sweep_rate
    timeout             = var.timeout
    tolerate            = var.tolerate
    uploader_arns       = var.uploader_arns
    webhooks            = var.webhooks
    write_mode          = var.write_mode
  }

  # With one record per message, an invocation takes as many messages as Lambda delivers without a window. With chunks it
  # takes four, which are processed together: one look at the ledger serves them all, and writes of items fill their requests.
  batch_sizes = { record = 10, chunk = 4 }

  # {scope}{pipeline}-output-{account id} is the name nearest to its limit; an account id has 12 digits.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html: 63 characters. Farther from
  # their limits are {scope}{pipeline}-process, a function (64,
  # https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html) and a role (64,
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html), {scope}{pipeline}-sweep, a rule
  # (64, https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html), and
  # {scope}{pipeline}-gather-dlq.fifo, a queue (80,
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
  bucket_name_limit = 63
  scope_limit       = local.bucket_name_limit - max(0, [for name in keys(local.asked) : length(name)]...) - length("-output-") - 12

  log_retentions = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
  ]

  example_schema    = "${path.root}/../examples/orders.schema.json"
  permissive_schema = jsonencode({ type = "object" })
  record_schemas = { for name, pipeline in local.pipelines : name => (
    pipeline.record_schema != null ? file(pipeline.record_schema) :
    pipeline.key_field == "itemNo" ? file(local.example_schema) :
    local.permissive_schema
  ) }

  account = {
    partition = data.aws_partition.current.partition
    region    = data.aws_region.current.name
    id        = data.aws_caller_identity.current.account_id
  }
}

# No endpoints here: the provider honours AWS_ENDPOINT_URL, which is all that an emulator needs besides s3_path_style.
provider "aws" {
  region            = var.region
  s3_use_path_style = var.s3_path_style

  default_tags {
    tags = {
      project = "fanfold"
      scope   = var.scope
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

module "package" {
  source = "./modules/package"

  bucket      = "${var.scope}package-${local.account.id}"
  account     = local.account
  file        = var.package
  kms_key_arn = var.kms_key_arn
}

module "quota" {
  source = "./modules/quota"
  count  = var.check_quotas ? 1 : 0

  concurrency = sum([for pipeline in module.pipeline : pipeline.concurrency])
}

module "press" {
  source = "./modules/press"
  count  = length(local.reporting) > 0 ? 1 : 0

  name         = "${var.scope}press"
  account      = local.account
  bucket       = module.package.package.bucket
  file         = var.press_package
  architecture = var.architecture

  kms_key_arn        = var.kms_key_arn
  log_level          = var.log_level
  log_retention_days = var.log_retention_days
}

module "pipeline" {
  source   = "./modules/pipeline"
  for_each = local.pipelines

  name     = "${var.scope}${each.key}"
  pipeline = each.key
  variant  = each.value.variant
  parts    = local.variants[each.value.variant]
  account  = local.account

  package      = module.package.package
  architecture = var.architecture
  memory       = var.memory
  timeout      = merge(var.timeout, try(each.value.timeout, {}))
  concurrency  = { scatter = var.scatter_concurrency, process = var.concurrency, records = var.records_concurrency }
  batch_size   = coalesce(var.batch_size, local.batch_sizes[local.variants[each.value.variant].unit])

  write_mode      = each.value.write_mode
  item_attributes = var.item_attributes
  results         = each.value.results
  chunk_size      = each.value.chunk_size
  format          = each.value.format
  input_prefix    = each.value.input_prefix
  input_suffix    = each.value.input_suffix
  key_field       = each.value.key_field
  limits          = each.value.limits
  processors      = each.value.processors
  fair_by         = each.value.fair_by
  tolerate        = each.value.tolerate
  record_schema   = local.record_schemas[each.key]
  records_api     = each.value.records_api
  records_by      = each.value.records_by
  records_rate    = var.records_rate
  reports         = each.value.reports
  webhooks        = each.value.webhooks
  press_arn       = one(module.press[*].arn)
  counted         = { for name, of in local.counted : name => of if name != each.key }
  billed          = local.billed

  # Outputs by their names: the module as a whole waits for the API's function, and that for the pipelines.
  sockets = local.connected ? merge(module.sockets[0].sockets, { table_arn = module.sockets[0].table_arn, manage_arn = module.sockets[0].manage_arn }) : null

  stall_after   = var.stall_after
  give_up_after = var.give_up_after
  sweep_rate    = var.sweep_rate

  alarms      = var.alarms
  alarm_age   = var.alarm_age
  alarm_email = var.alarm_email
  kms_key_arn = var.kms_key_arn

  uploader_arns     = var.uploader_arns
  page_origins      = var.api ? module.api[0].page_origins : []
  report_page       = var.api ? module.api[0].report_page : null
  emulator_endpoint = var.emulator_endpoint

  log_level          = var.log_level
  log_retention_days = var.log_retention_days
  protect_data       = var.protect_data
  output_expiry_days = var.output_expiry_days
}

module "billing" {
  source   = "./modules/billing"
  for_each = local.billed

  name    = "${var.scope}${each.key}-billing"
  account = local.account

  package           = module.package.package
  architecture      = var.architecture
  tables            = { for table in ["events", "packages", "aggregates", "clients"] : table => each.value[table] }
  pipeline          = { for name in ["name", "input_bucket", "output_bucket", "ledger_table", "input_prefix"] : name => name == "input_prefix" ? local.pipelines[each.key].input_prefix : module.pipeline[each.key].billing[name] }
  processors_object = module.pipeline[each.key].billing.processors_object
  sends             = module.pipeline[each.key].billing.sends
  parameter_arns    = module.pipeline[each.key].billing.parameter_arns
  secret_arns       = module.pipeline[each.key].billing.secret_arns

  kms_key_arn        = var.kms_key_arn
  log_level          = var.log_level
  log_retention_days = var.log_retention_days
  protect_data       = var.protect_data
}

module "api" {
  source = "./modules/api"
  count  = var.api ? 1 : 0

  name    = "${var.scope}api"
  account = local.account
  jwt     = var.api_jwt

  package      = module.package.package
  architecture = var.architecture
  # Not the definitions, of which schemas would make each start slower.
  deployment  = { region = local.account.region, pipelines = local.described, sockets = local.connected ? module.sockets[0].sockets : null }
  permissions = { for name, pipeline in module.pipeline : name => pipeline.api_permissions }
  sockets     = local.connected ? { table_arn = module.sockets[0].table_arn, connect_arn = module.sockets[0].connect_arn } : null

  emulator_endpoint  = var.emulator_endpoint
  kms_key_arn        = var.kms_key_arn
  log_level          = var.log_level
  log_retention_days = var.log_retention_days
}

# For callers that IAM lets in: the address of a function knows no tokens.
module "events" {
  source = "./modules/events"
  count  = var.api && var.api_jwt == null ? 1 : 0

  name    = "${var.scope}api-events"
  account = local.account

  package      = module.package.package
  architecture = var.architecture
  description  = module.api[0].description
  permissions  = { for name, pipeline in module.pipeline : name => pipeline.api_permissions }

  emulator_endpoint  = var.emulator_endpoint
  kms_key_arn        = var.kms_key_arn
  log_level          = var.log_level
  log_retention_days = var.log_retention_days
}

module "sockets" {
  source = "./modules/sockets"
  count  = local.connected ? 1 : 0

  name     = "${var.scope}sockets"
  account  = local.account
  function = module.api[0].function

  emulator_endpoint = var.emulator_endpoint
  kms_key_arn       = var.kms_key_arn
  protect_data      = var.protect_data
}

locals {
  # What a variant is made of, as far as it shows in resources: the engine knows the rest, and a test of it that both agree.
  variants       = jsondecode(file("${path.module}/variants.json"))
  known_variants = toset(keys(local.variants))

  # One record a message: an invocation takes as many as Lambda gives without a window. Of chunks it takes four, which are
  # worked on together: one look at the ledger serves them all, and writes of items fill their requests.
  batch_sizes = { record = 10, chunk = 4 }

  # {scope}{variant}-output-{account id} is the name that comes nearest to its limit; 12 digits are an account id.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html: 63 characters. Farther from theirs are
  # {scope}{variant}-process, a function (64, https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html) and
  # a role (64, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html), {scope}{variant}-sweep, a
  # rule (64, https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html), and
  # {scope}{variant}-gather-dlq.fifo, a queue (80,
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html).
  bucket_name_limit = 63
  scope_limit       = local.bucket_name_limit - max(0, [for variant in var.variants : length(variant)]...) - length("-output-") - 12

  log_retentions = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
  ]

  example_schema    = "${path.root}/../examples/orders.schema.json"
  permissive_schema = jsonencode({ type = "object" })
  record_schema = (
    var.record_schema != null ? file(var.record_schema) :
    var.key_field == "itemNo" ? file(local.example_schema) :
    local.permissive_schema
  )

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

module "pipeline" {
  source   = "./modules/pipeline"
  for_each = var.variants

  name    = "${var.scope}${each.key}"
  variant = each.key
  parts   = local.variants[each.key]
  account = local.account

  package      = module.package.package
  architecture = var.architecture
  memory       = var.memory
  timeout      = var.timeout
  concurrency  = var.concurrency
  batch_size   = coalesce(var.batch_size, local.batch_sizes[local.variants[each.key].unit])

  write_mode    = var.write_mode
  results       = var.results
  chunk_size    = var.chunk_size
  key_field     = var.key_field
  record_schema = base64gzip(local.record_schema)

  stall_after   = var.stall_after
  give_up_after = var.give_up_after
  sweep_rate    = var.sweep_rate

  alarms      = var.alarms
  alarm_age   = var.alarm_age
  alarm_email = var.alarm_email
  kms_key_arn = var.kms_key_arn

  log_level          = var.log_level
  log_retention_days = var.log_retention_days
  protect_data       = var.protect_data
}

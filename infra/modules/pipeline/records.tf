# Records that are sent one at a time: an API, its queue, the function that stores them, and a table of what became of them. The API
# puts them into the queue, or into the table, from whose stream the function queues them; or a function does.

locals {
  # None or one: the name of the stage, of it if it is fed by the stream, and of the function before the queue.
  records  = toset([for authorisation in [var.records_api] : "records" if authorisation != ""])
  streamed = toset([for stage in local.records : stage if var.records_by == "table"])
  submits  = toset([for stage in local.records : "submit" if var.records_by == "function"])

  # A record that is sent by itself is a message of its own: as many as Lambda delivers without a window.
  records_triggers = { for stage in local.records : stage => {
    queue = { queue_arn = module.queue[stage].arn, batch_size = 10, maximum_concurrency = var.concurrency.records }
  } }

  # Rows that are new; what the function writes to them comes by the stream as well.
  # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html
  records_streams = { for stage in local.streamed : stage => {
    table_arn       = local.tables["requests"]
    arn             = aws_dynamodb_table.requests[0].stream_arn
    pattern         = jsonencode({ eventName = ["INSERT"] })
    batch_size      = 100
    parallelization = 10
  } }

  requests_environment = { for table in aws_dynamodb_table.requests[*].name : "REQUESTS_TABLE" => table }

  records_environments = merge({ for stage in local.records : stage => {
    SOURCE_QUEUE_URL      = module.queue["records"].url
    DEAD_LETTER_QUEUE_URL = module.queue["records"].dead_letter_url
    KEY_FIELD             = var.key_field
    RECORD_SCHEMA         = local.schema_object
    FORMAT                = var.format
    WRITE_MODE            = var.write_mode
    ITEM_ATTRIBUTES       = var.item_attributes
    } }, { for stage in local.submits : stage => {
    RECORDS_QUEUE_URL = module.queue["records"].url
    KEY_FIELD         = var.key_field
    RECORD_SCHEMA     = local.schema_object
    FORMAT            = var.format
    ITEM_ATTRIBUTES   = var.item_attributes
  } })

  records_permissions = merge({ for stage in local.records : stage => {
    ReadSchema   = local.read_schema
    CountTries   = { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
    KeepRequests = { actions = ["dynamodb:UpdateItem"], resources = [local.tables["requests"]] }
    Send         = { actions = ["sqs:SendMessage"], resources = concat([module.queue[stage].dead_letter_arn], [for streamed in local.streamed : module.queue[streamed].arn]) }
    } }, { for stage in local.submits : stage => {
    ReadSchema = local.read_schema
    LookUp     = { actions = ["dynamodb:GetItem"], resources = concat([local.tables["requests"]], local.processors.items ? [local.tables["items"]] : []) }
    Send       = { actions = ["sqs:SendMessage"], resources = [module.queue["records"].arn] }
  } })

  # What is given up ends as failed.
  bury_records_permissions = { for stage in local.records : "EndRequests" => { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resources = [local.tables["requests"]] } }
}

# What became of each request, by its id. Without the API there is none: taking it out deletes the table.
resource "aws_dynamodb_table" "requests" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  count = length(local.records)

  name                        = local.table_names["requests"]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "id"
    type = "S"
  }

  stream_enabled   = length(local.streamed) > 0
  stream_view_type = length(local.streamed) > 0 ? "NEW_IMAGE" : null

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled     = local.table_key
    kms_key_arn = var.kms_key_arn
  }
}

module "records" {
  source = "../records"
  count  = length(local.records) - length(local.submits)

  name          = "${var.name}-records"
  account       = var.account
  authorisation = var.records_api
  by            = var.records_by
  rate          = var.records_rate

  queue = { name = module.queue["records"].names.queue, arn = module.queue["records"].arn }
  # The table has its stream before anything is put into it that nobody would hear of.
  tables = {
    requests = { name = aws_dynamodb_table.requests[0].name, arn = local.tables["requests"] }
    items    = local.processors.items ? { name = local.table_names["items"], arn = local.tables["items"] } : null
  }
  key_field     = var.key_field
  record_schema = var.record_schema

  emulator_endpoint  = var.emulator_endpoint
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

module "submit" {
  source   = "../submit"
  for_each = local.submits

  # Not that of the other API, whose log may go only after this one is made.
  name     = "${var.name}-submit"
  account  = var.account
  function = { name = module.function[each.key].name, arn = module.function[each.key].arn }
  items    = local.processors.items
  rate     = var.records_rate

  emulator_endpoint  = var.emulator_endpoint
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

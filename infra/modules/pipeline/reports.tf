# Reports: what makes their documents, once a batch has ended. Summaries in the output bucket are announced to a queue; its function
# reads the rows of the parts, in the order of the results, and has another function print them. Its last object is the end of a report,
# which is announced to the queue of the function that tells who waits.

module "webhooks" {
  source = "../webhooks"

  name     = var.name
  text     = var.webhooks
  region   = var.account.region
  patterns = module.processors.patterns
}

locals {
  # None or one: the name of the stage.
  reports = toset([for stage in ["consolidate"] : stage if var.reports])

  # So is that of the one that tells who waits, if anybody can.
  notify = toset([for stage in local.reports : "notify" if var.sockets != null || var.webhooks != ""])

  webhooks = module.webhooks.webhooks

  report_stages = setunion(local.reports, local.notify)

  # What another pipeline counts, if parts are answered from that.
  usage        = module.processors.processors.usage
  usage_tables = [for usage in local.usage[*] : var.counted[usage.counters_of].table]
  usage_arns   = [for table in local.usage_tables : "arn:${var.account.partition}:dynamodb:${var.account.region}:${var.account.id}:table/${table}"]

  # One report at a time, as many as gather ends batches.
  reports_triggers = { for stage in local.reports : stage => {
    queue = { queue_arn = module.queue[stage].arn, batch_size = 1, maximum_concurrency = 10 }
  } }

  reports_environments = { for stage in local.reports : stage => merge({
    SOURCE_QUEUE_URL      = module.queue["consolidate"].url
    DEAD_LETTER_QUEUE_URL = module.queue["consolidate"].dead_letter_url
    OUTPUT_BUCKET         = aws_s3_bucket.this["output"].bucket
    PRESS_FUNCTION_ARN    = var.press_arn
    # Each function but gather is told the counters, whatever it does with them.
  }, { for table in aws_dynamodb_table.counters[*].name : "COUNTERS_TABLE" => table }, { for page in var.report_page[*] : "PAGE_URL" => page }) }

  # The function that prints has no rights: it is given links that are signed with these. A request or a summary that is not there is
  # told from one that may not be read by the right to list, as in functions.tf.
  reports_permissions = { for stage in local.reports : stage => {
    ReadRequest    = { actions = ["s3:GetObject"], resources = ["${local.buckets["input"]}/requests/*"] }
    ReadOutcome    = { actions = ["s3:GetObject"], resources = [for name in ["summary.json", "results.jsonl"] : "${local.buckets["output"]}/*/${name}"] }
    WriteDocuments = { actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], resources = ["${local.buckets["output"]}/*/report/*"] }
    List           = { actions = ["s3:ListBucket"], resources = [local.buckets["input"], local.buckets["output"]] }
    ReadRows       = { actions = ["dynamodb:GetItem"], resources = [local.tables["items"]] }
    Print          = { actions = ["lambda:InvokeFunction"], resources = [var.press_arn] }
    CountTries     = { actions = ["dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
    Send           = { actions = ["sqs:SendMessage"], resources = [module.queue[stage].dead_letter_arn] }
  } }

  # One end at a time, as many as are made.
  notify_triggers = { for stage in local.notify : stage => {
    queue = { queue_arn = module.queue[stage].arn, batch_size = 1, maximum_concurrency = 10 }
  } }

  notify_environments = { for stage in local.notify : stage => merge(
    {
      SOURCE_QUEUE_URL      = module.queue["notify"].url
      DEAD_LETTER_QUEUE_URL = module.queue["notify"].dead_letter_url
      OUTPUT_BUCKET         = aws_s3_bucket.this["output"].bucket
      PIPELINE              = coalesce(var.pipeline, var.name)
    },
    merge([for sockets in var.sockets[*] : { SOCKETS_TABLE = sockets.table, SOCKETS_ENDPOINT = sockets.connections }]...),
    { for text in [var.webhooks] : "WEBHOOKS" => text if text != "" },
  ) }

  # Connections that are gone are forgotten. A file, a request or a document that is not there is told from one that may not be read
  # by the right to list, as in functions.tf. What webhooks are signed with, processors.tf lets it read.
  notify_permissions = { for stage in local.notify : stage => merge(
    {
      ReadRequest = { actions = ["s3:GetObject"], resources = [for prefix in ["requests", "reports"] : "${local.buckets["input"]}/${prefix}/*"] }
      ReadOutcome = { actions = ["s3:GetObject"], resources = [for name in ["report/*", "summary.json"] : "${local.buckets["output"]}/*/${name}"] }
      List        = { actions = ["s3:ListBucket"], resources = [local.buckets["input"], local.buckets["output"]] }
      ReadLedger  = { actions = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send        = { actions = ["sqs:SendMessage"], resources = [module.queue[stage].dead_letter_arn] }
    },
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
    merge([for sockets in var.sockets[*] : {
      Tell = { actions = ["dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], resources = [sockets.table_arn] }
      Post = { actions = ["execute-api:ManageConnections"], resources = [sockets.manage_arn] }
    }]...),
  ) }
}

# A summary is written once for each generation of a batch, or again if that was not noted; so is an end.
resource "aws_s3_bucket_notification" "output" {
  for_each = local.reports

  bucket = aws_s3_bucket.this["output"].bucket

  queue {
    id            = each.key
    events        = ["s3:ObjectCreated:*"]
    filter_suffix = "summary.json"
    queue_arn     = module.queue[each.key].arn
  }

  # A bucket has one list of all that it announces.
  dynamic "queue" {
    for_each = local.notify

    content {
      id            = queue.value
      events        = ["s3:ObjectCreated:*"]
      filter_suffix = "end.json"
      queue_arn     = module.queue[queue.value].arn
    }
  }

  # As of the input bucket.
  depends_on = [aws_s3_bucket_versioning.this]
}

# A page looks by a signed link whether the end of a report is there.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
resource "aws_s3_bucket_cors_configuration" "output" {
  for_each = local.reports

  bucket = aws_s3_bucket.this["output"].bucket

  cors_rule {
    allowed_methods = ["GET"]
    allowed_origins = local.page_origins
    max_age_seconds = 3600
  }
}

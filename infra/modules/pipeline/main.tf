locals {
  # What a variant is made of, as far as it shows in resources: src/variant knows the rest.
  in_tasks_table = var.variant == "dynamodb"
  by_listing     = contains(["sync", "async"], var.variant)

  bucket_names = { for bucket in ["input", "work", "output"] : bucket => "${var.name}-${bucket}-${var.account.id}" }
  table_names  = { for table in ["items", "ledger", "tasks"] : table => "${var.name}-${table}" }

  # Computed, so that no policy waits for the resource it names.
  buckets = { for bucket, name in local.bucket_names : bucket => "arn:${var.account.partition}:s3:::${name}" }
  tables = { for table, name in local.table_names :
    table => "arn:${var.account.partition}:dynamodb:${var.account.region}:${var.account.id}:table/${name}"
  }
}

# Buckets

resource "aws_s3_bucket" "this" {
  for_each = local.bucket_names

  bucket        = each.value
  force_destroy = !var.protect_data
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = toset(["input", "output"])

  bucket = aws_s3_bucket.this[each.key].bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# Access block, policy and ownership follow each other because S3 answers OperationAborted to changes of one bucket's
# access that overlap.

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket_public_access_block.this[each.key].bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [each.value, "${each.value}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket_policy.this[each.key].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].bucket

  # Parts of an upload that nobody finished are paid for and listed nowhere.
  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = each.key == "work" ? ["expire"] : []

    content {
      id     = rule.value
      status = "Enabled"

      filter {}

      expiration {
        days = 7
      }
    }
  }

  # A rule for all objects means other things in a versioned bucket.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_notification" "input" {
  bucket = aws_s3_bucket.this["input"].bucket

  queue {
    id        = "scatter"
    events    = ["s3:ObjectCreated:*"]
    queue_arn = module.queue["scatter"].arn # S3 checks that the queue is there and lets it send
  }
}

# Tables

resource "aws_dynamodb_table" "items" {
  name                        = local.table_names["items"]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = var.key_field
  deletion_protection_enabled = var.protect_data

  attribute {
    name = var.key_field
    type = "S"
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled = true
  }
}

resource "aws_dynamodb_table" "ledger" {
  name                        = local.table_names["ledger"]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "open"
    type = "S"
  }

  attribute {
    name = "startedAt"
    type = "N"
  }

  # Sparse: only a batch that is not finished carries `open`.
  global_secondary_index {
    name            = "open-batches"
    hash_key        = "open"
    range_key       = "startedAt"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled = true
  }
}

resource "aws_dynamodb_table" "tasks" {
  count = local.in_tasks_table ? 1 : 0

  name                        = local.table_names["tasks"]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "record"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "record"
    type = "N"
  }

  ttl {
    attribute_name = "expiresAt"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled = true
  }
}

# Queues

module "queue" {
  source   = "../queue"
  for_each = var.timeout

  name             = "${var.name}-${each.key}"
  account          = var.account
  fifo             = each.key == "gather" # completion is announced more than once, and the queue drops the repeats
  function_timeout = each.value
  sending_bucket   = each.key == "scatter" ? local.buckets["input"] : null
}

# Functions

locals {
  triggers = {
    scatter = { batch_size = 1, concurrency = 2 } # the least Lambda accepts
    process = { batch_size = var.batch_size, concurrency = var.concurrency }
    gather  = { batch_size = 1, concurrency = 10 } # batches that finish at the same time, each gathered by itself
  }

  # Environments need the queues' URLs only, permissions wait for the queues. They are apart, and module.queue is not
  # indexed with each.key for the former, because who needs a part waits for the whole: so functions are made meanwhile.

  environments = {
    scatter = {
      SOURCE_QUEUE_URL  = module.queue["scatter"].url
      INPUT_BUCKET      = aws_s3_bucket.this["input"].bucket
      CHUNK_SIZE        = var.chunk_size
      KEY_FIELD         = var.key_field
      PROCESS_QUEUE_URL = module.queue["process"].url
      GATHER_QUEUE_URL  = module.queue["gather"].url
    }
    process = {
      SOURCE_QUEUE_URL = module.queue["process"].url
      KEY_FIELD        = var.key_field
      RECORD_SCHEMA    = var.record_schema
      ITEMS_TABLE      = aws_dynamodb_table.items.name
      GATHER_QUEUE_URL = module.queue["gather"].url
    }
    gather = {
      SOURCE_QUEUE_URL = module.queue["gather"].url
      OUTPUT_BUCKET    = aws_s3_bucket.this["output"].bucket
    }
  }

  tasks_environment = { for name, table in { TASKS_TABLE = local.table_names["tasks"] } : name => table if local.in_tasks_table }

  # Who reads a bucket may also list it, else S3 answers 403 instead of 404 for an object that is missing:
  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
  permissions = {
    scatter = {
      ReadInput  = { actions = ["s3:GetObject", "s3:GetObjectVersion"], resources = ["${local.buckets["input"]}/*"] }
      ListInput  = { actions = ["s3:ListBucket"], resources = [local.buckets["input"]] }
      KeepLedger = { actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send       = { actions = ["sqs:SendMessage"], resources = [module.queue["process"].arn, module.queue["gather"].arn] }
    }
    process = {
      WriteItems = { actions = ["dynamodb:BatchWriteItem", "dynamodb:PutItem"], resources = [local.tables["items"]] }
      MarkLedger = { actions = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
      Send       = { actions = ["sqs:SendMessage"], resources = [module.queue["gather"].arn] }
    }
    gather = {
      # It looks for a summary that an earlier attempt may have left.
      WriteOutput = { actions = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"], resources = ["${local.buckets["output"]}/*"] }
      ListOutput  = { actions = ["s3:ListBucket"], resources = [local.buckets["output"]] }
      CloseLedger = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"], resources = [local.tables["ledger"]] }
    }
  }

  # Where chunks wait and results are kept: in the work bucket or in the tasks table.
  chunk_permissions = local.in_tasks_table ? {
    # A transaction of puts needs the right to put:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
    scatter = [{ sid = "WriteTasks", actions = ["dynamodb:PutItem"], resources = [local.tables["tasks"]] }]
    process = [{ sid = "KeepTasks", actions = ["dynamodb:Query", "dynamodb:BatchWriteItem"], resources = [local.tables["tasks"]] }]
    gather  = [{ sid = "ReadTasks", actions = ["dynamodb:Query"], resources = [local.tables["tasks"]] }]
    } : {
    scatter = concat(
      [{ sid = "WriteWork", actions = ["s3:PutObject"], resources = ["${local.buckets["work"]}/*"] }],
      [for sid in ["ListWork"] : { sid = sid, actions = ["s3:ListBucket"], resources = [local.buckets["work"]] } if local.by_listing],
    )
    process = [
      { sid = "KeepWork", actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], resources = ["${local.buckets["work"]}/*"] },
      { sid = "ListWork", actions = ["s3:ListBucket"], resources = [local.buckets["work"]] },
    ]
    gather = [
      { sid = "ReadWork", actions = ["s3:GetObject"], resources = ["${local.buckets["work"]}/*"] },
      { sid = "ListWork", actions = ["s3:ListBucket"], resources = [local.buckets["work"]] },
    ]
  }
}

module "function" {
  source   = "../function"
  for_each = local.triggers

  name         = "${var.name}-${each.key}"
  account      = var.account
  stage        = each.key
  package      = var.package
  architecture = var.architecture
  memory       = var.memory[each.key]
  timeout      = var.timeout[each.key]

  queue_arn           = module.queue[each.key].arn
  batch_size          = each.value.batch_size
  maximum_concurrency = each.value.concurrency

  permissions = merge(local.permissions[each.key], { for permission in local.chunk_permissions[each.key] :
    permission.sid => { actions = permission.actions, resources = permission.resources }
  })

  environment = merge(local.environments[each.key], local.tasks_environment, {
    VARIANT      = var.variant
    LEDGER_TABLE = aws_dynamodb_table.ledger.name
    WORK_BUCKET  = aws_s3_bucket.this["work"].bucket
    RUST_LOG     = var.log_level
  })

  log_retention_days = var.log_retention_days
}

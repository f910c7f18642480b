locals {
  in_tasks_table = var.parts.pending == "table"
  in_input       = var.parts.pending == "input"
  notifies       = var.parts.fanOut == "notifications"
  sends          = var.parts.fanOut == "messages"

  # How long the ledger keeps a batch.
  ledger_days = 30

  bucket_names = { for bucket in ["input", "work", "output"] : bucket => "${var.name}-${bucket}-${var.account.id}" }
  table_names  = { for table in ["items", "counters", "ledger", "requests", "tasks"] : table => "${var.name}-${table}" }

  # https://docs.aws.amazon.com/general/latest/gr/rande.html
  dns_suffix = var.account.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"

  # Computed, so that no policy waits for the resource it names.
  buckets = { for bucket, name in local.bucket_names : bucket => "arn:${var.account.partition}:s3:::${name}" }

  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
  # No stage writes to the input bucket, and what a form of the API uploads, its function does. The account's root can always be let in by whoever administers it.
  uploaders_only = [for arns in [var.uploader_arns] : {
    Sid       = "UploadersOnly"
    Effect    = "Deny"
    Principal = "*"
    Action    = "s3:PutObject"
    Resource  = "${local.buckets["input"]}/*"
    Condition = { ArnNotLike = { "aws:PrincipalArn" = concat(["arn:${var.account.partition}:iam::${var.account.id}:root"], arns) } }
  } if length(arns) > 0]

  tables = { for table, name in local.table_names :
    table => "arn:${var.account.partition}:dynamodb:${var.account.region}:${var.account.id}:table/${name}"
  }
}

# Buckets

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:access is logged by CloudTrail's data events where an account wants that; a bucket of logs would need one of its own in turn
  #checkov:skip=CKV_AWS_21:input and output are versioned; the work bucket holds what is written anew from the input
  #checkov:skip=CKV_AWS_144:a batch that is lost with its region is processed again from the file that was uploaded
  #checkov:skip=CKV2_AWS_62:the input bucket announces its objects, and the output bucket the summaries and ends of reports; of all others nobody needs to know

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
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }

    # One key for the requests of some time instead of one per request saves most of the cost of requests to KMS.
    bucket_key_enabled = var.kms_key_arn != null
  }
}

# Access block, policy and ownership follow each other, because S3 answers OperationAborted to overlapping
# changes of one bucket's access.

resource "aws_s3_bucket_public_access_block" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets

  bucket = aws_s3_bucket_public_access_block.this[each.key].bucket

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [each.value, "${each.value}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "RecentTlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [each.value, "${each.value}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      ], [for key in var.kms_key_arn[*] : {
        Sid       = "OwnKeyOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${each.value}/*"
        # Of an upload that names an encryption; without one, S3 takes the bucket's. A key that is not named does not equal
        # the bucket's: such an upload asks for S3's own key or for the account's.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = key }
        }
    }], each.key == "input" ? local.uploaders_only : [])
  })
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket_policy.this[each.key].bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

locals {
  # Those of pages that somebody's own machine serves (`fanfold serve`), and that of the API.
  page_origins = concat(["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"], var.page_origins)
}

# A page may send forms to the bucket; what a form uploads, its signed policy says.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
resource "aws_s3_bucket_cors_configuration" "input" {
  bucket = aws_s3_bucket.this["input"].bucket

  cors_rule {
    allowed_methods = ["POST"]
    allowed_origins = local.page_origins
    allowed_headers = ["*"]
    max_age_seconds = 3600
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.bucket_names

  bucket = aws_s3_bucket.this[each.key].bucket

  # The parts of an unfinished upload cost money and are not listed anywhere.
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

      # As long as the ledger keeps a batch, so that its failed records can be redriven until then.
      expiration {
        days = local.ledger_days
      }
    }
  }

  # Of a versioned bucket, an expired object leaves a marker and its versions, which cost money and may hold personal data:
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-configuration-examples.html#lifecycle-config-conceptual-ex7
  # A batch reads the version of its upload for as long as it can be redriven, which is as long as the ledger keeps it.
  dynamic "rule" {
    for_each = contains(["input", "output"], each.key) ? ["expire-noncurrent-versions"] : []

    content {
      id     = rule.value
      status = "Enabled"

      filter {}

      noncurrent_version_expiration {
        noncurrent_days = local.ledger_days
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  dynamic "rule" {
    for_each = each.key == "output" && var.output_expiry_days > 0 ? ["expire"] : []

    content {
      id     = rule.value
      status = "Enabled"

      filter {}

      expiration {
        days = var.output_expiry_days
      }
    }
  }

  # A rule for all objects means something else in a versioned bucket.
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_notification" "input" {
  bucket = aws_s3_bucket.this["input"].bucket

  queue {
    id            = "scatter"
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.input_prefix == "" ? null : var.input_prefix
    filter_suffix = var.input_suffix == "" ? null : var.input_suffix
    queue_arn     = module.queue["scatter"].arn # S3 checks that the queue exists and that it may send to it
  }

  # An object that is announced has a version, by which its batch reads it. And S3 answers OperationAborted to overlapping
  # changes of a bucket: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
  depends_on = [aws_s3_bucket_versioning.this]
}

# Workers are notified of the objects that hold chunks' records, and of no others in the bucket.
resource "aws_s3_bucket_notification" "work" {
  count = local.notifies ? 1 : 0

  bucket = aws_s3_bucket.this["work"].bucket

  queue {
    id            = "process"
    events        = ["s3:ObjectCreated:*"]
    filter_suffix = ".chunk"
    queue_arn     = module.queue["process"].arn
  }
}

# Tables

locals {
  # False is not "unencrypted": a table is encrypted with a key that DynamoDB owns. True without a key of the customer's
  # would be the account's key aws/dynamodb, whose use KMS charges for:
  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SSESpecification.html
  table_key = var.kms_key_arn != null
}

resource "aws_dynamodb_table" "items" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  count = local.processors.items ? 1 : 0

  name                        = local.table_names["items"]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = var.key_field
  deletion_protection_enabled = var.protect_data

  attribute {
    name = var.key_field
    type = "S"
  }

  # The rows of reports are kept for as long as whoever answered them said.
  dynamic "ttl" {
    for_each = local.reports

    content {
      attribute_name = "expiresAt"
      enabled        = true
    }
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled     = local.table_key
    kms_key_arn = var.kms_key_arn
  }
}

# Earlier versions had it in any case.
moved {
  from = aws_dynamodb_table.items
  to   = aws_dynamodb_table.items[0]
}

# A counter is the sum over the chunks of its group.
resource "aws_dynamodb_table" "counters" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

  count = local.processors.aggregate ? 1 : 0

  name                        = local.table_names["counters"]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "group"
  range_key                   = "chunk"
  deletion_protection_enabled = var.protect_data

  attribute {
    name = "group"
    type = "S"
  }

  attribute {
    name = "chunk"
    type = "S"
  }

  point_in_time_recovery {
    enabled = var.protect_data
  }

  server_side_encryption {
    enabled     = local.table_key
    kms_key_arn = var.kms_key_arn
  }
}

resource "aws_dynamodb_table" "ledger" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

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
    name = "listed"
    type = "S"
  }

  attribute {
    name = "startedAt"
    type = "N"
  }

  # Sparse: only an unfinished batch has `open`.
  global_secondary_index {
    name      = "open-batches"
    hash_key  = "open"
    range_key = "startedAt"
    # Sweep reads the batch itself. With any more attributes projected, each mark of a chunk would write them twice:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.Projections
    projection_type = "KEYS_ONLY"
  }

  # Every batch, for `fanfold list`; written once for each.
  global_secondary_index {
    name            = "all-batches"
    hash_key        = "listed"
    range_key       = "startedAt"
    projection_type = "KEYS_ONLY"
  }

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

resource "aws_dynamodb_table" "tasks" {
  #checkov:skip=CKV_AWS_119:it is encrypted with the key that is given, or else with one that DynamoDB owns, which costs nothing

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
    enabled     = local.table_key
    kms_key_arn = var.kms_key_arn
  }
}

# Alarms

locals {
  # "rate(5 minutes)" is 300 seconds.
  sweep_rate   = regex("^rate\\(([0-9]+) (minute|hour|day)s?\\)$", var.sweep_rate)
  sweep_period = local.sweep_rate[0] * { minute = 60, hour = 60 * 60, day = 24 * 60 * 60 }[local.sweep_rate[1]]
}

module "alarms" {
  source = "../alarms"

  name        = var.name
  account     = var.account
  enabled     = var.alarms
  kms_key_arn = var.kms_key_arn
  email       = var.alarm_email

  queues             = { for stage, queue in module.queue : stage => queue.names.queue }
  dead_letter_queues = { for stage, queue in module.queue : stage => queue.names.dead_letter if !contains(local.report_stages, stage) }
  kept_letters       = { for stage in local.report_stages : stage => module.queue[stage].names.dead_letter }
  parked_queue       = local.parked_name
  topic              = length(local.topic_arns) > 0 ? local.topic_name : null
  bury_function      = local.function_names["bury"]
  sweep_function     = local.function_names["sweep"]
  sweep_period       = local.sweep_period
  billing_function   = local.bills == null ? null : "${var.name}-billing"
  stream_functions   = { for stage in local.streamed : stage => local.function_names[stage] }
  age                = var.alarm_age
}

# Billing: events are kept, or half months closed, in tables that modules/billing makes.

locals {
  # The pipeline whose tables these are: this one, if it closes half months.
  bills     = module.processors.processors.bill
  meters    = module.processors.processors.meter
  billed_by = local.bills != null ? coalesce(var.pipeline, var.name) : try(local.meters.billed_by, null)

  # None or one.
  billing = [for name in local.billed_by[*] : var.billed[name]]

  billing_arns = { for table in ["events", "packages", "aggregates", "clients"] : table => [for tables in local.billing : "arn:${var.account.partition}:dynamodb:${var.account.region}:${var.account.id}:table/${tables[table]}"] }

  billing_environment = merge([for tables in local.billing : {
    BILLING_EVENTS_TABLE   = tables.events
    BILLING_PACKAGES_TABLE = tables.packages
    BILLING_CLIENTS_TABLE  = tables.clients
  }]...)
  counts_environment = { for tables in local.billing : "BILLING_AGGREGATES_TABLE" => tables.aggregates if local.bills != null }

  # Packages are in the output bucket, whose other objects are outputs of batches.
  seals_environment = { for bucket in aws_s3_bucket.this["output"][*].bucket : "OUTPUT_BUCKET" => bucket if local.bills != null }
  seals             = local.bills != null ? [local.buckets["output"]] : []

  # An object that is not there is told from one that may not be read by the right to list, as in functions.tf.
  billing_permissions = {
    ReadTerms     = { functions = local.workers, actions = ["dynamodb:GetItem"], resources = local.billing_arns.clients }
    KeepEvents    = { functions = local.workers, actions = ["dynamodb:GetItem", "dynamodb:PutItem"], resources = local.meters != null ? local.billing_arns.events : [] }
    FindEvents    = { functions = ["process"], actions = ["dynamodb:Query"], resources = local.bills != null ? [for arn in local.billing_arns.events : "${arn}/index/list"] : [] }
    LookUpEvents  = { functions = ["process"], actions = ["dynamodb:GetItem"], resources = local.bills != null ? local.billing_arns.events : [] }
    SealPackages  = { functions = ["process"], actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], resources = local.bills != null ? local.billing_arns.packages : [] }
    SetAggregates = { functions = ["process"], actions = ["dynamodb:PutItem", "dynamodb:Query"], resources = local.bills != null ? local.billing_arns.aggregates : [] }
    WritePackages = { functions = ["process"], actions = ["s3:GetObject", "s3:PutObject"], resources = [for bucket in local.seals : "${bucket}/packages/*"] }
    ListPackages  = { functions = ["process"], actions = ["s3:ListBucket"], resources = local.seals }
  }

  # The least that a client has to be allowed who reads what it used and how its packages stand: for a role whose sessions have the tag `client`.
  # A client's name is what rows are found by, and nobody else's rows are read with another one; no tag has a sign that stands for others:
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_tags.html
  client_policy = {
    Version = "2012-10-17"
    Statement = concat([for sid, of in { ReadUsage = { table = "aggregates", keys = "$${aws:PrincipalTag/client}" }, ReadPackages = { table = "packages", keys = "$${aws:PrincipalTag/client}#????-??-H?" } } : {
      Sid      = sid
      Effect   = "Allow"
      Action   = ["dynamodb:GetItem", "dynamodb:Query"]
      Resource = local.billing_arns[of.table]
      Condition = {
        "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = [of.keys] }
        # A condition on all values holds where there is none.
        Null = { "dynamodb:LeadingKeys" = "false" }
      }
      }], [for key in [var.kms_key_arn] : {
      Sid       = "UseKey"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = [key]
      Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${var.account.region}.${local.dns_suffix}"] } }
    } if key != null])
  }
}

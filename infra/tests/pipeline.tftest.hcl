mock_provider "aws" {
  # The provider checks the form of a role that a function is given.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
}

variables {
  name               = "anna-chunked"
  variant            = "chunked"
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = "./versions.tf" # any file: the provider is a mock
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500 }
  timeout            = { scatter = 800, process = 100, gather = 700 }
  concurrency        = 20
  batch_size         = 3
  chunk_size         = 250
  key_field          = "zip_code"
  record_schema      = "c2NoZW1h"
  log_level          = "debug"
  log_retention_days = 30
  protect_data       = true
}

run "buckets" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = { for key, bucket in aws_s3_bucket.this : key => bucket.bucket } == {
      input  = "anna-chunked-input-123456789012"
      work   = "anna-chunked-work-123456789012"
      output = "anna-chunked-output-123456789012"
    }
    error_message = "buckets are named {scope}{variant}-{bucket}-{account id}"
  }

  assert {
    condition = alltrue([for bucket in ["input", "output"] :
      aws_s3_bucket_versioning.this[bucket].bucket == aws_s3_bucket.this[bucket].bucket
      && aws_s3_bucket_versioning.this[bucket].versioning_configuration[0].status == "Enabled"
    ])
    error_message = "input and output are versioned"
  }

  assert {
    condition = alltrue([for key, bucket in aws_s3_bucket.this :
      aws_s3_bucket_public_access_block.this[key].bucket == bucket.bucket
      && aws_s3_bucket_public_access_block.this[key].block_public_acls
      && aws_s3_bucket_public_access_block.this[key].block_public_policy
      && aws_s3_bucket_public_access_block.this[key].ignore_public_acls
      && aws_s3_bucket_public_access_block.this[key].restrict_public_buckets
    ])
    error_message = "every bucket blocks public access in all four ways"
  }

  assert {
    condition = alltrue([for key, bucket in aws_s3_bucket.this :
      aws_s3_bucket_server_side_encryption_configuration.this[key].bucket == bucket.bucket
      && one(one(aws_s3_bucket_server_side_encryption_configuration.this[key].rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    ])
    error_message = "every bucket encrypts its objects"
  }

  assert {
    condition = alltrue([for key, bucket in aws_s3_bucket.this :
      aws_s3_bucket_policy.this[key].bucket == bucket.bucket
      && jsondecode(aws_s3_bucket_policy.this[key].policy).Statement == [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = ["arn:aws:s3:::${bucket.bucket}", "arn:aws:s3:::${bucket.bucket}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    ])
    error_message = "every bucket's policy denies requests without TLS and allows nobody anything"
  }

  assert {
    condition = alltrue([for key, bucket in aws_s3_bucket.this :
      aws_s3_bucket_ownership_controls.this[key].bucket == bucket.bucket
      && one(aws_s3_bucket_ownership_controls.this[key].rule).object_ownership == "BucketOwnerEnforced"
    ])
    error_message = "the owner of a bucket owns every object in it"
  }

  assert {
    condition = alltrue([for key, bucket in aws_s3_bucket.this :
      aws_s3_bucket_lifecycle_configuration.this[key].bucket == bucket.bucket
      && anytrue([for rule in aws_s3_bucket_lifecycle_configuration.this[key].rule :
        rule.status == "Enabled" && try(rule.abort_incomplete_multipart_upload[0].days_after_initiation, 0) == 7
      ])
    ])
    error_message = "every bucket drops uploads that were not finished within 7 days"
  }

  assert {
    condition = [for key, lifecycle in aws_s3_bucket_lifecycle_configuration.this : [
      for rule in lifecycle.rule : "${key} ${rule.status} ${rule.expiration[0].days}" if length(rule.expiration) > 0
    ]] == [[], [], ["work Enabled 7"]]
    error_message = "objects expire in the work bucket after 7 days, and in no other"
  }

  assert {
    condition = (
      aws_s3_bucket_notification.input.bucket == aws_s3_bucket.this["input"].bucket
      && aws_s3_bucket_notification.input.queue[0].queue_arn == "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter"
      && aws_s3_bucket_notification.input.queue[0].events == toset(["s3:ObjectCreated:*"])
      && aws_s3_bucket_notification.input.queue[0].filter_prefix == null
      && aws_s3_bucket_notification.input.queue[0].filter_suffix == null
    )
    error_message = "every object made in the input bucket is announced to the scatter queue"
  }
}

run "tables" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = aws_dynamodb_table.items.name == "anna-chunked-items" && aws_dynamodb_table.ledger.name == "anna-chunked-ledger"
    error_message = "tables are named {scope}{variant}-{table}"
  }

  assert {
    condition     = aws_dynamodb_table.items.hash_key == "zip_code" && aws_dynamodb_table.items.range_key == null && aws_dynamodb_table.items.attribute == toset([{ name = "zip_code", type = "S" }])
    error_message = "an item's key is the record's key field, a string"
  }

  assert {
    condition = aws_dynamodb_table.ledger.hash_key == "pk" && aws_dynamodb_table.ledger.range_key == null && aws_dynamodb_table.ledger.attribute == toset([
      { name = "pk", type = "S" }, { name = "open", type = "S" }, { name = "startedAt", type = "N" },
    ])
    error_message = "the ledger's key is pk, and its index's keys are open and startedAt"
  }

  assert {
    condition = [for index in aws_dynamodb_table.ledger.global_secondary_index :
      "${index.name} ${index.hash_key} ${index.range_key} ${index.projection_type}"
    ] == ["open-batches open startedAt ALL"]
    error_message = "open batches are found through an index, by the time they started"
  }

  assert {
    condition     = aws_dynamodb_table.ledger.ttl[0].attribute_name == "expiresAt" && aws_dynamodb_table.ledger.ttl[0].enabled
    error_message = "the ledger forgets what has expired"
  }

  assert {
    condition = alltrue([for table in [aws_dynamodb_table.items, aws_dynamodb_table.ledger] :
      table.billing_mode == "PAY_PER_REQUEST" && table.server_side_encryption[0].enabled
    ])
    error_message = "tables are paid for by request, and encrypted"
  }

  assert {
    condition     = length(aws_dynamodb_table.tasks) == 0
    error_message = "chunked keeps nothing in a tasks table"
  }
}

run "protected" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = !anytrue([for bucket in aws_s3_bucket.this : bucket.force_destroy])
    error_message = "protected: a bucket with objects is not destroyed"
  }

  assert {
    condition = alltrue([for table in [aws_dynamodb_table.items, aws_dynamodb_table.ledger] :
      table.deletion_protection_enabled && table.point_in_time_recovery[0].enabled
    ])
    error_message = "protected: a table is not deleted and can be restored"
  }
}

run "unprotected" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    protect_data = false
  }

  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : bucket.force_destroy])
    error_message = "unprotected: a bucket goes with its objects"
  }

  assert {
    condition = !anytrue([for table in [aws_dynamodb_table.items, aws_dynamodb_table.ledger] :
      table.deletion_protection_enabled || table.point_in_time_recovery[0].enabled
    ])
    error_message = "unprotected: a table may be deleted and keeps no backups"
  }
}

run "queues_and_functions" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = { for stage, queue in module.queue : stage => queue.arn } == {
      scatter = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter"
      process = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process"
      gather  = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo"
    }
    error_message = "queues are named {scope}{variant}-{stage}, and gather's is FIFO"
  }

  assert {
    condition = keys(module.queue) == keys(module.function) && alltrue([for stage, queue in module.queue :
      queue.visibility_timeout >= 6 * module.function[stage].settings.timeout
    ])
    error_message = "every queue hides a message for at least six times its function's timeout"
  }

  assert {
    condition = { for stage, queue in module.queue : stage => [
      for statement in jsondecode(queue.policy).Statement : "${statement.Principal.Service} ${statement.Condition.ArnEquals["aws:SourceArn"]}" if statement.Effect == "Allow"
      ] } == {
      scatter = ["s3.amazonaws.com arn:aws:s3:::anna-chunked-input-123456789012"]
      process = []
      gather  = []
    }
    error_message = "the input bucket feeds the scatter queue, and no bucket another"
  }

  assert {
    condition     = { for stage, function in module.function : stage => function.name } == { for stage in ["scatter", "process", "gather"] : stage => "anna-chunked-${stage}" }
    error_message = "functions are named {scope}{variant}-{stage}"
  }

  assert {
    condition = { for stage, function in module.function : stage => [
      function.settings.handler, function.settings.memory, function.settings.timeout,
      function.settings.batch_size, function.settings.maximum_concurrency,
      ] } == {
      scatter = ["scatter", 300, 800, 1, 2]
      process = ["process", 400, 100, 3, 20]
      gather  = ["gather", 500, 700, 1, 10]
    }
    error_message = "every function runs its own stage with its own memory, timeout, batch size and maximum concurrency"
  }
}

run "environments" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = { for stage, function in module.function : stage => join(" ", keys(function.settings.environment)) } == {
      scatter = "CHUNK_SIZE GATHER_QUEUE_URL INPUT_BUCKET KEY_FIELD LEDGER_TABLE PROCESS_QUEUE_URL RUST_LOG SOURCE_QUEUE_URL VARIANT WORK_BUCKET"
      process = "GATHER_QUEUE_URL ITEMS_TABLE KEY_FIELD LEDGER_TABLE RECORD_SCHEMA RUST_LOG SOURCE_QUEUE_URL VARIANT WORK_BUCKET"
      gather  = "LEDGER_TABLE OUTPUT_BUCKET RUST_LOG SOURCE_QUEUE_URL VARIANT WORK_BUCKET"
    }
    error_message = "every function is told what its stage needs and nothing else"
  }

  # The URLs of queues are unknown before an apply: see the last run.
  assert {
    condition = { for stage, function in module.function : stage => { for name, value in function.settings.environment : name => value if !endswith(name, "_URL") } } == {
      scatter = {
        VARIANT      = "chunked"
        LEDGER_TABLE = "anna-chunked-ledger"
        WORK_BUCKET  = "anna-chunked-work-123456789012"
        RUST_LOG     = "debug"
        INPUT_BUCKET = "anna-chunked-input-123456789012"
        CHUNK_SIZE   = "250"
        KEY_FIELD    = "zip_code"
      }
      process = {
        VARIANT       = "chunked"
        LEDGER_TABLE  = "anna-chunked-ledger"
        WORK_BUCKET   = "anna-chunked-work-123456789012"
        RUST_LOG      = "debug"
        KEY_FIELD     = "zip_code"
        RECORD_SCHEMA = "c2NoZW1h"
        ITEMS_TABLE   = "anna-chunked-items"
      }
      gather = {
        VARIANT       = "chunked"
        LEDGER_TABLE  = "anna-chunked-ledger"
        WORK_BUCKET   = "anna-chunked-work-123456789012"
        RUST_LOG      = "debug"
        OUTPUT_BUCKET = "anna-chunked-output-123456789012"
      }
    }
    error_message = "every function is told the pipeline's own buckets and tables, and the settings"
  }
}

run "roles" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = alltrue(flatten([for function in module.function : [for statement in jsondecode(function.policy).Statement : [
      statement.Effect == "Allow",
      can(statement.Action) && !can(statement.NotAction) && can(statement.Resource) && !can(statement.NotResource),
      [for action in statement.Action : !strcontains(action, "*")],
      # A wildcard stands for the objects of a bucket or the streams of a log group, never for a name.
      [for resource in statement.Resource : !strcontains(replace(resource, "/(/|:)[*]$/", ""), "*") && strcontains(resource, "anna-chunked-")],
    ]]]))
    error_message = "no role may do any action with a wildcard, or anything to a resource that is not the pipeline's"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["scatter"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-chunked-input-123456789012/*",
      "s3:GetObjectVersion arn:aws:s3:::anna-chunked-input-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-chunked-input-123456789012",
      "s3:PutObject arn:aws:s3:::anna-chunked-work-123456789012/*",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-scatter:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-scatter:*",
    ])
    error_message = "scatter may do what its stage does on its resources, and nothing else"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["process"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-chunked-work-123456789012/*",
      "s3:PutObject arn:aws:s3:::anna-chunked-work-123456789012/*",
      "s3:DeleteObject arn:aws:s3:::anna-chunked-work-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-chunked-work-123456789012",
      "dynamodb:BatchWriteItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-items",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-items",
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-process:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-process:*",
    ])
    error_message = "process may do what its stage does on its resources, and nothing else"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["gather"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-chunked-work-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-chunked-work-123456789012",
      "s3:GetObject arn:aws:s3:::anna-chunked-output-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-chunked-output-123456789012",
      "s3:PutObject arn:aws:s3:::anna-chunked-output-123456789012/*",
      "s3:AbortMultipartUpload arn:aws:s3:::anna-chunked-output-123456789012/*",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-chunked-ledger",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-gather:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-chunked-gather:*",
    ])
    error_message = "gather may do what its stage does on its resources, and nothing else"
  }
}

run "roles_of_a_variant_that_lists" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-sync"
    variant = "sync"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["scatter"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-sync-input-123456789012/*",
      "s3:GetObjectVersion arn:aws:s3:::anna-sync-input-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-sync-input-123456789012",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-process",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-gather.fifo",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-scatter",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-scatter",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-sync-scatter",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-sync-scatter",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-sync-scatter:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-sync-scatter:*",
      "s3:PutObject arn:aws:s3:::anna-sync-work-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-sync-work-123456789012",
    ])
    error_message = "scatter of sync may do what its stage does on its resources, and nothing else"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["process"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "dynamodb:BatchWriteItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-items",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-items",
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-gather.fifo",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-process",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-process",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-sync-process",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-sync-process",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-sync-process:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-sync-process:*",
      "s3:GetObject arn:aws:s3:::anna-sync-work-123456789012/*",
      "s3:PutObject arn:aws:s3:::anna-sync-work-123456789012/*",
      "s3:DeleteObject arn:aws:s3:::anna-sync-work-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-sync-work-123456789012",
    ])
    error_message = "process of sync may do what its stage does on its resources, and nothing else"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["gather"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-sync-output-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-sync-output-123456789012",
      "s3:PutObject arn:aws:s3:::anna-sync-output-123456789012/*",
      "s3:AbortMultipartUpload arn:aws:s3:::anna-sync-output-123456789012/*",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-sync-ledger",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-gather.fifo",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-sync-gather.fifo",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-sync-gather.fifo",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-sync-gather.fifo",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-sync-gather:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-sync-gather:*",
      "s3:GetObject arn:aws:s3:::anna-sync-work-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-sync-work-123456789012",
    ])
    error_message = "gather of sync may do what its stage does on its resources, and nothing else"
  }
}

run "async_lists_too" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-async"
    variant = "async"
  }

  assert {
    condition = { for stage, function in module.function : stage => toset(flatten([for statement in jsondecode(function.policy).Statement : [
      for action in statement.Action : action if startswith(statement.Resource[0], "arn:aws:s3:::anna-async-work-")
      ]])) } == {
      scatter = toset(["s3:PutObject", "s3:ListBucket"])
      process = toset(["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"])
      gather  = toset(["s3:GetObject", "s3:ListBucket"])
    }
    error_message = "every stage of async may list the work bucket"
  }

  assert {
    condition     = length(aws_dynamodb_table.tasks) == 0 && !anytrue([for function in module.function : contains(keys(function.settings.environment), "TASKS_TABLE")])
    error_message = "async keeps nothing in a tasks table"
  }
}

run "unprotected_dynamodb" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    variant      = "dynamodb"
    protect_data = false
  }

  assert {
    condition     = !aws_dynamodb_table.tasks[0].deletion_protection_enabled && !aws_dynamodb_table.tasks[0].point_in_time_recovery[0].enabled
    error_message = "unprotected: the tasks table may be deleted and keeps no backups"
  }
}

run "roles_and_table_of_dynamodb" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-dynamodb"
    variant = "dynamodb"
  }

  assert {
    condition = aws_dynamodb_table.tasks[0].name == "anna-dynamodb-tasks" && aws_dynamodb_table.tasks[0].hash_key == "pk" && aws_dynamodb_table.tasks[0].range_key == "record" && aws_dynamodb_table.tasks[0].attribute == toset([
      { name = "pk", type = "S" }, { name = "record", type = "N" },
    ])
    error_message = "a task's key is its chunk and its record"
  }

  assert {
    condition = (aws_dynamodb_table.tasks[0].billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.tasks[0].server_side_encryption[0].enabled
      && aws_dynamodb_table.tasks[0].ttl[0].attribute_name == "expiresAt" && aws_dynamodb_table.tasks[0].ttl[0].enabled
    && aws_dynamodb_table.tasks[0].deletion_protection_enabled && aws_dynamodb_table.tasks[0].point_in_time_recovery[0].enabled)
    error_message = "tasks are paid for by request, encrypted, protected, and forgotten when they expire"
  }

  assert {
    condition     = alltrue([for function in module.function : function.settings.environment["TASKS_TABLE"] == "anna-dynamodb-tasks"])
    error_message = "every function of dynamodb is told the tasks table"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["scatter"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-dynamodb-input-123456789012/*",
      "s3:GetObjectVersion arn:aws:s3:::anna-dynamodb-input-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-dynamodb-input-123456789012",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-process",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-gather.fifo",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-scatter",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-scatter",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-scatter",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-scatter",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-dynamodb-scatter:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-dynamodb-scatter:*",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-tasks",
    ])
    error_message = "scatter of dynamodb may do what its stage does on its resources, and nothing else"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["process"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "dynamodb:BatchWriteItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-items",
      "dynamodb:PutItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-items",
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-gather.fifo",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-process",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-process",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-process",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-process",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-dynamodb-process:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-dynamodb-process:*",
      "dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-tasks",
      "dynamodb:BatchWriteItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-tasks",
    ])
    error_message = "process of dynamodb may do what its stage does on its resources, and nothing else"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(module.function["gather"].policy).Statement :
      [for pair in setproduct(statement.Action, statement.Resource) : "${pair[0]} ${pair[1]}"]
      ])) == toset([
      "s3:GetObject arn:aws:s3:::anna-dynamodb-output-123456789012/*",
      "s3:ListBucket arn:aws:s3:::anna-dynamodb-output-123456789012",
      "s3:PutObject arn:aws:s3:::anna-dynamodb-output-123456789012/*",
      "s3:AbortMultipartUpload arn:aws:s3:::anna-dynamodb-output-123456789012/*",
      "dynamodb:GetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "dynamodb:BatchGetItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "dynamodb:UpdateItem arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-ledger",
      "sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-gather.fifo",
      "sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-gather.fifo",
      "sqs:GetQueueAttributes arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-gather.fifo",
      "sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:anna-dynamodb-gather.fifo",
      "logs:CreateLogStream arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-dynamodb-gather:*",
      "logs:PutLogEvents arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/anna-dynamodb-gather:*",
      "dynamodb:Query arn:aws:dynamodb:eu-central-1:123456789012:table/anna-dynamodb-tasks",
    ])
    error_message = "gather of dynamodb may do what its stage does on its resources, and nothing else"
  }
}

# The URLs of queues, and the longest environments that the root's variables and the longest schema allow. It comes last:
# runs of a file share their state.
run "urls_and_longest_environments" {
  command = apply # a URL is known only then; nothing is created, the provider is a mock

  module {
    source = "./modules/pipeline"
  }

  variables {
    name          = "a23456789-123456789-123456789-12345dynamodb"
    variant       = "dynamodb" # it has the most to tell
    account       = { partition = "aws-cn", region = "cn-northwest-1", id = "123456789012" }
    chunk_size    = 10000
    key_field     = format("%0255d", 0)
    record_schema = format("%03000d", 0)
    log_level     = format("%0100d", 0)
  }

  override_resource {
    target = module.queue["scatter"].aws_sqs_queue.dead_letter
    values = { url = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-scatter-dlq" }
  }

  override_resource {
    target = module.queue["process"].aws_sqs_queue.dead_letter
    values = { url = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-process-dlq" }
  }

  override_resource {
    target = module.queue["gather"].aws_sqs_queue.dead_letter
    values = { url = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-gather-dlq.fifo" }
  }

  assert {
    condition = { for stage, function in module.function : stage => { for name, value in function.settings.environment : name => value if endswith(name, "_URL") } } == {
      scatter = {
        SOURCE_QUEUE_URL  = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-scatter"
        PROCESS_QUEUE_URL = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-process"
        GATHER_QUEUE_URL  = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-gather.fifo"
      }
      process = {
        SOURCE_QUEUE_URL = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-process"
        GATHER_QUEUE_URL = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-gather.fifo"
      }
      gather = {
        SOURCE_QUEUE_URL = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-gather.fifo"
      }
    }
    error_message = "every function is told the queues it works with"
  }

  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 4 KB for all variables of a function.
  assert {
    condition     = alltrue([for function in module.function : length(jsonencode(function.settings.environment)) <= 4096])
    error_message = "a function's environment fits into what Lambda allows"
  }
}

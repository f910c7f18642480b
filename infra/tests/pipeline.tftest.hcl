mock_provider "aws" {
  # The provider checks the form of ARNs given to resources.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-central-1:123456789012:rule/mock" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:mock" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:mock" }
  }
}

variables {
  name               = "anna-chunked"
  variant            = "chunked"
  parts              = { unit = "chunk", pending = "bucket", fanOut = "messages", condition = "tree" }
  account            = { partition = "aws", region = "eu-central-1", id = "123456789012" }
  package            = { bucket = "anna-package-123456789012", key = "bootstrap.zip", hash = "aGFzaA==" }
  architecture       = "x86_64"
  memory             = { scatter = 300, process = 400, gather = 500, bury = 600, sweep = 200 }
  timeout            = { scatter = 800, process = 100, gather = 700, bury = 90, sweep = 60 }
  concurrency        = { scatter = 5, process = 20 }
  batch_size         = 3
  write_mode         = "ordered"
  item_attributes    = "prefixed"
  format             = "{}"
  input_prefix       = ""
  input_suffix       = ""
  limits             = "{}"
  results            = "failed"
  stall_after        = 600
  give_up_after      = 7200
  sweep_rate         = "rate(5 minutes)"
  alarms             = true
  alarm_age          = 1800
  chunk_size         = 250
  key_field          = "zip_code"
  record_schema      = "{}"
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
    error_message = "buckets are named {scope}{pipeline}-{bucket}-{account id}"
  }

  assert {
    condition = (
      aws_s3_bucket_cors_configuration.input.bucket == aws_s3_bucket.this["input"].bucket
      && one(aws_s3_bucket_cors_configuration.input.cors_rule).allowed_methods == toset(["POST"])
      && alltrue([for origin in one(aws_s3_bucket_cors_configuration.input.cors_rule).allowed_origins :
      can(regex("^http://(127[.]0[.]0[.]1|localhost|\\[::1\\]):[*]$", origin))])
    )
    error_message = "only pages of this machine may send forms, and nothing else, to the input bucket"
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
      && jsondecode(aws_s3_bucket_policy.this[key].policy).Statement == [
        {
          Sid       = "TlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = ["arn:aws:s3:::${bucket.bucket}", "arn:aws:s3:::${bucket.bucket}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "RecentTlsOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = ["arn:aws:s3:::${bucket.bucket}", "arn:aws:s3:::${bucket.bucket}/*"]
          Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
        },
      ]
    ])
    error_message = "every bucket's policy denies requests without TLS or by an old one, and allows nobody anything"
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
    condition = { for key, lifecycle in aws_s3_bucket_lifecycle_configuration.this : key => [
      for rule in lifecycle.rule : "${rule.status} ${rule.expiration[0].days}" if rule.id == "expire"
    ] } == { input = [], output = [], work = ["Enabled 30"] }
    error_message = "objects expire in the work bucket after 30 days, and in no other"
  }

  assert {
    condition = { for key, lifecycle in aws_s3_bucket_lifecycle_configuration.this : key => [
      for rule in lifecycle.rule : "${rule.status} ${rule.noncurrent_version_expiration[0].noncurrent_days} ${rule.expiration[0].expired_object_delete_marker}" if length(rule.noncurrent_version_expiration) > 0
    ] } == { input = ["Enabled 30 true"], output = ["Enabled 30 true"], work = [] }
    error_message = "replaced and deleted versions go after the 30 days within which a batch can be redriven, and then their markers"
  }

  assert {
    condition = { for key, lifecycle in aws_s3_bucket_lifecycle_configuration.this : key => join(" ", lifecycle.rule[*].id) } == {
      input  = "abort-incomplete-uploads expire-noncurrent-versions"
      output = "abort-incomplete-uploads expire-noncurrent-versions"
      work   = "abort-incomplete-uploads expire"
    }
    error_message = "nothing else expires"
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

run "uploaders" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_prefix  = "incoming/"
    kms_key_arn   = "arn:aws:kms:eu-central-1:123456789012:key/1234"
    uploader_arns = ["arn:aws:iam::123456789012:role/uploads", "arn:aws:iam::123456789012:user/anna"]
  }

  assert {
    condition = { for key, policy in aws_s3_bucket_policy.this : key => [for statement in jsondecode(policy.policy).Statement : statement if statement.Sid == "UploadersOnly"] } == {
      input = [{
        Sid       = "UploadersOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "arn:aws:s3:::anna-chunked-input-123456789012/*"
        Condition = { ArnNotLike = { "aws:PrincipalArn" = [
          "arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/uploads", "arn:aws:iam::123456789012:user/anna",
        ] } }
      }]
      output = []
      work   = []
    }
    error_message = "nobody but those who are named, and the account's root, may upload"
  }

  assert {
    condition = output.uploader_policy.Statement == [
      { Sid = "Upload", Effect = "Allow", Action = ["s3:PutObject", "s3:AbortMultipartUpload"], Resource = ["arn:aws:s3:::anna-chunked-input-123456789012/incoming/*"] },
      { Sid = "ReadOutputs", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["arn:aws:s3:::anna-chunked-output-123456789012/*"] },
      {
        Sid       = "UseKey", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = ["arn:aws:kms:eu-central-1:123456789012:key/1234"]
        Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-central-1.amazonaws.com"] } }
      },
    ]
    error_message = "an uploader needs to write under the prefix, to read outputs and to use the key for both, and nothing else"
  }
}

run "outputs_that_expire" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    output_expiry_days = 90
  }

  assert {
    condition = { for key, lifecycle in aws_s3_bucket_lifecycle_configuration.this : key => [
      for rule in lifecycle.rule : "${rule.status} ${rule.expiration[0].days}" if rule.id == "expire"
    ] } == { input = [], output = ["Enabled 90"], work = ["Enabled 30"] }
    error_message = "outputs expire after the days that are given"
  }
}

run "announced_keys" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    input_prefix = "incoming/"
    input_suffix = ".csv"
  }

  assert {
    condition     = aws_s3_bucket_notification.input.queue[0].filter_prefix == "incoming/" && aws_s3_bucket_notification.input.queue[0].filter_suffix == ".csv"
    error_message = "only objects with the prefix and the suffix are announced"
  }
}

run "tables" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition     = aws_dynamodb_table.items[0].name == "anna-chunked-items" && aws_dynamodb_table.ledger.name == "anna-chunked-ledger"
    error_message = "tables are named {scope}{pipeline}-{table}"
  }

  assert {
    condition     = aws_dynamodb_table.items[0].hash_key == "zip_code" && aws_dynamodb_table.items[0].range_key == null && aws_dynamodb_table.items[0].attribute == toset([{ name = "zip_code", type = "S" }])
    error_message = "an item's key is the record's key field, a string"
  }

  assert {
    condition = aws_dynamodb_table.ledger.hash_key == "pk" && aws_dynamodb_table.ledger.range_key == null && aws_dynamodb_table.ledger.attribute == toset([
      { name = "pk", type = "S" }, { name = "open", type = "S" }, { name = "listed", type = "S" }, { name = "startedAt", type = "N" },
    ])
    error_message = "the ledger's key is pk, and its indexes' keys are open or listed, and startedAt"
  }

  assert {
    condition = toset([for index in aws_dynamodb_table.ledger.global_secondary_index :
      "${index.name} ${index.hash_key} ${index.range_key} ${index.projection_type}"
    ]) == toset(["all-batches listed startedAt KEYS_ONLY", "open-batches open startedAt KEYS_ONLY"])
    error_message = "batches are found through indexes, by the time they started"
  }

  assert {
    condition     = aws_dynamodb_table.ledger.ttl[0].attribute_name == "expiresAt" && aws_dynamodb_table.ledger.ttl[0].enabled
    error_message = "the ledger forgets what has expired"
  }

  assert {
    condition = alltrue([for table in [aws_dynamodb_table.items[0], aws_dynamodb_table.ledger] :
      table.billing_mode == "PAY_PER_REQUEST" && !table.server_side_encryption[0].enabled
    ])
    error_message = "tables are paid for by request, and encrypted with DynamoDB's own key, which costs nothing"
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
    condition = alltrue([for table in [aws_dynamodb_table.items[0], aws_dynamodb_table.ledger] :
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
    condition = !anytrue([for table in [aws_dynamodb_table.items[0], aws_dynamodb_table.ledger] :
      table.deletion_protection_enabled || table.point_in_time_recovery[0].enabled
    ])
    error_message = "unprotected: a table may be deleted and keeps no backups"
  }
}

run "encrypted_with_a_key" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    variant     = "dynamodb"
    parts       = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
  }

  assert {
    condition = alltrue([for encryption in aws_s3_bucket_server_side_encryption_configuration.this : alltrue([
      one(one(encryption.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms",
      one(one(encryption.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key_arn,
      one(encryption.rule).bucket_key_enabled,
    ])])
    error_message = "every bucket is encrypted with the key, by bucket keys"
  }

  assert {
    condition     = alltrue([for table in [aws_dynamodb_table.items[0], aws_dynamodb_table.ledger, aws_dynamodb_table.tasks[0]] : table.server_side_encryption[0].enabled && table.server_side_encryption[0].kms_key_arn == var.kms_key_arn])
    error_message = "every table is encrypted with the key"
  }

  assert {
    condition = alltrue([for key, bucket in aws_s3_bucket.this :
      [for statement in jsondecode(aws_s3_bucket_policy.this[key].policy).Statement : statement if !contains(["TlsOnly", "RecentTlsOnly"], statement.Sid)] == [{
        Sid       = "OwnKeyOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "arn:aws:s3:::${bucket.bucket}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "arn:aws:kms:eu-central-1:123456789012:key/1234" }
        }
      }]
    ])
    error_message = "no upload may name another encryption than the bucket's; one that names none has the bucket's"
  }

  assert {
    condition     = aws_sqs_queue.parked.kms_master_key_id == var.kms_key_arn
    error_message = "the parked queue is encrypted with the key; the other queues are modules with tests of their own, as are functions and alarms"
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
    error_message = "queues are named {scope}{pipeline}-{stage}, and gather's is FIFO"
  }

  assert {
    condition = alltrue([for stage, queue in module.queue :
      queue.visibility_timeout >= 6 * module.function[stage].settings.timeout
      && queue.dead_letter_visibility_timeout >= 6 * module.function["bury"].settings.timeout
    ])
    error_message = "every queue and dead-letter queue hides a message for at least six times its function's timeout"
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
    condition = aws_sqs_queue.parked.name == "anna-chunked-parked" && aws_sqs_queue.parked.sqs_managed_sse_enabled && aws_sqs_queue.parked.message_retention_seconds == 14 * 86400 && jsondecode(aws_sqs_queue.parked.policy).Statement == [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-parked"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
    error_message = "what nobody can work on is kept for 14 days, encrypted, and by TLS only"
  }

  assert {
    condition     = { for function, made in module.function : function => made.name } == { for function in ["scatter", "process", "gather", "bury", "sweep"] : function => "anna-chunked-${function}" }
    error_message = "functions are named {scope}{pipeline}-{function}"
  }

  assert {
    condition = { for function, made in module.function : function => [made.settings.handler, made.settings.memory, made.settings.timeout] } == {
      scatter = ["scatter", 300, 800]
      process = ["process", 400, 100]
      gather  = ["gather", 500, 700]
      bury    = ["bury", 600, 90]
      sweep   = ["sweep", 200, 60]
    }
    error_message = "every function is told by its handler what it is, and has its own memory and timeout"
  }

  assert {
    condition = { for function, made in module.function : function => [for trigger in made.settings.triggers :
      "${trigger.queue_arn} ${trigger.batch_size} ${coalesce(trigger.maximum_concurrency, 0)}"
      ] } == {
      scatter = ["arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter 1 5"]
      process = ["arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process 3 20"]
      gather  = ["arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather.fifo 1 10"]
      bury = [
        "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-gather-dlq.fifo 1 0",
        "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-process-dlq 1 0",
        "arn:aws:sqs:eu-central-1:123456789012:anna-chunked-scatter-dlq 1 0",
      ]
      sweep = []
    }
    error_message = "a stage is fed by its queue, bury by the dead-letter queues, sweep by none, each with its own batch size, and but for dead letters its own maximum concurrency"
  }

  assert {
    condition     = module.schedule.rule == "anna-chunked-sweep" && module.schedule.rate == "rate(5 minutes)"
    error_message = "sweep is invoked at the rate given"
  }
}

run "environments" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  assert {
    condition = { for function, made in module.function : function => join(" ", keys(made.settings.environment)) } == {
      scatter = "CHUNK_SIZE DEAD_LETTER_QUEUE_URL FAIR_BY FORMAT GATHER_QUEUE_URL INPUT_BUCKET KEY_FIELD LEDGER_TABLE LIMITS PROCESS_QUEUE_URL RECORD_SCHEMA RUST_LOG SOURCE_QUEUE_URL VARIANT WORK_BUCKET"
      process = "DEAD_LETTER_QUEUE_URL FORMAT GATHER_QUEUE_URL INPUT_BUCKET ITEMS_TABLE ITEM_ATTRIBUTES KEY_FIELD LEDGER_TABLE RECORD_SCHEMA RUST_LOG SOURCE_QUEUE_URL VARIANT WORK_BUCKET WRITE_MODE"
      gather  = "DEAD_LETTER_QUEUE_URL INPUT_BUCKET LEDGER_TABLE OUTPUT_BUCKET RESULTS RUST_LOG SOURCE_QUEUE_URL VARIANT WORK_BUCKET"
      bury    = "GATHER_QUEUE_URL INPUT_BUCKET LEDGER_TABLE PARKED_QUEUE_URL RUST_LOG VARIANT WORK_BUCKET"
      sweep   = "FAIR_BY GATHER_QUEUE_URL GIVE_UP_AFTER INPUT_BUCKET LEDGER_TABLE OUTPUT_BUCKET PROCESS_QUEUE_URL RUST_LOG SCATTER_QUEUE_URL STALL_AFTER VARIANT WORK_BUCKET"
    }
    error_message = "every function is told what it needs and nothing else"
  }

  # The URLs of queues are unknown before an apply; the last run tests them.
  assert {
    condition = alltrue([for function, made in module.function : { for name, value in made.settings.environment : name => value if !endswith(name, "_URL") } == { for name, value in {
      VARIANT         = "chunked"
      LEDGER_TABLE    = "anna-chunked-ledger"
      WORK_BUCKET     = "anna-chunked-work-123456789012"
      RUST_LOG        = "debug"
      INPUT_BUCKET    = "anna-chunked-input-123456789012"
      OUTPUT_BUCKET   = "anna-chunked-output-123456789012"
      ITEMS_TABLE     = "anna-chunked-items"
      CHUNK_SIZE      = "250"
      KEY_FIELD       = "zip_code"
      RECORD_SCHEMA   = "s3://anna-package-123456789012/schemas/anna-chunked-${substr(sha256("{}"), 0, 16)}.json"
      WRITE_MODE      = "ordered"
      FORMAT          = "{}"
      LIMITS          = "{}"
      ITEM_ATTRIBUTES = "prefixed"
      RESULTS         = "failed"
      STALL_AFTER     = "600"
      GIVE_UP_AFTER   = "7200"
      FAIR_BY         = "batch"
    } : name => value if contains(keys(made.settings.environment), name) }])
    error_message = "every function is told the pipeline's own buckets and tables, and the settings"
  }
}

run "unprotected_dynamodb" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    variant      = "dynamodb"
    parts        = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    protect_data = false
  }

  assert {
    condition     = !aws_dynamodb_table.tasks[0].deletion_protection_enabled && !aws_dynamodb_table.tasks[0].point_in_time_recovery[0].enabled
    error_message = "unprotected: the tasks table may be deleted and keeps no backups"
  }
}

run "table_of_dynamodb" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-dynamodb"
    variant = "dynamodb"
    parts   = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
  }

  assert {
    condition = aws_dynamodb_table.tasks[0].name == "anna-dynamodb-tasks" && aws_dynamodb_table.tasks[0].hash_key == "pk" && aws_dynamodb_table.tasks[0].range_key == "record" && aws_dynamodb_table.tasks[0].attribute == toset([
      { name = "pk", type = "S" }, { name = "record", type = "N" },
    ])
    error_message = "a task's key is its chunk and its record"
  }

  assert {
    condition = (aws_dynamodb_table.tasks[0].billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.tasks[0].server_side_encryption[0].enabled == false
      && aws_dynamodb_table.tasks[0].ttl[0].attribute_name == "expiresAt" && aws_dynamodb_table.tasks[0].ttl[0].enabled
    && aws_dynamodb_table.tasks[0].deletion_protection_enabled && aws_dynamodb_table.tasks[0].point_in_time_recovery[0].enabled)
    error_message = "tasks are paid for by request, encrypted with DynamoDB's own key, protected, and forgotten when they expire"
  }

  assert {
    condition     = alltrue([for function in module.function : function.settings.environment["TASKS_TABLE"] == "anna-dynamodb-tasks"])
    error_message = "every function of dynamodb is told the tasks table"
  }
}

run "chunks_of_notification" {
  command = plan

  module {
    source = "./modules/pipeline"
  }

  variables {
    name    = "anna-notification"
    variant = "notification"
    parts   = { unit = "chunk", pending = "bucket", fanOut = "notifications", condition = "tree" }
  }

  assert {
    condition = (
      aws_s3_bucket_notification.work[0].bucket == aws_s3_bucket.this["work"].bucket
      && aws_s3_bucket_notification.work[0].queue[0].queue_arn == "arn:aws:sqs:eu-central-1:123456789012:anna-notification-process"
      && aws_s3_bucket_notification.work[0].queue[0].events == toset(["s3:ObjectCreated:*"])
      && aws_s3_bucket_notification.work[0].queue[0].filter_suffix == ".chunk"
    )
    error_message = "the work bucket tells the workers of every chunk, and of nothing else"
  }
}

# The URLs of queues, and the longest environments that the root's variables and the longest schema allow. This
# run is the last, since the runs of a file share their state.
run "urls_and_longest_environments" {
  command = apply # a URL is known only then; nothing is created, the provider is a mock

  module {
    source = "./modules/pipeline"
  }

  variables {
    name          = "a23456789-123456789-123456789-12345dynamodb"
    variant       = "dynamodb" # it has the longest environments
    parts         = { unit = "chunk", pending = "table", fanOut = "messages", condition = "tree" }
    account       = { partition = "aws-cn", region = "cn-northwest-1", id = "123456789012" }
    chunk_size    = 10000
    key_field     = format("%0255d", 0)
    record_schema = jsonencode({ description = format("%0349000d", 0) })
    log_level     = format("%0100d", 0)
    processors    = jsonencode(["items", { aggregate = { group_by = [format("%04000d", 0)] } }])
    tolerate      = "1000000000"
  }

  override_resource {
    target = aws_sqs_queue.parked
    values = { url = "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-parked" }
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
    condition = { for function, made in module.function : function => { for name, url in made.settings.environment :
      name => trimprefix(url, "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/a23456789-123456789-123456789-12345dynamodb-") if endswith(name, "_URL")
      } } == {
      scatter = { SOURCE_QUEUE_URL = "scatter", DEAD_LETTER_QUEUE_URL = "scatter-dlq", PROCESS_QUEUE_URL = "process", GATHER_QUEUE_URL = "gather.fifo" }
      process = { SOURCE_QUEUE_URL = "process", DEAD_LETTER_QUEUE_URL = "process-dlq", GATHER_QUEUE_URL = "gather.fifo" }
      gather  = { SOURCE_QUEUE_URL = "gather.fifo", DEAD_LETTER_QUEUE_URL = "gather-dlq.fifo" }
      bury    = { GATHER_QUEUE_URL = "gather.fifo", PARKED_QUEUE_URL = "parked" }
      sweep   = { SCATTER_QUEUE_URL = "scatter", PROCESS_QUEUE_URL = "process", GATHER_QUEUE_URL = "gather.fifo" }
    }
    error_message = "every function is told the queues it works with"
  }

  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 4 KB for all variables of a function.
  assert {
    condition     = alltrue([for function in module.function : length(jsonencode(function.settings.environment)) <= 4096])
    error_message = "a function's environment fits into what Lambda allows"
  }
}

variable "scope" {
  description = "What every resource name begins with, for example \"anna-\". Distinct for every deployment in an account, also across regions."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*$", var.scope))
    error_message = "scope may hold lower-case letters, digits and hyphens and begins with a letter or a digit, because it begins the names of S3 buckets. \"${var.scope}\" does not."
  }

  validation {
    condition     = length(var.scope) <= local.scope_limit
    error_message = "scope may be at most ${local.scope_limit} characters long with these pipelines (${join(", ", keys(local.asked))}): S3 bucket names end at ${local.bucket_name_limit} characters, and the longest here is {scope}{pipeline}-output-{account id}. \"${var.scope}\" has ${length(var.scope)}."
  }
}

variable "variants" {
  description = "Variants to deploy, each a pipeline of its own."
  type        = set(string)
  default     = ["chunked"]
  nullable    = false

  validation {
    condition     = length(var.variants) > 0
    error_message = "variants is empty: name at least one of ${join(", ", local.known_variants)}."
  }

  validation {
    condition     = length(setsubtract(var.variants, local.known_variants)) == 0
    error_message = "variants names what does not exist: ${join(", ", setsubtract(var.variants, local.known_variants))}. There is ${join(", ", local.known_variants)}."
  }
}

variable "pipelines" {
  description = <<-EOT
    Pipelines by name, each with its variant and the settings that are its own. A setting that it leaves out is as the
    variable of that name says. Empty for a pipeline for each of `variants`, named like it.
  EOT
  type = map(object({
    variant       = optional(string, "chunked")
    chunk_size    = optional(number)
    fair_by       = optional(string)
    format        = optional(string)
    input_prefix  = optional(string)
    input_suffix  = optional(string)
    key_field     = optional(string)
    limits        = optional(string)
    processors    = optional(string)
    record_schema = optional(string)
    records_api   = optional(string)
    records_by    = optional(string)
    reports       = optional(bool)
    results       = optional(string)
    timeout       = optional(map(number))
    tolerate      = optional(string)
    webhooks      = optional(string)
    write_mode    = optional(string)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.pipelines) : can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", name))])
    error_message = "pipelines has a name that cannot stand in the name of a bucket (${join(", ", keys(var.pipelines))}): begin each with a lower-case letter, and go on with lower-case letters, digits and hyphens between them."
  }

  validation {
    condition     = alltrue([for pipeline in values(var.pipelines) : contains(local.known_variants, pipeline.variant)])
    error_message = "pipelines names a variant that does not exist: ${jsonencode({ for name, pipeline in var.pipelines : name => pipeline.variant })}. There is ${join(", ", local.known_variants)}."
  }

  # A command that names a variant refers to the pipeline of that name.
  validation {
    condition     = alltrue([for name, pipeline in var.pipelines : !contains(local.known_variants, name) || pipeline.variant == name])
    error_message = "pipelines gives a pipeline the name of a variant that it does not have: ${jsonencode({ for name, pipeline in var.pipelines : name => pipeline.variant })}. Choose another name."
  }

  validation {
    condition     = alltrue([for pipeline in values(var.pipelines) : pipeline.record_schema == null ? true : try(fileexists(pipeline.record_schema), false)])
    error_message = "pipelines has a record_schema that names no file: ${jsonencode({ for name, pipeline in var.pipelines : name => pipeline.record_schema if pipeline.record_schema != null })}. Give the path of a JSON Schema, as seen from the directory Terraform runs in."
  }

  validation {
    condition = alltrue(flatten([for pipeline in values(var.pipelines) : [
      for function, seconds in coalesce(pipeline.timeout, {}) : contains(keys(var.timeout), function) && seconds >= 1 && seconds <= 900 && floor(seconds) == seconds
    ]]))
    error_message = "pipelines has a timeout that no function can have: ${jsonencode({ for name, pipeline in var.pipelines : name => pipeline.timeout if pipeline.timeout != null })}. Give a whole number of seconds from 1 to 900 to each of ${join(", ", keys(var.timeout))} that shall have another one than in the variable timeout."
  }
}

variable "given" {
  description = "Names of the variables whose values were given, now or for an earlier deployment. The output `settings` has these values, so that the next deployment can keep them."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.given, keys(local.settings))) == 0
    error_message = "given names what is no setting: ${join(", ", setsubtract(var.given, keys(local.settings)))}. There is ${join(", ", keys(local.settings))}."
  }
}

variable "region" {
  description = "AWS region; null for the one of the environment (AWS_REGION) or the profile."
  type        = string
  default     = null
}

variable "chunk_size" {
  description = "Most records in a chunk. A chunk is also cut at 1 MiB."
  type        = number
  default     = 500
  nullable    = false
}

variable "key_field" {
  description = "Field of a record that is the key of its item in the items table. Another field means another items table: the old one is replaced, which protect_data prevents, and which scripts/deployment.py stops while it holds items."
  type        = string
  default     = "itemNo"
  nullable    = false
}

variable "record_schema" {
  description = "Path of a file with the JSON Schema (draft 2020-12) of a record. Null for the one of the examples when key_field is \"itemNo\", otherwise for one that any JSON object satisfies."
  type        = string
  default     = null

  validation {
    condition     = var.record_schema == null ? true : try(fileexists(var.record_schema), false)
    error_message = "record_schema names no file: ${coalesce(var.record_schema, "(empty)")}. Give the path of a JSON Schema, as seen from the directory Terraform runs in."
  }
}

variable "package" {
  description = "Path of the zip that holds the executable `bootstrap`, built for `architecture`. A destroy reads no more than its name: any file will do."
  type        = string
  nullable    = false

  validation {
    condition     = try(fileexists(var.package), false)
    error_message = "package names no file: \"${var.package}\". Build the function's zip first and give its path as seen from the directory Terraform runs in."
  }
}

variable "architecture" {
  description = "Instruction set of the functions: x86_64 or arm64."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture is \"${var.architecture}\": Lambda has x86_64 and arm64."
  }
}

variable "memory" {
  description = "Memory of each function in MB; what stores records one at a time has process's. Lambda gives CPU in proportion, a whole one at 1769, which scatter and gather use up: they cost the same as with less, and are faster. In process's, up to batch_size chunks lie at once, each cut at 1 MiB of text."
  type = object({
    scatter     = optional(number, 1769)
    process     = optional(number, 512)
    gather      = optional(number, 1769)
    bury        = optional(number, 512)
    sweep       = optional(number, 512)
    consolidate = optional(number, 512)
    notify      = optional(number, 256)
  })
  default  = {}
  nullable = false

  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  validation {
    condition     = alltrue([for mb in values(var.memory) : mb >= 128 && mb <= 10240 && floor(mb) == mb])
    error_message = "memory is ${jsonencode(var.memory)}: give each function a whole number of MB from 128 to 10240."
  }
}

variable "timeout" {
  description = "Timeout of each function in seconds; what stores records one at a time has process's. A message whose function died comes back after six times this."
  type = object({
    scatter     = optional(number, 900)
    process     = optional(number, 120)
    gather      = optional(number, 900)
    bury        = optional(number, 120)
    sweep       = optional(number, 300)
    consolidate = optional(number, 180)
    notify      = optional(number, 60)
  })
  default  = {}
  nullable = false

  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  validation {
    condition     = alltrue([for seconds in values(var.timeout) : seconds >= 1 && seconds <= 900 && floor(seconds) == seconds])
    error_message = "timeout is ${jsonencode(var.timeout)}: give each function a whole number of seconds from 1 to 900."
  }
}

variable "concurrency" {
  description = "Most invocations of process at the same time, for each variant; where Step Functions runs the workers (sfn), for each batch, beside what was handed over to the queue."
  type        = number
  default     = 50
  nullable    = false

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  validation {
    condition     = var.concurrency >= 2 && var.concurrency <= 1000 && floor(var.concurrency) == var.concurrency
    error_message = "concurrency is ${var.concurrency}: Lambda takes a whole number from 2 to 1000 as the maximum concurrency of a queue."
  }
}

variable "scatter_concurrency" {
  description = "Most invocations of scatter at the same time, for each pipeline: so many large files may be scattered before the next one has to wait."
  type        = number
  default     = 10
  nullable    = false

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  validation {
    condition     = var.scatter_concurrency >= 2 && var.scatter_concurrency <= 1000 && floor(var.scatter_concurrency) == var.scatter_concurrency
    error_message = "scatter_concurrency is ${var.scatter_concurrency}: Lambda takes a whole number from 2 to 1000 as the maximum concurrency of a queue."
  }
}

variable "batch_size" {
  description = "Most messages an invocation of process receives; null for 10 where a message is one record (sync, async), else for 4. Chunks of one batch are worked on together."
  type        = number
  default     = null

  # A value above 10 needs a batching window:
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  validation {
    condition     = var.batch_size == null ? true : var.batch_size >= 1 && var.batch_size <= 10 && floor(var.batch_size) == var.batch_size
    error_message = "batch_size is ${coalesce(var.batch_size, 0)}: give a whole number of messages from 1 to 10."
  }
}

variable "write_mode" {
  description = "How process writes items: \"batch\", many in one request and in no order between chunks, or \"ordered\"."
  type        = string
  default     = "batch"
  nullable    = false
}

variable "format" {
  description = "How files are read, as a JSON object with any of delimiter, quote, comment, encoding, records_path, ignore, columns, max_header, null_values, true_values and false_values. What is left out is found in the file."
  type        = string
  default     = "{}"
  nullable    = false
}

variable "input_prefix" {
  description = "What the key of an object in the input bucket has to begin with to become a batch, as in \"incoming/\"; S3 announces no other. Empty for any key."
  type        = string
  default     = ""
  nullable    = false
}

variable "input_suffix" {
  description = "What the key of an object in the input bucket has to end with to become a batch, as in \".csv\"; S3 announces no other. Empty for any key."
  type        = string
  default     = ""
  nullable    = false
}

variable "item_attributes" {
  description = "Names of the attributes that fanfold adds to items: \"prefixed\" (fanfoldBatchId, fanfoldRecordIndex, fanfoldUpdatedAt), or \"bare\" (batchId, recordIndex, updatedAt), as deployments have that are older than the prefix."
  type        = string
  default     = "prefixed"
  nullable    = false
}

variable "limits" {
  description = "What one batch may make at most, as a JSON object with any of records, writtenBytes and dollars; a file that would exceed one is refused. What is left out is a thousand million records, 1 TiB and $100."
  type        = string
  default     = "{}"
  nullable    = false
}

variable "processors" {
  description = <<-EOT
    What is done with records, as JSON: a list of processors, each a name or an object with one. At most one is called for
    each record: invoke (a Lambda function), http (an API), usage (what another pipeline counted, for a report), terms, meter and
    bill (terms of clients, events that are billed, and half months that are closed), or custom (the Rust processor that the
    package is built around).
    Records that succeed are stored by items, in the items table, and by aggregate, as counters. As in
    ["items", {"invoke": {"function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:check:live"}}].
    Without items there is no items table: taking it out deletes the table, as key_field says.
  EOT
  type        = string
  default     = "[\"items\"]"
  nullable    = false
}

variable "fair_by" {
  description = "Whose messages take turns when workers are busy: each \"batch\", or each first folder of keys (\"prefix\"), for tenants who upload many files."
  type        = string
  default     = "batch"
  nullable    = false
}

variable "tolerate" {
  description = "How many records of a batch may fail before it is stopped: a number, as in \"1000\", or a share, as in \"5%\". Null for any number."
  type        = string
  default     = null
}

variable "results" {
  description = "Which outcomes gather writes: \"all\", those of every record to results.* and the failed ones to failed.*; \"failed\", no more than failed.*; or \"none\", the summary only."
  type        = string
  default     = "all"
  nullable    = false
}

variable "output_expiry_days" {
  description = "Days after which outputs are deleted; 0 to keep them."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.output_expiry_days == 0 || (var.output_expiry_days >= 30 && floor(var.output_expiry_days) == var.output_expiry_days)
    error_message = "output_expiry_days is ${var.output_expiry_days}: give a whole number of days, at least 30, for so long a batch can be redriven and writes its outputs anew; or 0 to keep them."
  }
}

variable "stall_after" {
  description = "Seconds after which an open batch that makes no progress counts as stalled and is helped on."
  type        = number
  default     = 900
  nullable    = false

  validation {
    condition     = var.stall_after >= 60 && floor(var.stall_after) == var.stall_after
    error_message = "stall_after is ${var.stall_after}: give a whole number of seconds, at least 60, and more than a batch that is well goes without progress."
  }
}

variable "give_up_after" {
  description = "Seconds without progress after which a batch is given up, so that it ends."
  type        = number
  default     = 86400
  nullable    = false

  validation {
    condition     = var.give_up_after > var.stall_after
    error_message = "give_up_after is ${var.give_up_after}, stall_after ${var.stall_after}: give up later than a batch counts as stalled, so that there is time to send again what it lacks."
  }

  # As long as a dead-letter queue keeps messages.
  validation {
    condition     = var.give_up_after <= 14 * 24 * 60 * 60 && floor(var.give_up_after) == var.give_up_after
    error_message = "give_up_after is ${var.give_up_after}: give a whole number of seconds, at most 1209600 (14 days), for so long a message that failed is kept."
  }
}

variable "sweep_rate" {
  description = "How often open batches are looked through for stalled ones, as EventBridge says it."
  type        = string
  default     = "rate(1 minute)"
  nullable    = false

  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html#eb-rate-expressions;
  # an alarm evaluates five invocations, over at most a week:
  # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
  validation {
    condition     = can(regex("^rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]{1,2}) minutes|([2-9]|1[0-9]|2[0-4]) hours)\\)$", var.sweep_rate))
    error_message = "sweep_rate is \"${var.sweep_rate}\": give a rate of EventBridge from \"rate(1 minute)\" to \"rate(1 day)\", with the unit in the singular for 1 and in the plural for more, as in \"rate(5 minutes)\" or \"rate(1 hour)\"."
  }
}

variable "alarms" {
  description = "Whether there are alarms. An emulator has no metrics that could raise one; the topic is there in any case."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_age" {
  description = "Seconds after which an alarm tells that a message waits too long in its queue."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.alarm_age >= 60 && var.alarm_age < 4 * 24 * 60 * 60 && floor(var.alarm_age) == var.alarm_age
    error_message = "alarm_age is ${var.alarm_age}: give a whole number of seconds from 60 to 345599, for a queue drops a message after 4 days."
  }
}

variable "alarm_email" {
  description = "Address that alarms are sent to, once its owner has confirmed that; null to subscribe to the topic by other means."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null ? true : can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email is \"${coalesce(var.alarm_email, "(empty)")}\": give an address such as \"oncall@example.com\", or leave it out."
  }
}

variable "uploader_arns" {
  description = "ARNs of the roles and users that alone may upload files, beside the account's root; * stands for any characters. Empty for everybody whom the account's own policies allow it."
  type        = list(string)
  default     = []
  nullable    = false

  # A session is known by the ARN of its role:
  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
  validation {
    condition     = alltrue([for arn in var.uploader_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "uploader_arns has what is no role and no user (${join(", ", var.uploader_arns)}): give each as in \"arn:aws:iam::123456789012:role/uploads\", a session by the ARN of its role."
  }
}

variable "kms_key_arn" {
  description = <<-EOT
    ARN of a symmetric KMS key of this region that encrypts buckets, queues, tables, logs, the functions' environments
    and topics. Null for keys that the services own, by which all of these but the topics are encrypted too, without charges.
    An upload names this key by its ARN, or no encryption; the buckets refuse any other.
    Every function, and the gateway of records_api, is allowed to use exactly this key. The key's policy must let the account's own policies allow that
    (as the default one does), and it must allow what AWS's services do in their own name:
    - s3.amazonaws.com: kms:GenerateDataKey and kms:Decrypt, or no upload reaches the scatter queue
      (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html);
    - cloudwatch.amazonaws.com: kms:GenerateDataKey* and kms:Decrypt, or no alarm reaches the topic
      (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html);
    - sns.amazonaws.com, for a pipeline of the variant sns: kms:GenerateDataKey* and kms:Decrypt, or no chunk reaches the process queue
      (https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html);
    - logs.{region}.amazonaws.com: kms:Encrypt*, kms:Decrypt*, kms:ReEncrypt*, kms:GenerateDataKey* and kms:Describe*,
      or no log group is made (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html).
    Who deploys needs kms:DescribeKey and kms:CreateGrant on it, for the tables and the functions, and like everybody who
    uploads files kms:GenerateDataKey and kms:Decrypt; who reads outputs needs kms:Decrypt.
  EOT
  type        = string
  default     = null

  # Policies name keys, not aliases.
  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${coalesce(var.kms_key_arn, "(empty)")}\": give the ARN of a key, as in \"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-…\"; an alias cannot be named in a policy."
  }
}

variable "log_retention_days" {
  description = "Days the functions' logs are kept."
  type        = number
  default     = 14
  nullable    = false

  # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
  validation {
    condition     = contains(local.log_retentions, var.log_retention_days)
    error_message = "log_retention_days is ${var.log_retention_days}: CloudWatch Logs has ${join(", ", local.log_retentions)}."
  }
}

variable "log_level" {
  description = "What the functions log: a level (error, warn, info, debug, trace) or a filter such as \"info,fanfold=debug\"."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = var.log_level != "" && length(var.log_level) <= 100
    error_message = "log_level takes 1 to 100 characters: it shares the 4 KB of a function's environment."
  }
}

variable "protect_data" {
  description = "Whether tables and filled buckets withstand a destroy, and tables can be restored to a point in time. A destroy stops at them, after the rest is gone; to destroy the data too, first apply with false."
  type        = bool
  default     = true
  nullable    = false
}

variable "check_quotas" {
  description = "Whether to warn if the account's quota of concurrent functions is smaller than what the pipelines may use, for which servicequotas:GetServiceQuota is needed. An emulator has no quotas."
  type        = bool
  default     = true
  nullable    = false
}

variable "emulator_endpoint" {
  description = "Address of the emulator that is deployed to, at which the API has a path instead of a host name; null for AWS."
  type        = string
  default     = null
}

variable "s3_path_style" {
  description = "Whether the provider addresses buckets by path instead of host name, as emulators need."
  type        = bool
  default     = false
  nullable    = false
}

variable "name" {
  description = "What every name begins with: the scope and the pipeline."
  type        = string
  nullable    = false
}

variable "pipeline" {
  description = "What the deployment calls the pipeline; null for its name."
  type        = string
  default     = null
}

variable "variant" {
  description = "Name of the variant, told to every function."
  type        = string
  nullable    = false
}

variable "parts" {
  description = "What the variant is made of: what a message is about (record or chunk), where records wait (bucket, table or input), how workers learn of them (messages, notifications, a topic or a map)."
  type        = object({ unit = string, pending = string, fanOut = string, condition = string })
  nullable    = false
}

variable "account" {
  description = "Where the pipeline lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "package" {
  description = "The zip that holds the executable `bootstrap`, the same for all functions: its bucket, its key, and the base64 of its SHA-256."
  type        = object({ bucket = string, key = string, hash = string })
  nullable    = false
}

variable "architecture" {
  description = "Instruction set the binary was built for: x86_64 or arm64."
  type        = string
  nullable    = false
}

variable "memory" {
  description = "Memory of each function in MB."
  type        = object({ scatter = number, process = number, gather = number, bury = number, sweep = number, consolidate = optional(number, 512), notify = optional(number, 256) })
  nullable    = false
}

variable "timeout" {
  description = "Timeout of each function in seconds."
  type        = object({ scatter = number, process = number, gather = number, bury = number, sweep = number, consolidate = optional(number, 180), notify = optional(number, 60) })
  nullable    = false
}

variable "concurrency" {
  description = "Most invocations of scatter, of process and of records at the same time."
  type        = object({ scatter = number, process = number, records = optional(number, 10) })
  nullable    = false
}

variable "batch_size" {
  description = "Most messages an invocation of process receives."
  type        = number
  nullable    = false
}

variable "write_mode" {
  description = "How process writes items: batch or ordered."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["batch", "ordered"], var.write_mode)
    error_message = "${var.name}: write_mode is \"${var.write_mode}\": say \"batch\" or \"ordered\"."
  }
}

variable "format" {
  description = "How files are read, as a JSON object."
  type        = string
  nullable    = false

  validation {
    condition     = can(keys(jsondecode(var.format)))
    error_message = "${var.name}: format is ${var.format}: give a JSON object such as {\"delimiter\": \";\", \"encoding\": \"windows-1252\"}."
  }

  validation {
    condition = length(setsubtract(try(keys(jsondecode(var.format)), []), [
      "delimiter", "quote", "comment", "encoding", "records_path", "ignore", "columns", "max_header", "null_values", "true_values", "false_values",
    ])) == 0
    error_message = "${var.name}: format is ${var.format}: there is delimiter, quote, comment, encoding, records_path, ignore, columns, max_header, null_values, true_values and false_values."
  }
}

variable "limits" {
  description = "What one batch may make at most, as a JSON object."
  type        = string
  nullable    = false

  validation {
    condition     = can(keys(jsondecode(var.limits)))
    error_message = "${var.name}: limits is ${var.limits}: give a JSON object such as {\"records\": 1000000, \"dollars\": 10}."
  }

  validation {
    condition     = length(setsubtract(try(keys(jsondecode(var.limits)), []), ["records", "writtenBytes", "dollars"])) == 0
    error_message = "${var.name}: limits is ${var.limits}: there is records, writtenBytes and dollars."
  }

  validation {
    condition     = alltrue([for limit in try(values(jsondecode(var.limits)), []) : try(tonumber(limit) > 0, false)])
    error_message = "${var.name}: limits is ${var.limits}: give numbers above 0."
  }
}

# S3 takes prefix and suffix percent-encoded if they have other characters, and knows no wildcards:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
variable "input_prefix" {
  description = "What the key of an object in the input bucket has to begin with to be announced; empty for any."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.input_prefix) <= 1024 && can(regex("^[A-Za-z0-9/!_.'()-]*$", var.input_prefix))
    error_message = "${var.name}: input_prefix is \"${var.input_prefix}\": it may hold ASCII letters, digits and / ! _ . ' ( ) -, no wildcard, and at most 1024 of them."
  }
}

variable "input_suffix" {
  description = "What the key of an object in the input bucket has to end with to be announced; empty for any."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.input_suffix) <= 1024 && can(regex("^[A-Za-z0-9/!_.'()-]*$", var.input_suffix))
    error_message = "${var.name}: input_suffix is \"${var.input_suffix}\": it may hold ASCII letters, digits and / ! _ . ' ( ) -, no wildcard, and at most 1024 of them."
  }

  validation {
    condition     = module.processors.processors.bill == null || contains(["", ".jsonl"], var.input_suffix)
    error_message = "${var.name}: processors has bill and input_suffix is \"${var.input_suffix}\", but the files of half months end with .jsonl: say input_suffix \".jsonl\", or leave it empty."
  }
}

variable "item_attributes" {
  description = "Names of the attributes that fanfold adds to items: prefixed or bare."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["prefixed", "bare"], var.item_attributes)
    error_message = "${var.name}: item_attributes is \"${var.item_attributes}\": say \"prefixed\" or \"bare\"."
  }
}

variable "results" {
  description = "Which outcomes gather writes: all, failed or none."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["all", "failed", "none"], var.results)
    error_message = "${var.name}: results is \"${var.results}\": say \"all\", \"failed\" or \"none\"."
  }

  validation {
    condition     = module.processors.processors.bill == null || var.results == "all"
    error_message = "${var.name}: processors has bill and results is \"${var.results}\", but how half months stand is said by the results: say results \"all\"."
  }
}

variable "stall_after" {
  description = "Seconds without progress after which sweep takes a batch for stalled."
  type        = number
  nullable    = false
}

variable "give_up_after" {
  description = "Seconds without progress after which sweep gives a batch up."
  type        = number
  nullable    = false
}

variable "sweep_rate" {
  description = "How often sweep looks for stalled batches, as EventBridge says it: \"rate(1 minute)\"."
  type        = string
  nullable    = false
}

variable "alarms" {
  description = "Whether there are alarms."
  type        = bool
  nullable    = false
}

variable "alarm_age" {
  description = "Seconds after which a message waits too long in its queue."
  type        = number
  nullable    = false
}

variable "alarm_email" {
  description = "Address that is told of alarms; null for none."
  type        = string
  default     = null
}

variable "uploader_arns" {
  description = "ARNs of the roles and users that alone may upload files; empty for no such limit."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "page_origins" {
  description = "Origins of pages that may send forms to the input bucket, beyond those of this machine."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "report_page" {
  description = "Where people find a report in a browser, whose id is put behind it; null if there is no page for them."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts all that the pipeline stores; null for AWS's own keys."
  type        = string
  default     = null
}

variable "chunk_size" {
  description = "Most records in a chunk."
  type        = number
  nullable    = false

  validation {
    condition     = var.chunk_size >= 1 && var.chunk_size <= 10000 && floor(var.chunk_size) == var.chunk_size
    error_message = "${var.name}: chunk_size is ${var.chunk_size}: give a whole number of records from 1 to 10000."
  }

  validation {
    condition     = module.processors.processors.bill == null || var.chunk_size <= 50
    error_message = "${var.name}: processors has bill and chunk_size is ${var.chunk_size}, but a function closes one chunk of half months within its time: say at most 50, as in chunk_size 20."
  }
}

variable "key_field" {
  description = "Field of a record that is the key of its item."
  type        = string
  nullable    = false

  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
  # Base64 turns 3 bytes into 4 characters: 255 bytes into 340.
  validation {
    condition     = var.key_field != "" && length(base64encode(var.key_field)) <= 340
    error_message = "${var.name}: key_field is the name of a DynamoDB key attribute: give it 1 to 255 bytes."
  }

  validation {
    # The same names as in the code; a test compares them.
    condition     = !contains(lookup(jsondecode(file("${path.module}/../../own_attributes.json")), var.item_attributes, []), var.key_field)
    error_message = "${var.name}: key_field cannot be ${var.key_field}: an item has a field of its own by that name. Call the record's field something else."
  }

  validation {
    condition     = module.processors.processors.bill == null || var.key_field == "id"
    error_message = "${var.name}: processors has bill and key_field is \"${var.key_field}\", but half months are listed by their field id: say key_field \"id\"."
  }
}

variable "record_schema" {
  description = "JSON Schema of a record, its text."
  type        = string
  nullable    = false

  validation {
    condition     = can(keys(jsondecode(var.record_schema)))
    error_message = "${var.name}: record_schema is not a JSON object. Give a JSON Schema such as {\"type\":\"object\",\"required\":[\"itemNo\"]}."
  }

  # The ledger keeps the rules of batches in items of at most 400 KB, as JSON text in JSON:
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
  validation {
    condition     = length(jsonencode(var.record_schema)) <= 350000
    error_message = "${var.name}: record_schema takes ${length(jsonencode(var.record_schema))} characters as JSON text; 350000 fit into an item of the ledger. Leave out descriptions, titles and examples, or move what is repeated into $defs."
  }
}

variable "processors" {
  description = "What is done with records, as JSON."
  type        = string
  default     = "[\"items\"]"
  nullable    = false
}

variable "records_api" {
  description = "Who may send records one at a time: IAM or KEY, as modules/records has it; empty for nobody."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = contains(["", "IAM", "KEY"], var.records_api)
    error_message = "${var.name}: records_api is \"${var.records_api}\": say \"IAM\" for callers that sign their requests, \"KEY\" for those with an API key, or leave it empty for no such API."
  }

  validation {
    condition     = var.records_api == "" || module.processors.processors.items || module.processors.processors.meter != null
    error_message = "${var.name}: records_api is \"${var.records_api}\", but processors has no items and no meter: a record that is sent by itself becomes an item, and is looked up as one, or an event that is kept. Add items to processors, or leave records_api empty."
  }

  # A counter is a sum over chunks, and such a record is in none.
  validation {
    condition     = var.records_api == "" || !module.processors.processors.aggregate
    error_message = "${var.name}: records_api is \"${var.records_api}\" and processors has aggregate, but records that are sent by themselves are not counted: give them a pipeline without aggregate, or leave records_api empty."
  }

  validation {
    condition     = module.processors.processors.bill == null || var.records_api == ""
    error_message = "${var.name}: processors has bill and records_api is \"${var.records_api}\", but half months are closed by files that list them: leave records_api empty."
  }
}

variable "records_rate" {
  description = "Requests a second to each path of that API that are let in; twice as many at once after a pause."
  type        = number
  default     = 100
  nullable    = false
}

variable "records_by" {
  description = "What takes such records: queue, table or function."
  type        = string
  default     = "queue"
  nullable    = false

  validation {
    condition     = contains(["queue", "table", "function"], var.records_by)
    error_message = "${var.name}: records_by is \"${var.records_by}\": say \"queue\" or \"table\" for a REST API without a function before one or the other, or \"function\" for an HTTP API with one."
  }

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-vs-rest.html
  validation {
    condition     = !(var.records_by == "function" && var.records_api == "KEY")
    error_message = "${var.name}: records_api is \"KEY\" and records_by is \"function\", but the HTTP API before that function has no API keys: say records_api \"IAM\" for callers that sign their requests, or records_by \"queue\" or \"table\", whose REST API has keys."
  }
}

variable "emulator_endpoint" {
  description = "Address of an emulator, at which an API has a path instead of a host name; null for AWS."
  type        = string
  default     = null
}

variable "fair_by" {
  description = "Whose messages take turns: batch or prefix."
  type        = string
  default     = "batch"
  nullable    = false

  validation {
    condition     = contains(["batch", "prefix"], var.fair_by)
    error_message = "${var.name}: fair_by is \"${var.fair_by}\": say \"batch\" or \"prefix\"."
  }
}

variable "tolerate" {
  description = "How many records of a batch may fail before it is stopped: a number, or a share as in \"5%\"; null for any number."
  type        = string
  default     = null

  validation {
    condition     = var.tolerate == null ? true : can(regex("^([0-9]{1,18}|([0-9]{1,2}([.][0-9]{1,2})?|100)%)$", var.tolerate))
    error_message = "${var.name}: tolerate is \"${coalesce(var.tolerate, "(empty)")}\": give a whole number of records, as in 1000, or a share of up to 100%, as in 5% or 0.25%."
  }
}

variable "log_level" {
  description = "Filter of the functions' log lines."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days the functions' logs are kept."
  type        = number
  nullable    = false
}

variable "output_expiry_days" {
  description = "Days after which outputs are deleted; 0 to keep them."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = module.processors.processors.bill == null || var.output_expiry_days == 0
    error_message = "${var.name}: processors has bill and output_expiry_days is ${var.output_expiry_days}, but packages are outputs: what adjusts an invoice is made of those before it. Leave output_expiry_days out."
  }
}

variable "protect_data" {
  description = "Whether tables and filled buckets withstand a destroy, and tables can be restored to a point in time."
  type        = bool
  nullable    = false
}

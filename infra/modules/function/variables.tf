variable "name" {
  description = "Name of the function, its role and, below /aws/lambda/, its log group."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the function lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "stage" {
  description = "Stage the function runs. It is the handler name, which is how the one binary tells what it is."
  type        = string
  nullable    = false
}

variable "package" {
  description = "The zip that holds the executable `bootstrap`: its bucket, its key, and the base64 of its SHA-256."
  type        = object({ bucket = string, key = string, hash = string })
  nullable    = false
}

variable "architecture" {
  description = "Instruction set the binary was built for: x86_64 or arm64."
  type        = string
  nullable    = false
}

variable "memory" {
  description = "Memory of the function in MB."
  type        = number
  nullable    = false
}

variable "timeout" {
  description = "Timeout of the function in seconds."
  type        = number
  nullable    = false
}

variable "environment" {
  description = "Environment variables of the function."
  type        = map(string)
  nullable    = false
}

variable "permissions" {
  description = "What the stage may do, beyond consuming its queues and writing its log: actions on resources, by statement id; on items with these hash keys alone if keys are given."
  type        = map(object({ actions = list(string), resources = list(string), keys = optional(list(string)) }))
  nullable    = false
}

variable "triggers" {
  description = "Queues that feed the function, by a name each: ARN, most messages an invocation receives, and most invocations the queue may cause at the same time (null for as many as Lambda makes)."
  type        = map(object({ queue_arn = string, batch_size = number, maximum_concurrency = optional(number) }))
  default     = {}
  nullable    = false
}

variable "stream" {
  description = "Stream of a table that feeds the function, too: the ARN of the table, that of the stream, which changes with each that it had, the pattern of the changes that are delivered, as JSON, the most of them that an invocation receives, and the most invocations at the same time for each of its shards; null for none."
  type        = object({ table_arn = string, arn = string, pattern = string, batch_size = number, parallelization = number })
  default     = null
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts log and environment, and that the function may use; null for AWS's own."
  type        = string
  default     = null
}

variable "stores" {
  description = "Whether the function reads and writes what is encrypted with that key; otherwise it decrypts no more than its own environment."
  type        = bool
  default     = true
  nullable    = false
}

variable "publishes" {
  description = "Whether the function publishes to a topic that is encrypted with that key."
  type        = bool
  default     = false
  nullable    = false
}

variable "decrypts_for" {
  description = "Services that decrypt with that key what the function reads from them, beyond those of every function: ssm, secretsmanager."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "log_retention_days" {
  description = "Days the function's log is kept."
  type        = number
  nullable    = false
}

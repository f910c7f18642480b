variable "name" {
  description = "Name of the function and its role, and what the names of its rules begin with."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where it lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
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

variable "tables" {
  description = "Names of the tables of events, of packages, of what was used by days, and of the terms of clients, which is another pipeline's."
  type        = object({ events = string, packages = string, aggregates = string, clients = string })
  nullable    = false
}

variable "pipeline" {
  description = "The pipeline that closes half months: the scope and its name, its buckets, what keys of its files begin with, and its ledger."
  type        = object({ name = string, input_bucket = string, input_prefix = string, output_bucket = string, ledger_table = string })
  nullable    = false
}

variable "processors_object" {
  description = "The object that says what is done, the API for invoices among it, as in s3://bucket/key."
  type        = string
  nullable    = false
}

variable "sends" {
  description = "Whether there is an API for invoices."
  type        = bool
  nullable    = false
}

variable "parameter_arns" {
  description = "ARNs of the parameters that requests to that API have as secrets."
  type        = list(string)
  nullable    = false
}

variable "secret_arns" {
  description = "ARNs of the secrets, likewise."
  type        = list(string)
  nullable    = false
}

variable "log_level" {
  description = "Filter of the function's log lines."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days the function's log is kept."
  type        = number
  nullable    = false
}

variable "protect_data" {
  description = "Whether the tables withstand a destroy, and can be restored to a point in time."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts what is stored; null for AWS's own keys."
  type        = string
  default     = null
}

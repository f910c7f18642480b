variable "name" {
  description = "Name of the function and its role."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the function lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "bucket" {
  description = "Name of the bucket of packages."
  type        = string
  nullable    = false
}

variable "file" {
  description = "Path of the zip that holds the executable `bootstrap`, and a template report.typ beside it if there is one."
  type        = string
  nullable    = false
}

variable "architecture" {
  description = "Instruction set the executable was built for: x86_64 or arm64."
  type        = string
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

variable "kms_key_arn" {
  description = "ARN of the key that encrypts log and environment; null for AWS's own."
  type        = string
  default     = null
}

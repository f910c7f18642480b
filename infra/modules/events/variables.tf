variable "name" {
  description = "Name of the function and its role, and what the names of its policies begin with."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the function lives: AWS partition, region and account id."
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

variable "description" {
  description = "The object that describes the deployment: bucket and key."
  type        = object({ bucket = string, key = string })
  nullable    = false
}

variable "permissions" {
  description = "What the API may do with each pipeline: by its name, and by statement id, actions on resources. The function may do of it what reads."
  type        = map(map(object({ actions = list(string), resources = list(string) })))
  nullable    = false
}

variable "emulator_endpoint" {
  description = "Address of an emulator, at which a function has a path instead of a host name; null for AWS."
  type        = string
  default     = null
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
  description = "ARN of the key that encrypts log and environment, and that the function may use; null for AWS's own."
  type        = string
  default     = null
}

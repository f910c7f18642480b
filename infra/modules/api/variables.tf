variable "name" {
  description = "Name of the API, its function and its role, and what the names of its policies begin with."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the API lives: AWS partition, region and account id."
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

variable "deployment" {
  description = "The deployment that the function answers for: region, pipelines, each with its resources, and where clients connect who wait for reports. It is stored as JSON beside the package, so it holds no secret."
  type        = any
  nullable    = false
}

variable "permissions" {
  description = "What the function may do with each pipeline: by its name, and by statement id, actions on resources."
  type        = map(map(object({ actions = list(string), resources = list(string) })))
  nullable    = false
}

variable "sockets" {
  description = "The ARNs of the table of who waits for reports, and of what is invoked by connecting; null if nobody can connect."
  type        = object({ table_arn = string, connect_arn = string })
  default     = null
}

variable "jwt" {
  description = "Whose tokens are let in: issuer and audience. Null for callers that sign their requests, whom IAM lets in."
  type        = object({ issuer = string, audience = list(string) })
  default     = null
}

variable "emulator_endpoint" {
  description = "Address of an emulator, at which an API has a path instead of a host name; null for AWS."
  type        = string
  default     = null
}

variable "rate" {
  description = "Requests a second that are let in, of all callers together."
  type        = number
  default     = 50
  nullable    = false
}

variable "burst" {
  description = "Requests that are let in beyond that after a pause."
  type        = number
  default     = 100
  nullable    = false
}

variable "log_level" {
  description = "Filter of the function's log lines."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days the function's log and the log of requests are kept."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts logs and environment, and that the function may use; null for AWS's own."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the API, its usage plan and its key, and what the name of the gateway's role begins with."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the API lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "authorisation" {
  description = "Who is let in: IAM, callers that sign their requests and that IAM allows execute-api:Invoke; or KEY, those that send an API key of the usage plan."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["IAM", "KEY"], var.authorisation)
    error_message = "${var.name}: authorisation is \"${var.authorisation}\": say \"IAM\" or \"KEY\", for the API is never open."
  }
}

variable "by" {
  description = "Where records are put: queue, or table, which is that of requests."
  type        = string
  default     = "queue"
  nullable    = false

  validation {
    condition     = contains(["queue", "table"], var.by)
    error_message = "${var.name}: by is \"${var.by}\": say \"queue\" or \"table\"."
  }
}

variable "queue" {
  description = "The queue that records are sent to, if they are: its name and its ARN."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "tables" {
  description = "The tables that are read, each by its name and its ARN: what became of requests, which records may be put into, and items; null if records become no items but events."
  type        = object({ requests = object({ name = string, arn = string }), items = optional(object({ name = string, arn = string })) })
  nullable    = false
}

variable "key_field" {
  description = "Field that is the key of the items table."
  type        = string
  nullable    = false
}

variable "record_schema" {
  description = "JSON Schema of a record, its text."
  type        = string
  nullable    = false
}

variable "rate" {
  description = "Requests a second to each path that are let in, of each caller with a key and of all together."
  type        = number
  default     = 100
  nullable    = false
}

variable "burst" {
  description = "Requests that are let in at once after a pause; null for twice the rate."
  type        = number
  default     = null
}

variable "emulator_endpoint" {
  description = "Address of an emulator, at which an API has a path instead of a host name; null for AWS."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts queue, tables and the log of requests, and that the gateway's role may use; null for AWS's own."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days the log of requests is kept."
  type        = number
  nullable    = false
}

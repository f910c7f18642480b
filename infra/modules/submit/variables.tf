variable "name" {
  description = "Name of the API."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the API lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "function" {
  description = "The function that answers: its name and its ARN."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "items" {
  description = "Whether records become items, which are shown. Otherwise they are events."
  type        = bool
  default     = true
  nullable    = false
}

variable "rate" {
  description = "Requests a second to each path that are let in, of all callers together."
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
  description = "ARN of the key that encrypts the log of requests; null for AWS's own."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days the log of requests is kept."
  type        = number
  nullable    = false
}

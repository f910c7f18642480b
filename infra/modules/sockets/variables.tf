variable "name" {
  description = "Name of the API and of its table."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the API lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "function" {
  description = "The function that answers: its name and ARN."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "emulator_endpoint" {
  description = "Address of an emulator, at which an API has a path instead of a host name; null for AWS."
  type        = string
  default     = null
}

variable "rate" {
  description = "Connections and messages a second that are let in, of all clients together."
  type        = number
  default     = 500
  nullable    = false
}

variable "burst" {
  description = "Those that are let in beyond that after a pause."
  type        = number
  default     = 1000
  nullable    = false
}

variable "protect_data" {
  description = "Whether the table withstands a destroy, and can be restored to a point in time."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts table and log; null for AWS's own."
  type        = string
  default     = null
}

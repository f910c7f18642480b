variable "name" {
  description = "Name of the queue, without the suffix .fifo."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the queue lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "fifo" {
  description = "Whether the queue is first-in, first-out. Its senders give every message a deduplication id."
  type        = bool
  default     = false
  nullable    = false
}

variable "function_timeout" {
  description = "Timeout, in seconds, of the function that consumes the queue. The visibility timeout is six times this."
  type        = number
  nullable    = false
}

variable "dead_letter_function_timeout" {
  description = "Timeout, in seconds, of the function that consumes the dead-letter queue. Its visibility timeout is six times this."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts both queues; null for SQS's own."
  type        = string
  default     = null
}

variable "sending_bucket" {
  description = "ARN of a bucket of this account whose event notifications the queue accepts; null for none."
  type        = string
  default     = null
}

variable "sending_topic" {
  description = "ARN of a topic of this account whose messages the queue accepts; null for none."
  type        = string
  default     = null
}

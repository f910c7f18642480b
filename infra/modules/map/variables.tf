variable "name" {
  description = "Name of the state machine and of its role."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where it lives: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "function" {
  description = "The function that works on chunks: its ARN, and how many seconds it may take."
  type        = object({ arn = string, timeout = number })
  nullable    = false

  validation {
    condition     = var.function.timeout <= 180
    error_message = "timeout.process is ${var.function.timeout}: where Step Functions runs the workers, give them at most 180 seconds, since an express execution lasts five minutes."
  }
}

variable "work_bucket" {
  description = "The bucket with the claim checks of batches: its name and its ARN."
  type        = object({ name = string, arn = string })
  nullable    = false
}

variable "queues" {
  description = "The queues of the workers, of their dead letters and of gather: ARNs and URLs."
  type        = object({ process = object({ arn = string, url = string }), dead_letters = object({ arn = string, url = string }), gather = object({ arn = string, url = string }) })
  nullable    = false
}

variable "concurrency" {
  description = "Most workers of one batch at the same time, beside those of other batches."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the customer's KMS key by which the bucket and the queues are encrypted; null for keys of the services."
  type        = string
  default     = null
}

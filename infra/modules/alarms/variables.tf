variable "name" {
  description = "What every name begins with: the scope and the variant."
  type        = string
  nullable    = false
}

variable "account" {
  description = "Where the alarms live: AWS partition, region and account id."
  type        = object({ partition = string, region = string, id = string })
  nullable    = false
}

variable "enabled" {
  description = "Whether there are alarms, or only their topic."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts what is published; null for none."
  type        = string
  default     = null
}

variable "email" {
  description = "Address that is told of alarms; null for none."
  type        = string
  default     = null
}

variable "queues" {
  description = "Names of the queues to watch, by stage."
  type        = map(string)
  nullable    = false
}

variable "dead_letter_queues" {
  description = "Names of their dead-letter queues that a function consumes, by stage."
  type        = map(string)
  nullable    = false
}

variable "kept_letters" {
  description = "Names of dead-letter queues that nothing consumes, by stage."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "parked_queue" {
  description = "Name of the queue whose messages wait for people."
  type        = string
  nullable    = false
}

variable "bury_function" {
  description = "Name of the function that consumes the dead-letter queues."
  type        = string
  nullable    = false
}

variable "sweep_function" {
  description = "Name of the function that looks for batches that stall."
  type        = string
  nullable    = false
}

variable "sweep_period" {
  description = "Seconds from one invocation of that function to the next."
  type        = number
  nullable    = false
}

variable "age" {
  description = "Seconds after which a message waits too long in its queue."
  type        = number
  nullable    = false
}

variable "topic" {
  description = "Name of the topic that delivers to the pipeline's queues; null for none."
  type        = string
  default     = null
}

variable "stream_functions" {
  description = "Names of the functions that are fed by a stream, by stage."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "billing_function" {
  description = "Name of the function that lists half months and sends packages; null if there is none."
  type        = string
  default     = null
}

variable "function_name" {
  description = "Name of the function to invoke. The rule has the same."
  type        = string
  nullable    = false
}

variable "function_arn" {
  description = "ARN of the function."
  type        = string
  nullable    = false
}

variable "rate" {
  description = "How often, as EventBridge says it: \"rate(1 minute)\"."
  type        = string
  nullable    = false
}

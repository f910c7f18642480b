variable "name" {
  description = "The pipeline, for messages: the scope and its name."
  type        = string
  nullable    = false
}

variable "text" {
  description = "The processors as JSON: a list of names and objects such as [\"items\", {\"invoke\": {\"function_arn\": \"…\"}}], or one of these."
  type        = string
  nullable    = false
}

variable "region" {
  description = "The region of the functions, which call nothing of another."
  type        = string
  nullable    = false
}

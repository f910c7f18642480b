variable "name" {
  description = "The pipeline, for messages: the scope and its name."
  type        = string
  nullable    = false
}

variable "text" {
  description = "The webhooks as JSON: an object of urls and secrets; empty for none."
  type        = string
  nullable    = false
}

variable "region" {
  description = "The region of the function, which reads secrets of no other."
  type        = string
  nullable    = false
}

variable "patterns" {
  description = "What the ARN of a parameter and that of a secret look like, as modules/processors has it."
  type        = object({ parameter = string, secret = string })
  nullable    = false
}

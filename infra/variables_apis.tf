# APIs: of the deployment, for batches, and of each pipeline, for records that are sent one at a time.

variable "api" {
  description = "Whether there is an HTTP API for all pipelines: what batches do, uploads, redrives and the like, and the page. Who may invoke it may do all of that."
  type        = bool
  default     = false
  nullable    = false
}

variable "api_jwt" {
  description = "Whose tokens the API lets in, as in {\"issuer\": \"https://issuer.example.com\", \"audience\": [\"1234abcd\"]}. Null for requests that are signed, by whom IAM allows execute-api:Invoke."
  type        = object({ issuer = string, audience = list(string) })
  default     = null

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
  validation {
    condition     = var.api_jwt == null ? true : can(regex("^(https://|http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?(/|$))[^?#]*$", var.api_jwt.issuer))
    error_message = "api_jwt has the issuer \"${try(var.api_jwt.issuer, "")}\": give an address that begins with https://, exactly as tokens have it in iss."
  }

  # Without an audience, a token that the issuer made for any other application would be let in.
  validation {
    condition     = var.api_jwt == null ? true : length(var.api_jwt.audience) > 0 && alltrue([for audience in var.api_jwt.audience : trimspace(audience) != ""])
    error_message = "api_jwt has no audience: give what tokens have in aud, or in client_id, as in [\"1234abcd\"]."
  }
}

variable "records_api" {
  description = "Who may send records one at a time and look them up, by an API of each pipeline: \"IAM\", callers that sign their requests and that IAM allows execute-api:Invoke; \"KEY\", those with an API key; empty for nobody, and no such API."
  type        = string
  default     = ""
  nullable    = false
}

variable "records_by" {
  description = "What takes records that are sent one at a time: \"queue\", a REST API that puts them into a queue; \"table\", a REST API that keeps them in the table of requests, so that the status is there at once; \"function\", an HTTP API with a function that checks them whole before it queues them, for callers that sign their requests."
  type        = string
  default     = "queue"
  nullable    = false
}

variable "records_concurrency" {
  description = "Most invocations at the same time that store records sent one at a time, for each pipeline. With records_by \"table\", up to ten more for each shard of the table's stream put them there."
  type        = number
  default     = 10
  nullable    = false

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
  validation {
    condition     = var.records_concurrency >= 2 && var.records_concurrency <= 1000 && floor(var.records_concurrency) == var.records_concurrency
    error_message = "records_concurrency is ${var.records_concurrency}: Lambda takes a whole number from 2 to 1000 as the maximum concurrency of a queue."
  }
}

variable "records_rate" {
  description = "Requests a second to each path of such an API that are let in, of each caller with a key and of all together; twice as many at once after a pause. An account's APIs of a region share 10,000."
  type        = number
  default     = 100
  nullable    = false

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
  validation {
    condition     = var.records_rate >= 1 && var.records_rate <= 10000 && floor(var.records_rate) == var.records_rate
    error_message = "records_rate is ${var.records_rate}: give a whole number from 1 to 10000, the most that API Gateway lets into an account's APIs of a region."
  }
}

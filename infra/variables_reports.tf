# Reports: batches of a pipeline that is made for them, of which documents are made when they have ended.

variable "reports" {
  description = "Whether a pipeline makes reports: a file reports/{id}.jsonl is one, with the request requests/{id}.json beside it. Then key_field is part, input_prefix reports/, results all, and processors has items beside usage or invoke."
  type        = bool
  default     = false
  nullable    = false
}

variable "webhooks" {
  description = <<-EOT
    Who may be told of ends of reports by a request of its own, as JSON: what the URLs begin with that a report may name, and the
    secrets that requests are signed with, as ARNs of SSM parameters or of secrets of Secrets Manager (with #member where one is an object), as in
    {"urls": ["https://example.com/hooks/"], "secrets": ["arn:aws:ssm:eu-central-1:123456789012:parameter/hooks"]}.
    Every secret signs, so that it can be replaced by another while both are known. Empty for nobody.
  EOT
  type        = string
  default     = ""
  nullable    = false
}

variable "press_package" {
  description = "Path of the zip with the executable of the function that prints reports, built for `architecture`; null if no pipeline makes reports."
  type        = string
  default     = null

  validation {
    condition     = var.press_package != null || length(local.reporting) == 0
    error_message = "press_package is missing, and pipelines make reports (${join(", ", local.reporting)}): build the zip of the function that prints them, as `make package` does, and give its path."
  }

  validation {
    condition     = var.press_package == null ? true : try(fileexists(var.press_package), false)
    error_message = "press_package names no file: \"${coalesce(var.press_package, "(empty)")}\". Build the zip of the function that prints reports, and give its path as seen from the directory Terraform runs in."
  }
}

variable "reports" {
  description = "Whether the pipeline makes reports."
  type        = bool
  default     = false
  nullable    = false

  # The names are those in src/model/reporting; a test compares them.
  validation {
    condition     = !var.reports || (module.processors.processors.answers_parts && module.processors.processors.items)
    error_message = "${var.name}: reports is true, but processors does not name items beside usage, or invoke with the contract fanfold: one of these answers the parts of a report with rows, and items keeps them. Say processors such as [{\"usage\": {\"counters_of\": \"metering\", \"sum\": [\"kwh\"]}}, \"items\"], or leave reports out."
  }

  validation {
    condition     = !var.reports || var.records_api == ""
    error_message = "${var.name}: reports is true and records_api is \"${var.records_api}\", but whoever sends a part of a report by itself would replace its rows: give records that are sent by themselves a pipeline of their own."
  }

  validation {
    condition     = !var.reports || var.key_field == "part"
    error_message = "${var.name}: reports is true and key_field is \"${var.key_field}\", but what is known of a part of a report is found by its field part: say key_field \"part\", or leave reports out."
  }

  validation {
    condition     = !var.reports || var.results == "all"
    error_message = "${var.name}: reports is true and results is \"${var.results}\", but the documents follow the order of the results: say results \"all\", or leave reports out."
  }

  validation {
    condition     = !var.reports || var.input_prefix == "reports/"
    error_message = "${var.name}: reports is true and input_prefix is \"${var.input_prefix}\", but only what is in reports/ may become a batch, for what is in requests/ is no file of records: say input_prefix \"reports/\", or leave reports out."
  }

  validation {
    condition     = !var.reports || contains(["", ".jsonl"], var.input_suffix)
    error_message = "${var.name}: reports is true and input_suffix is \"${var.input_suffix}\", but the files of reports end with .jsonl: say input_suffix \".jsonl\", or leave it empty."
  }
}

variable "press_arn" {
  description = "ARN of the function that prints reports; null if none is made."
  type        = string
  default     = null

  validation {
    condition     = !var.reports || var.press_arn != null
    error_message = "${var.name}: reports is true, but press_arn is null: name the function that prints them."
  }
}

variable "sockets" {
  description = "By what clients are told that wait for reports at an API of the deployment: the table of them and its ARN, where messages are sent to connections, and the ARN of what is invoked by that; null if there is no such API."
  type        = object({ table = string, table_arn = string, connections = string, manage_arn = string })
  default     = null
}

variable "webhooks" {
  description = "Who may be told of ends of reports by a request of its own, as JSON; empty for nobody."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.webhooks == "" || var.reports
    error_message = "${var.name}: webhooks is given, but the pipeline makes no reports, of whose ends anybody could be told: say reports true, or webhooks \"\" for this pipeline."
  }
}

variable "counted" {
  description = "What the other pipelines of the deployment count, by their names: the table of the counters, how many fields make a group, and the fields of which the sum is kept."
  type        = map(object({ table = string, group_by = number, sum = list(string) }))
  default     = {}
  nullable    = false

  validation {
    condition     = local.usage == null ? true : contains(keys(var.counted), local.usage.counters_of)
    error_message = "${var.name}: processors has usage with counters_of \"${try(local.usage.counters_of, "")}\", which is no other pipeline of this deployment with the processor aggregate: ${length(var.counted) > 0 ? "there is ${join(", ", keys(var.counted))}" : "none has it"}."
  }

  validation {
    condition     = try(var.counted[local.usage.counters_of].group_by, 2) == 2
    error_message = "${var.name}: processors has usage with counters_of \"${try(local.usage.counters_of, "")}\", whose aggregate groups by ${try(var.counted[local.usage.counters_of].group_by, 0)}: a report is made of counters that are grouped by two fields, the asset and the day, in this order."
  }

  validation {
    condition     = length(try(setsubtract(local.usage.sum, var.counted[local.usage.counters_of].sum), [])) == 0
    error_message = "${var.name}: processors has usage with sums that ${try(local.usage.counters_of, "")} does not keep: ${join(", ", try(setsubtract(local.usage.sum, var.counted[local.usage.counters_of].sum), []))}. Its aggregate has ${try(length(var.counted[local.usage.counters_of].sum) > 0 ? join(", ", var.counted[local.usage.counters_of].sum) : "none", "none")}."
  }
}
